//! How fast an operation goes, and how long it will still take.

use larder_model::Counters;
use larder_model::operation::{DestinationProgress, Progress};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Over about so long a rate is averaged: long enough to be calm, short enough to be true.
const AVERAGED_SECONDS: f64 = 5.0;

/// Looks closer together than this are one.
const SHORTEST: Duration = Duration::from_millis(20);

/// Remembers what was counted at the last look.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<Look>,
    reading: Rate,
    storing: Vec<Rate>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    bytes_done: u64,
    stored: Vec<u64>,
}

/// Bytes a second, averaged; nothing before there were two looks.
#[derive(Clone, Copy, Debug, Default)]
struct Rate(Option<f64>);

impl Rate {
    fn take_in(&mut self, bytes: u64, seconds: f64) {
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let now = bytes as f64 / seconds;
        let share = 1.0 - (-seconds / AVERAGED_SECONDS).exp();
        self.0 = Some(self.0.map_or(now, |before| before + (now - before) * share));
    }

    fn rounded(self) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and saturating"
        )]
        self.0.map_or(0, |rate| rate.round() as u64)
    }
}

impl Meter {
    /// Takes a look at the counters.
    pub(crate) fn look(&mut self, counters: &Counters, at: Instant) -> Progress {
        let bytes_done = counters.bytes_done.load(Relaxed);
        let destinations = counters.destinations();
        let stored: Vec<u64> = destinations.iter().map(|one| one.bytes).collect();
        self.storing.resize(stored.len(), Rate::default());
        let elapsed = self.last.as_ref().map(|last| at.saturating_duration_since(last.at));
        match &self.last {
            Some(last) if elapsed.is_some_and(|elapsed| elapsed >= SHORTEST) => {
                let seconds = elapsed.unwrap_or_default().as_secs_f64();
                self.reading.take_in(bytes_done.saturating_sub(last.bytes_done), seconds);
                let before = last.stored.iter().copied().chain(std::iter::repeat(0));
                for ((rate, now), before) in self.storing.iter_mut().zip(&stored).zip(before) {
                    rate.take_in(now.saturating_sub(before), seconds);
                }
                self.last = Some(Look { at, bytes_done, stored });
            }
            Some(_) => {}
            None => self.last = Some(Look { at, bytes_done, stored }),
        }
        let bytes_total = counters.bytes_total.load(Relaxed);
        let bytes_per_second = self.reading.rounded();
        let left = bytes_total.saturating_sub(bytes_done);
        let rates = self.storing.iter();
        Progress {
            bytes_done,
            bytes_total,
            bytes_read: counters.bytes_read.load(Relaxed),
            bytes_stored: counters.bytes_stored.load(Relaxed),
            items_done: counters.items_done.load(Relaxed),
            items_total: counters.items_total.load(Relaxed),
            current: counters.current(),
            bytes_per_second,
            seconds_left: (bytes_total > 0 && bytes_per_second > 0).then(|| left.div_ceil(bytes_per_second)),
            destinations: destinations
                .into_iter()
                .zip(rates)
                .map(|(one, rate)| DestinationProgress {
                    destination: one.name,
                    kind: one.kind,
                    bytes_stored: one.bytes,
                    bytes_per_second: rate.rounded(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_gives_its_rate_and_what_is_left() {
        let counters = Counters::default();
        counters.set_destinations([("near".to_owned(), None), ("far".to_owned(), None)]);
        counters.bytes_total.store(10_000, Relaxed);
        let mut meter = Meter::default();
        let begin = Instant::now();
        let first = meter.look(&counters, begin);
        assert_eq!((first.bytes_per_second, first.seconds_left), (0, None), "one look tells no pace");
        for second in 1..=4_u32 {
            Counters::add(&counters.bytes_done, 1000);
            counters.add_stored(0, 500);
            counters.add_stored(1, 100);
            let progress = meter.look(&counters, begin + Duration::from_secs(second.into()));
            assert_eq!(progress.bytes_per_second, 1000);
            assert_eq!(progress.seconds_left, Some(10 - u64::from(second)));
            let far = &progress.destinations[1];
            assert_eq!(
                (far.destination.as_str(), far.bytes_stored, far.bytes_per_second),
                ("far", 100 * u64::from(second), 100)
            );
        }
        assert_eq!(counters.bytes_stored.load(Relaxed), 2000, "the first destination's");
    }

    #[test]
    fn a_pace_that_changes_is_followed_calmly() {
        let counters = Counters::default();
        let mut meter = Meter::default();
        let begin = Instant::now();
        meter.look(&counters, begin);
        Counters::add(&counters.bytes_done, 1000);
        meter.look(&counters, begin + Duration::from_secs(1));
        let after = meter.look(&counters, begin + Duration::from_secs(2)).bytes_per_second;
        assert!((700..1000).contains(&after), "{after}");
        let later = meter.look(&counters, begin + Duration::from_secs(60)).bytes_per_second;
        assert_eq!(later, 0);
    }
}

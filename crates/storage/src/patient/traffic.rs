//! What went on between Larder and one destination.

use super::settings::CallKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the start, of one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls that were asked for, in the order of [`CallKind::ALL`]; repetitions are not counted.
    pub calls: [u64; 5],
    /// Attempts that repeated a failed one.
    pub retries: u64,
    /// Answers that asked for fewer or slower calls.
    pub throttled: u64,
    /// Calls that were given up because the destination did not answer, or was left alone.
    pub given_up: u64,
    /// Bytes written in calls that succeeded.
    pub bytes_up: u64,
    /// Bytes read in calls that succeeded.
    pub bytes_down: u64,
    /// Time that calls waited for their turn, added up over all.
    pub waited_for_turn: Duration,
    /// Time that calls waited for bandwidth.
    pub waited_for_bandwidth: Duration,
    /// Time that calls paused before they were repeated, or because the destination asked for it.
    pub waited_to_repeat: Duration,
}

impl Traffic {
    /// Returns how many calls of a kind were asked for.
    #[must_use]
    pub const fn calls_of(&self, kind: CallKind) -> u64 {
        self.calls[kind as usize]
    }
}

/// Where the counts are kept.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: [AtomicU64; 5],
    pub(super) retries: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
    pub(super) turn_micros: AtomicU64,
    pub(super) bandwidth_micros: AtomicU64,
    pub(super) repeat_micros: AtomicU64,
}

impl Tally {
    pub(super) fn call(&self, kind: CallKind) {
        add(&self.calls[kind as usize], 1);
    }

    pub(super) fn traffic(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let time = |count: &AtomicU64| Duration::from_micros(read(count));
        Traffic {
            calls: std::array::from_fn(|kind| read(&self.calls[kind])),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            given_up: read(&self.given_up),
            bytes_up: read(&self.bytes_up),
            bytes_down: read(&self.bytes_down),
            waited_for_turn: time(&self.turn_micros),
            waited_for_bandwidth: time(&self.bandwidth_micros),
            waited_to_repeat: time(&self.repeat_micros),
        }
    }
}

pub(super) fn add(count: &AtomicU64, amount: u64) {
    count.fetch_add(amount, Ordering::Relaxed);
}

pub(super) fn add_time(count: &AtomicU64, time: Duration) {
    add(count, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

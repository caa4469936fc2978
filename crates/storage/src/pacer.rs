//! Lets no more bytes through in a second than the hour allows.

use jiff::tz::TimeZone;
use larder_model::{Bandwidth, Clock};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was not used for longer than this is lost.
const BURST: Duration = Duration::from_secs(1);
/// So many times a second whoever waits lets the others through, and the hour is looked at.
const SLICES: u64 = 10;

/// One direction of one destination, shared by all who use it.
#[derive(Debug)]
pub(crate) struct Pacer {
    bandwidth: Bandwidth,
    zone: TimeZone,
    clock: Arc<dyn Clock>,
    /// The moment up to which all that passed is paid for. Who holds it has the turn, first come, first served.
    paid: Mutex<Instant>,
}

impl Pacer {
    pub(crate) fn new(bandwidth: Bandwidth, zone: TimeZone, clock: Arc<dyn Clock>) -> Self {
        Self { bandwidth, zone, clock, paid: Mutex::new(Instant::now()) }
    }

    /// Says whether any hour has a limit.
    pub(crate) fn limits_anything(&self) -> bool {
        self.bandwidth.limits_anything()
    }

    /// Waits until so many bytes may pass.
    ///
    /// They are waited for a slice at a time, in turn with others, so that a small object is not held up by a large one.
    pub(crate) async fn pass(&self, bytes: u64) {
        let mut left = if self.bandwidth.limits_anything() { bytes } else { 0 };
        while left > 0 {
            let mut paid = self.paid.lock().await;
            let now = Instant::now();
            let Some(rate) = self.bandwidth.rate_at(self.clock.now(), &self.zone) else {
                *paid = now;
                return;
            };
            let slice = left.min((rate / SLICES).max(1));
            let from = (*paid).max(now.checked_sub(BURST).unwrap_or(now));
            let nanoseconds = u128::from(slice) * 1_000_000_000 / u128::from(rate.max(1));
            let until = from + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            if until > now {
                tokio::time::sleep_until(until).await;
            }
            *paid = until;
            left -= slice;
        }
    }
}

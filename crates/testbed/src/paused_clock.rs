//! A clock that goes as fast as tokio's time, also where a test has paused that.

use jiff::Timestamp;
use larder_model::Clock;
use tokio::time::Instant;

/// Tells the moment that a test began with, and the time that passed for tokio since.
#[derive(Debug)]
pub struct PausedClock {
    start: Timestamp,
    begun: Instant,
}

impl PausedClock {
    /// Starts at a moment written as RFC 3339 has it: `2026-01-31T12:00:00Z`.
    #[must_use]
    pub fn starting(now: &str) -> Self {
        Self { start: now.parse().expect("a moment in RFC 3339"), begun: Instant::now() }
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.start.checked_add(self.begun.elapsed()).expect("a moment within the calendar")
    }
}

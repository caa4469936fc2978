//! A clock that stands still until a test moves it.

use jiff::{SignedDuration, Timestamp};
use larder_model::Clock;
use std::sync::Mutex;

/// Tells the moment that a test set.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

impl ManualClock {
    /// Starts at a moment.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Starts at a moment written as RFC 3339 has it: `2026-01-31T12:00:00Z`.
    #[must_use]
    pub fn starting(now: &str) -> Self {
        Self::at(now.parse().expect("a moment in RFC 3339"))
    }

    /// Moves to a moment, also backwards.
    pub fn set(&self, now: Timestamp) {
        *self.now.lock().unwrap() = now;
    }

    /// Moves on by a time; a negative one moves back.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(by).expect("a moment within the calendar");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
}

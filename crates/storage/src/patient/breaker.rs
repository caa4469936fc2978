//! A destination that does not answer is left alone for a while, then tried with one call.

use super::settings::BreakerSettings;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Whether a destination is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is asked; so many calls in a row have failed until now.
    Asked {
        /// How many attempts in a row it did not answer; 0 where the last one was answered.
        failures: u32,
    },
    /// It is left alone, or just tried with one call.
    Resting {
        /// When the first of the failures in a row was.
        since: Timestamp,
        /// When it is tried again.
        until: Timestamp,
        /// How many attempts in a row it did not answer.
        failures: u32,
        /// Why the last one failed.
        last_cause: String,
    },
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last failures of the present row were; no more of them than it takes.
    row: VecDeque<Instant>,
    failures: u32,
    since: Option<Timestamp>,
    last_cause: String,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    rest: Duration,
    /// Whether one call is trying at this moment.
    trying: bool,
}

/// The destination is not asked.
#[derive(Debug)]
pub(super) struct Refusal {
    /// When it is worth asking again.
    pub(super) until: Instant,
}

/// One call that was let through; dropped without a verdict it leaves everything as it was.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether a call that began now would be refused.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.lock().refusal()
    }

    /// Lets a call through, or says when it may come again.
    pub(super) fn admit(&self) -> Result<Pass<'_>, Refusal> {
        let mut state = self.lock();
        if let Some(refusal) = state.refusal() {
            return Err(refusal);
        }
        let trial = state.open.as_mut().map(|open| open.trying = true).is_some();
        drop(state);
        Ok(Pass { breaker: self, trial })
    }

    pub(super) fn standing(&self, wall: Timestamp) -> Standing {
        let state = self.lock();
        let (Some(open), Some(since)) = (&state.open, state.since) else {
            return Standing::Asked { failures: state.failures };
        };
        let left = open.until.saturating_duration_since(Instant::now());
        Standing::Resting {
            since,
            until: wall.saturating_add(left).unwrap_or(wall),
            failures: state.failures,
            last_cause: state.last_cause.clone(),
        }
    }
}

impl Breaker {
    /// Returns how many attempts in a row were not answered until now, and why the last one was not.
    pub(super) fn unanswered(&self) -> (u32, String) {
        let state = self.lock();
        (state.failures, state.last_cause.clone())
    }
}

impl State {
    fn refusal(&self) -> Option<Refusal> {
        let now = Instant::now();
        let open = self.open.as_ref()?;
        if open.until > now {
            return Some(Refusal { until: open.until });
        }
        // While one tries, the others ask again a little later.
        open.trying.then(|| Refusal { until: now + Duration::from_secs(1) })
    }
}

impl Pass<'_> {
    /// Says whether this call alone decides whether the destination is asked again.
    pub(super) const fn is_trial(&self) -> bool {
        self.trial
    }

    /// The destination answered, whatever it said.
    pub(super) fn answered(self) {
        *self.breaker.lock() = State::default();
    }

    /// It did not answer.
    pub(super) fn failed(self, wall: Timestamp, cause: &str) {
        let settings = self.breaker.settings;
        let now = Instant::now();
        let mut state = self.breaker.lock();
        state.failures = state.failures.saturating_add(1);
        state.since.get_or_insert(wall);
        cause.clone_into(&mut state.last_cause);
        state.row.push_back(now);
        while state.row.len() > settings.failures.max(1) as usize {
            state.row.pop_front();
        }
        let in_time = state.row.front().is_some_and(|first| now.duration_since(*first) <= settings.within);
        let enough = state.row.len() >= settings.failures.max(1) as usize && in_time;
        match &mut state.open {
            Some(open) if self.trial => {
                open.rest = (open.rest * 2).min(settings.longest_rest);
                open.until = now + open.rest;
            }
            None if enough => {
                state.open = Some(Open { until: now + settings.rest, rest: settings.rest, trying: false });
            }
            _ => {}
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial
            && let Some(open) = &mut self.breaker.lock().open
        {
            open.trying = false;
        }
    }
}

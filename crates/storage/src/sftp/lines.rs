//! A few connections to one server, each of which carries many requests at once.

use super::failure::Failure;
use super::ssh::{Door, Line};
use crate::error::StorageErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many connections a destination has at most: encryption keeps one processor busy for each.
const CONNECTIONS: usize = 3;

/// How often something is tried on another connection after one was cut.
const RETRIES: usize = 2;

/// The connections to one destination.
#[derive(Debug)]
pub(super) struct Lines {
    door: Door,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Line>>,
    opening: usize,
}

/// Counts a connection that is being made, until it is or is not.
struct Opening<'a>(&'a Lines);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.state().opening -= 1;
        self.0.changed.notify_waiters();
    }
}

enum Choice {
    Take(Arc<Line>),
    Open,
    Wait,
}

impl Lines {
    pub(super) fn new(door: Door) -> Self {
        Self { door, state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something on a connection; where that was cut, does it again on another. What is done is told how often it
    /// was tried before.
    pub(super) async fn run<T, F, W>(&self, work: W) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
        W: Fn(Arc<Line>, usize) -> F,
    {
        let mut tried = 0;
        loop {
            let line = self.take().await?;
            match work(line, tried).await {
                Err(failure) if failure.lost && tried < RETRIES => {
                    tracing::debug!("connecting again: {}", failure.cause);
                    tried += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn take(&self) -> Result<Arc<Line>, Failure> {
        loop {
            let changed = self.changed.notified();
            match self.choose() {
                Choice::Take(line) => return Ok(line),
                Choice::Wait => changed.await,
                Choice::Open => {
                    let opening = Opening(self);
                    let opened = self.door.open().await;
                    let failure = match opened {
                        Ok(line) => {
                            let line = Arc::new(line);
                            self.state().open.push(Arc::clone(&line));
                            return Ok(line);
                        }
                        Err(failure) => failure,
                    };
                    drop(opening);
                    // A server that lets nobody else in still serves who is in.
                    match self.least_busy() {
                        Some(line) if failure.kind == StorageErrorKind::Unavailable => return Ok(line),
                        _ => return Err(failure),
                    }
                }
            }
        }
    }

    fn choose(&self) -> Choice {
        let mut state = self.state();
        state.open.retain(|line| !line.session.is_lost());
        let least = least_busy(&state.open);
        let room = state.open.len() + state.opening < CONNECTIONS;
        match least {
            // Nobody but the list holds it.
            Some(line) if Arc::strong_count(&line) == 2 || !room => Choice::Take(line),
            _ if room => {
                state.opening += 1;
                Choice::Open
            }
            Some(line) => Choice::Take(line),
            None => Choice::Wait,
        }
    }

    fn least_busy(&self) -> Option<Arc<Line>> {
        let mut state = self.state();
        state.open.retain(|line| !line.session.is_lost());
        least_busy(&state.open)
    }
}

fn least_busy(lines: &[Arc<Line>]) -> Option<Arc<Line>> {
    lines.iter().min_by_key(|line| Arc::strong_count(line)).cloned()
}

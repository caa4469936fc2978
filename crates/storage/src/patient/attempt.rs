//! One call, attempted as often as it is worth.

use super::Patience;
use super::breaker::{Refusal, Standing};
use super::settings::CallKind;
use super::traffic::{add, add_time};
use crate::error::{StorageError, StorageErrorKind};
use crate::pace::Pace;
use crate::pacer::Pacer;
use larder_model::human;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than this no destination is left alone on its own word: a wrong number must not stop backups for days.
const LONGEST_QUIET: Duration = Duration::from_secs(3600);

/// How often it is looked whether a call that waits for bandwidth still does.
const LOOK: Duration = Duration::from_secs(1);

/// A call that is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) kind: CallKind,
    pub(super) path: &'a str,
    /// The destination's name.
    pub(super) destination: &'a str,
    /// How many bytes it sends.
    pub(super) up: u64,
    /// How many bytes it fetches, as far as that is known before.
    pub(super) down: u64,
    /// Whether the destination keeps the pace itself, within the call.
    pub(super) paced: bool,
}

/// How far a call has come.
#[derive(Debug, Default)]
struct Course {
    attempts: u32,
    /// Spent on attempts and pauses.
    spent: Duration,
    /// Whether the last attempt alone was to show whether the destination answers again.
    trial: bool,
}

/// Why an attempt came to nothing.
enum Failure {
    /// It was not made, and is worth making later.
    Refused(Refusal),
    /// It was made.
    Failed(StorageError),
}

impl Patience {
    /// Makes a call until it succeeds, cannot succeed, or has been tried enough. `size` says what was fetched.
    pub(super) async fn ask<T, F>(
        &self,
        ask: Ask<'_>,
        call: impl Fn() -> F + Send + Sync,
        size: impl Fn(&T) -> u64 + Send + Sync,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        self.tally.call(ask.kind);
        let outcome = self.repeat(&ask, &call, &size).await;
        match &outcome {
            Ok(value) => {
                add(&self.tally.bytes_up, ask.up);
                add(&self.tally.bytes_down, size(value));
            }
            Err(error) if error.is_retryable() => add(&self.tally.given_up, 1),
            Err(_) => {}
        }
        outcome
    }

    async fn repeat<T, F>(
        &self,
        ask: &Ask<'_>,
        call: &(impl Fn() -> F + Sync),
        size: &(impl Fn(&T) -> u64 + Sync),
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let mut course = Course::default();
        loop {
            self.keep_quiet(ask, &mut course).await?;
            match self.attempt(ask, &mut course, call, size).await {
                Ok(value) => return Ok(value),
                // Whoever comes while nobody answers is told so at once; whoever waits already goes on waiting.
                Err(Failure::Refused(_)) if course.attempts == 0 => return Err(self.resting(ask)),
                Err(Failure::Refused(refusal)) => {
                    let left = refusal.until.saturating_duration_since(Instant::now());
                    let pause = left + self.random(self.settings.first_pause);
                    if !self.pause(&mut course, pause).await {
                        return Err(self.resting(ask));
                    }
                }
                Err(Failure::Failed(error)) if !error.is_retryable() => return Err(error),
                Err(Failure::Failed(error)) => {
                    let in_vain = course.trial && course.attempts == 1;
                    let enough = course.attempts >= self.settings.attempts.of(ask.kind) || in_vain;
                    let pause = self.backoff(course.attempts) + error.retry_after.unwrap_or_default();
                    if enough || !self.pause(&mut course, pause).await {
                        return Err(given_up(error, &course));
                    }
                }
            }
        }
    }

    /// Pauses, unless that takes longer than the call may; says whether it did.
    async fn pause(&self, course: &mut Course, pause: Duration) -> bool {
        if course.spent + pause > self.settings.patience {
            return false;
        }
        tokio::time::sleep(pause).await;
        course.spent += pause;
        add_time(&self.tally.repeat_micros, pause);
        true
    }

    async fn attempt<T, F>(
        &self,
        ask: &Ask<'_>,
        course: &mut Course,
        call: &(impl Fn() -> F + Sync),
        size: &(impl Fn(&T) -> u64 + Sync),
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        // Before any waiting, so that nobody waits for a turn that is refused anyway.
        if let Some(refusal) = self.breaker.refusal() {
            return Err(Failure::Refused(refusal));
        }
        if !ask.paced {
            self.pace(&self.upload, ask.up).await;
            self.pace(&self.download, ask.down).await;
        }
        let queued = Instant::now();
        let turn = self.flow.enter().await;
        add_time(&self.tally.turn_micros, queued.elapsed());
        let pass = self.breaker.admit().map_err(Failure::Refused)?;
        course.attempts += 1;
        course.trial = pass.is_trial();
        if course.attempts > 1 {
            add(&self.tally.retries, 1);
        }
        let begun = Instant::now();
        let pace = Pace::new(&self.upload, &self.download);
        let guard = self.no_answer_after(ask);
        let outcome = within(guard, &pace, pace.keep(call())).await.unwrap_or_else(|| {
            let cause = format!("it gave no answer within {}", human::length(guard.as_secs()));
            let kind = StorageErrorKind::Unavailable;
            Err(StorageError::new(kind, ask.kind.word(), ask.path, ask.destination, cause))
        });
        let (waited, _) = pace.waited();
        add_time(&self.tally.bandwidth_micros, waited);
        course.spent += begun.elapsed().saturating_sub(waited);
        match &outcome {
            Err(error) if error.is_throttled() => {
                add(&self.tally.throttled, 1);
                self.ask_for_quiet(error.retry_after.unwrap_or_default());
                turn.throttled();
                pass.answered();
            }
            Err(error) if error.is_retryable() => pass.failed(self.clock.now(), &error.cause),
            Err(_) => pass.answered(),
            Ok(value) => {
                turn.done(ask.up + size(value));
                pass.answered();
            }
        }
        drop(turn);
        let value = outcome.map_err(Failure::Failed)?;
        if !ask.paced {
            // What could not be known before is waited for now; the next ones wait the longer.
            self.pace(&self.download, size(&value).saturating_sub(ask.down)).await;
        }
        Ok(value)
    }

    async fn pace(&self, pacer: &Pacer, bytes: u64) {
        let begun = Instant::now();
        pacer.pass(bytes).await;
        add_time(&self.tally.bandwidth_micros, begun.elapsed());
    }

    fn no_answer_after(&self, ask: &Ask<'_>) -> Duration {
        let bytes = ask.up + ask.down;
        self.settings.no_answer + Duration::from_secs(bytes / self.settings.slowest_bytes_per_second.max(1))
    }

    /// Draws the pause before the next attempt: anything up to a limit that doubles, so that those who failed together do
    /// not come back together (full jitter).
    fn backoff(&self, attempts: u32) -> Duration {
        let doublings = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let ceiling = self.settings.first_pause.saturating_mul(doublings.max(1));
        self.random(ceiling.min(self.settings.longest_pause))
    }

    fn random(&self, limit: Duration) -> Duration {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.jitter.up_to(limit))
    }

    /// Notes for everybody that the destination asked to be left alone.
    fn ask_for_quiet(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_QUIET);
        let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = Some(quiet.map_or(until, |other| other.max(until)));
    }

    /// Waits as long as the destination asked everybody to; an error where that is longer than a call may take.
    async fn keep_quiet(&self, ask: &Ask<'_>, course: &mut Course) -> Result<(), StorageError> {
        loop {
            let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(());
            }
            let pause = left + self.random(self.settings.first_pause);
            if !self.pause(course, pause).await {
                let moment = self.clock.now().saturating_add(left).unwrap_or_else(|_| self.clock.now());
                let moment = human::local(moment, &self.settings.zone);
                let cause = format!("it asks to be left alone until {moment}, longer than a call may wait");
                return Err(self.unavailable(ask, cause).with_retry_after(Some(left)));
            }
        }
    }

    /// Says that the destination is left alone, since when and why.
    fn resting(&self, ask: &Ask<'_>) -> StorageError {
        let cause = match self.standing() {
            Standing::Resting { since, until, failures, last_cause } => {
                let moment = |moment| human::local(moment, &self.settings.zone);
                format!(
                    "it has not answered since {} ({failures} attempts, the last: {last_cause}), and is left alone until {}",
                    moment(since),
                    moment(until)
                )
            }
            Standing::Asked { .. } => "it did not answer, and just begins to again".to_owned(),
        };
        self.unavailable(ask, cause)
    }

    fn unavailable(&self, ask: &Ask<'_>, cause: String) -> StorageError {
        StorageError::new(StorageErrorKind::Unavailable, ask.kind.word(), ask.path, ask.destination, cause)
    }
}

/// Waits for a call so long, and for as long as its bytes waited for bandwidth besides.
async fn within<F: Future>(limit: Duration, pace: &Pace, call: F) -> Option<F::Output> {
    tokio::pin!(call);
    let begun = Instant::now();
    loop {
        let (waited, waits) = pace.waited();
        let end = begun + limit + waited;
        let now = Instant::now();
        if end <= now && !waits {
            return None;
        }
        // Whoever waits now has not waited for too long before the wait is over.
        let look = if waits { end.max(now + LOOK) } else { end };
        if let Ok(outcome) = tokio::time::timeout_at(look, &mut call).await {
            return Some(outcome);
        }
    }
}

/// Adds to an error how long it was borne.
fn given_up(mut error: StorageError, course: &Course) -> StorageError {
    if course.attempts > 1 {
        let spent = human::length(course.spent.as_secs());
        error.cause = format!("{} (tried {} times within {spent})", error.cause, course.attempts);
    }
    error
}

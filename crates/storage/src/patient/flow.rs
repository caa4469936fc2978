//! How many calls go on at once: more as long as that moves more, fewer as long as that moves no less, and half as many
//! when the destination asks for less.

use super::settings::CallLimits;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What a call without any bytes counts as, in bytes: what a connection moves in the time that asking takes.
const CALL_BYTES: u64 = 64 << 10;
/// For so many measurements nothing is changed after a change that was no good.
const HOLD: u32 = 8;
/// And for so many after the destination asked for fewer.
const CALM: u32 = 2;
/// A measurement takes at least this long: calls end in bursts, and a short one would measure those.
const MEASURE: Duration = Duration::from_secs(1);

/// Lets calls through in the order in which they came.
#[derive(Debug)]
pub(super) struct Flow {
    limits: CallLimits,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are to be taken away as they come back.
    owed: usize,
    /// Whether it grows by half: until it first went too far.
    steep: bool,
    /// Whether more calls are tried next, or fewer.
    upward: bool,
    hold: u32,
    /// What was moved before the last change: by how many calls, and bytes a second.
    before: Option<(usize, f64)>,
    halved: Option<Instant>,
    measure: Measure,
}

#[derive(Debug)]
struct Measure {
    /// Calls that began before it and are not counted.
    settling: usize,
    began: Instant,
    calls: usize,
    bytes: u64,
    /// Whether calls had to wait for their turn; else more turns would change nothing.
    waited: bool,
}

impl Measure {
    fn new(settling: usize) -> Self {
        Self { settling, began: Instant::now(), calls: 0, bytes: 0, waited: false }
    }
}

/// A call's turn; it ends when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    flow: &'a Flow,
    permit: Option<OwnedSemaphorePermit>,
    began: Instant,
}

impl Flow {
    pub(super) fn new(limits: CallLimits) -> Self {
        let least = limits.least.max(1);
        let most = limits.most.clamp(least, Semaphore::MAX_PERMITS);
        let limits = CallLimits { least, first: limits.first.clamp(least, most), most };
        let state = State {
            limit: limits.first,
            owed: 0,
            steep: true,
            upward: true,
            hold: 0,
            before: None,
            halved: None,
            measure: Measure::new(0),
        };
        Self { limits, permits: Arc::new(Semaphore::new(limits.first)), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many calls may go on at once now.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit
    }

    /// Waits for a turn.
    pub(super) async fn enter(&self) -> Turn<'_> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.lock().measure.waited = true;
                self.permits.clone().acquire_owned().await.ok()
            }
        };
        Turn { flow: self, permit, began: Instant::now() }
    }

    fn change(&self, state: &mut State, limit: usize) {
        if limit > state.limit {
            let more = limit - state.limit;
            let kept = more.min(state.owed);
            state.owed -= kept;
            self.permits.add_permits(more - kept);
        } else {
            let fewer = state.limit - limit;
            state.owed += fewer - self.permits.forget_permits(fewer);
        }
        state.limit = limit;
    }

    /// Draws the conclusion from a measurement: bytes a second.
    fn conclude(&self, state: &mut State, rate: f64) {
        if state.hold > 0 {
            state.hold -= 1;
            return;
        }
        if let Some((limit, before)) = state.before {
            // A change is good where what is moved changes at least half as much for the better as the number of calls did;
            // fewer calls for nearly the same leave the destination to others.
            let change = state.limit as f64 / limit as f64 - 1.0;
            if rate / before - 1.0 < change / 2.0 {
                self.change(state, limit);
                Self::turn_round(state);
                return;
            }
        }
        let step = if state.steep { state.limit / 2 } else { state.limit / 8 }.max(1);
        let next = if state.upward { state.limit + step } else { state.limit.saturating_sub(step) };
        let next = next.clamp(self.limits.least, self.limits.most);
        if next == state.limit {
            Self::turn_round(state);
            return;
        }
        state.before = Some((state.limit, rate));
        self.change(state, next);
    }

    /// Stays for a while, then tries the other direction.
    fn turn_round(state: &mut State) {
        (state.steep, state.upward) = (false, !state.upward);
        (state.hold, state.before) = (HOLD, None);
    }
}

impl Turn<'_> {
    /// The call did its work, and moved so many bytes.
    pub(super) fn done(&self, bytes: u64) {
        let mut guard = self.flow.lock();
        let state = &mut *guard;
        if state.measure.settling > 0 {
            state.measure.settling -= 1;
            if state.measure.settling == 0 {
                let waited = state.measure.waited;
                state.measure = Measure { waited, ..Measure::new(0) };
            }
            return;
        }
        state.measure.calls += 1;
        state.measure.bytes = state.measure.bytes.saturating_add(bytes.saturating_add(CALL_BYTES));
        let time = state.measure.began.elapsed();
        if state.measure.calls < 2 * state.limit || time < MEASURE {
            return;
        }
        if state.measure.waited {
            let rate = state.measure.bytes as f64 / time.as_secs_f64();
            self.flow.conclude(state, rate);
        } else {
            state.before = None;
        }
        state.measure = Measure::new(state.limit);
    }

    /// The destination asked for fewer calls.
    pub(super) fn throttled(&self) {
        let mut guard = self.flow.lock();
        let state = &mut *guard;
        // Those that were on the way already when it last asked say nothing new.
        if state.halved.is_some_and(|halved| self.began < halved) {
            return;
        }
        let limit = (state.limit / 2).max(self.flow.limits.least);
        self.flow.change(state, limit);
        (state.steep, state.upward) = (false, true);
        (state.hold, state.before) = (CALM, None);
        state.halved = Some(Instant::now());
        state.measure = Measure::new(limit);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.flow.lock();
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

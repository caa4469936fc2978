//! The buffers of packs: a fixed number, filled, uploaded to all destinations, and filled again.
//!
//! That there are only so many is what holds back a reader that is faster than the slowest destination.

use super::session::Signals;
use crate::error::RepositoryError;
use crate::pack::PACK_BYTES;
use crate::pack_buffer::PackBuffer;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting thread looks whether it should stop.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// One for data, one for trees, and one on its way.
pub(super) const LEAST: usize = 3;

/// Hands out buffers, and waits where all are in use.
#[derive(Debug)]
pub(super) struct PackPool {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// So many buffers there are at most.
    most: usize,
    /// Buffers that are not kept when they come back.
    excess: usize,
    idle: Vec<PackBuffer>,
    in_use: usize,
    on_the_way: usize,
}

impl PackPool {
    /// Makes a pool of at most so many buffers of [`PACK_BYTES`].
    pub(super) fn new(most: usize) -> Self {
        let state = State { most, ..State::default() };
        Self { state: Mutex::new(state), returned: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a buffer where that is possible without waiting.
    pub(super) fn try_take(&self) -> Option<PackBuffer> {
        let mut state = self.lock();
        let buffer = match state.idle.pop() {
            Some(buffer) => buffer,
            None if state.in_use < state.most => PackBuffer::new(),
            None => return None,
        };
        state.in_use += 1;
        Some(buffer)
    }

    /// Takes a buffer, waiting until one is free. Where none is on the way to a destination, waiting would be for ever,
    /// so one more is made. `stalled` is asked each [`LOOK`] and may drop a destination that holds up the others.
    pub(super) fn take(
        &self,
        signals: &Signals,
        stalled: &mut dyn FnMut(),
    ) -> Result<PackBuffer, RepositoryError> {
        let mut state = self.lock();
        loop {
            signals.check()?;
            if let Some(buffer) = state.idle.pop() {
                state.in_use += 1;
                return Ok(buffer);
            }
            if state.in_use < state.most || state.on_the_way == 0 {
                state.in_use += 1;
                return Ok(PackBuffer::new());
            }
            let (guard, outcome) =
                self.returned.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if outcome.timed_out() {
                drop(state);
                stalled();
                state = self.lock();
            }
        }
    }

    /// Has one buffer less from now on, down to [`LEAST`]: its memory is wanted elsewhere.
    pub(super) fn shrink(&self) {
        let mut state = self.lock();
        if state.most <= LEAST {
            return;
        }
        state.most -= 1;
        if state.idle.pop().is_none() {
            state.excess += 1;
        }
    }

    /// Gives back a buffer that was not used.
    pub(super) fn give_back(&self, buffer: PackBuffer) {
        let mut state = self.lock();
        state.in_use = state.in_use.saturating_sub(1);
        state.idle.push(buffer);
        drop(state);
        self.returned.notify_all();
    }

    /// Makes the bytes of a full pack, and a ticket that every upload of it holds until it ends. The pack counts as on its
    /// way until the last ticket is gone; its buffer comes back when the last destination lets go of the bytes.
    pub(super) fn lend(self: &Arc<Self>, buffer: PackBuffer) -> (bytes::Bytes, Arc<Ticket>) {
        self.lock().on_the_way += 1;
        let bytes = bytes::Bytes::from_owner(Lent { buffer, pool: self.clone() });
        (bytes, Arc::new(Ticket { pool: self.clone() }))
    }
}

/// Stands for a pack that is on its way.
#[derive(Debug)]
pub(super) struct Ticket {
    pool: Arc<PackPool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.on_the_way = state.on_the_way.saturating_sub(1);
        state.in_use = state.in_use.saturating_sub(1);
        drop(state);
        self.pool.returned.notify_all();
    }
}

struct Lent {
    buffer: PackBuffer,
    pool: Arc<PackPool>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut state = self.pool.lock();
        // A tree of a huge directory makes a pack of its own size; such a buffer is not kept.
        if state.excess > 0 {
            state.excess -= 1;
        } else if buffer.capacity() <= PACK_BYTES * 2 && state.idle.len() < state.most {
            buffer.clear();
            state.idle.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_gives_up_buffers_has_fewer_but_enough() {
        let pool = Arc::new(PackPool::new(LEAST + 2));
        let taken: Vec<_> = std::iter::from_fn(|| pool.try_take()).collect();
        assert_eq!(taken.len(), LEAST + 2);
        (0..5).for_each(|_| pool.shrink());
        taken.into_iter().for_each(|buffer| drop(pool.lend(buffer)));
        assert_eq!(pool.lock().idle.len(), LEAST);
        assert_eq!(std::iter::from_fn(|| pool.try_take()).count(), LEAST);
    }
}

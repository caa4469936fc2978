//! The pace of the call that one is in: how bytes are let through where they are sent and received, evenly, and not before or
//! after a call as a whole.
//!
//! A destination that says so in its record of capabilities asks here before each piece. Whoever makes the call sets the
//! pace; where nobody did, everything passes.

use crate::pacer::Pacer;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// So many bytes are sent at once at most, where a pace is kept.
pub(crate) const PIECE: usize = 64 << 10;

tokio::task_local! {
    static CURRENT: Pace;
}

/// The pace of one call. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    up: Arc<Pacer>,
    down: Arc<Pacer>,
    waits: Arc<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    going_on: AtomicUsize,
    micros: AtomicU64,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the destination.
    Up,
    /// From it.
    Down,
}

impl Pace {
    pub(crate) fn new(up: &Arc<Pacer>, down: &Arc<Pacer>) -> Self {
        Self { up: Arc::clone(up), down: Arc::clone(down), waits: Arc::default() }
    }

    /// Returns the pace of the call that this is in.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Makes a call at this pace.
    pub(crate) async fn keep<F: Future>(&self, call: F) -> F::Output {
        CURRENT.scope(self.clone(), call).await
    }

    /// Returns how long bytes of the call waited until now, and whether some wait.
    pub(crate) fn waited(&self) -> (Duration, bool) {
        let waited = Duration::from_micros(self.waits.micros.load(Ordering::Relaxed));
        (waited, self.waits.going_on.load(Ordering::Relaxed) > 0)
    }

    /// Says whether any hour has a limit for this way.
    pub(crate) fn limits(&self, way: Way) -> bool {
        self.pacer(way).limits_anything()
    }

    /// Waits until so many bytes may pass.
    pub(crate) async fn pass(self, way: Way, bytes: usize) {
        if !self.limits(way) {
            return;
        }
        let _wait = Wait::begin(&self.waits);
        self.pacer(way).pass(bytes as u64).await;
    }

    fn pacer(&self, way: Way) -> &Pacer {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }
}

/// A wait that goes on; it counts when it ends, however it ends.
struct Wait<'a> {
    waits: &'a Waits,
    begun: Instant,
}

impl<'a> Wait<'a> {
    fn begin(waits: &'a Waits) -> Self {
        waits.going_on.fetch_add(1, Ordering::Relaxed);
        Self { waits, begun: Instant::now() }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waits.micros.fetch_add(micros, Ordering::Relaxed);
        self.waits.going_on.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until so many bytes of the call that this is in may pass.
pub(crate) async fn pass(way: Way, bytes: usize) {
    if let Some(pace) = Pace::current() {
        pace.pass(way, bytes).await;
    }
}

/// Takes the pace of the call that this is in along to another task.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let pace = Pace::current();
    async move {
        match pace {
            Some(pace) => pace.keep(work).await,
            None => work.await,
        }
    }
}

/// Takes the pace of the call that this is in along to a thread that may block.
pub(crate) fn carried_to_thread<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let pace = Pace::current();
    move || match pace {
        Some(pace) => CURRENT.sync_scope(pace, work),
        None => work(),
    }
}

/// Does what [`pass`] does, on a thread that may block.
pub(crate) fn pass_blocking(way: Way, bytes: usize) {
    let pace = Pace::current().filter(|pace| pace.limits(way));
    if let Some((pace, runtime)) = pace.zip(tokio::runtime::Handle::try_current().ok()) {
        runtime.block_on(pace.pass(way, bytes));
    }
}

/// What is read at the pace of the call, on a thread that may block.
#[derive(Debug)]
pub(crate) struct Paced<R>(pub(crate) R);

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(PIECE);
        let count = self.0.read(buffer.get_mut(..most).unwrap_or_default())?;
        pass_blocking(Way::Down, count);
        Ok(count)
    }
}

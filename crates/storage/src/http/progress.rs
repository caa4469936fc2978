//! How it is seen that bytes of a request still move.

use crate::pace::{PIECE, Pace, Way};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How many bytes are handed to the connection at once: few enough that a slow one still is seen to move.
const STEP: usize = 128 << 10;
/// From this size on a server may have work to do with what it got before it answers.
const LARGE: usize = 1 << 20;
/// How much longer it is waited for the answer to a large request than for a byte to move.
const LARGE_FACTOR: u32 = 4;

/// When a request last moved, and how long it may stand still.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    moved: Instant,
    patience: Duration,
    /// Whether it stands still because it must: its bytes wait for bandwidth.
    held: bool,
}

impl Progress {
    /// Begins now.
    pub(crate) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { moved: Instant::now(), patience, held: false }) })
    }

    /// Returns the moment at which the request has stood still for too long, and how long that is.
    pub(crate) fn deadline(&self) -> (Instant, Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = if state.held { Instant::now() } else { state.moved };
        (moved + state.patience, state.patience)
    }

    fn moved(&self, patience: Duration) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
            State { moved: Instant::now(), patience, held: false };
    }

    fn held(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).held = true;
    }
}

/// A wait for bandwidth.
type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A request's body that tells whenever the connection takes more of it, and hands out no more than the pace of the call
/// allows.
pub(crate) struct Watched {
    rest: Bytes,
    pace: Option<Pace>,
    /// What the next piece waits for. Behind a lock only because a body must be shareable; nobody shares it.
    wait: Mutex<Option<Wait>>,
    progress: Arc<Progress>,
    patience: Duration,
    /// How long the answer may take once everything is sent: what the kernel still has in its buffers must go first, and a
    /// large object must get to the server's disks.
    answer_patience: Duration,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

impl Watched {
    /// Wraps a body.
    pub(crate) fn new(body: Bytes, progress: Arc<Progress>, patience: Duration) -> Self {
        let answer_patience = if body.len() >= LARGE { patience * LARGE_FACTOR } else { patience };
        let pace = Pace::current().filter(|pace| pace.limits(Way::Up));
        Self { rest: body, pace, wait: Mutex::default(), progress, patience, answer_patience }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let mut step = this.rest.len().min(STEP);
        if let Some(pace) = &this.pace {
            step = step.min(PIECE);
            let wait = this.wait.get_mut().unwrap_or_else(PoisonError::into_inner);
            let waiting = wait.get_or_insert_with(|| Box::pin(pace.clone().pass(Way::Up, step)));
            if waiting.as_mut().poll(context).is_pending() {
                this.progress.held();
                return Poll::Pending;
            }
            *wait = None;
        }
        let step = this.rest.split_to(step);
        this.progress.moved(if this.rest.is_empty() { this.answer_patience } else { this.patience });
        Poll::Ready(Some(Ok(Frame::data(step))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

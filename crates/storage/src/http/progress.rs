//! How it is seen that bytes of a request still move.

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
}

impl Progress {
    /// Begins now.
    pub(crate) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { moved: Instant::now(), patience }) })
    }

    /// Returns the moment at which the request has stood still for too long, and how long that is.
    pub(crate) fn deadline(&self) -> (Instant, Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.moved + state.patience, state.patience)
    }

    fn moved(&self, patience: Duration) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
            State { moved: Instant::now(), patience };
    }
}

/// A request's body that tells whenever the connection takes more of it.
#[derive(Debug)]
pub(crate) struct Watched {
    rest: Bytes,
    progress: Arc<Progress>,
    patience: Duration,
    /// How long the answer may take once everything is sent: what the kernel still has in its buffers must go first, and a
    /// large object must get to the server's disks.
    answer_patience: Duration,
}

impl Watched {
    /// Wraps a body.
    pub(crate) fn new(body: Bytes, progress: Arc<Progress>, patience: Duration) -> Self {
        let answer_patience = if body.len() >= LARGE { patience * LARGE_FACTOR } else { patience };
        Self { rest: body, progress, patience, answer_patience }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let step = this.rest.split_to(this.rest.len().min(STEP));
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

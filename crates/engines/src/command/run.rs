//! A program that runs, and is believed only when it ended well and printed what it must.

use super::plan::{Invocation, Plan};
use crate::error::EngineError;
use crate::tool::{Running, ToolFailure, ToolRun, Tools};
use crate::words::count;
use larder_model::{Cancel, Canceled};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often it is looked whether the time is up.
const LOOK: Duration = Duration::from_millis(100);

/// How much of the end is looked through for the marker, in bytes.
const TAIL: usize = 64 << 10;

/// What helps when a program does not do its work.
pub(super) const REMEDY: &str = "run it by hand as the user that Larder runs as, and see what it says";

/// Ends a program when its time is up, or when somebody asks for it.
#[derive(Debug)]
pub(crate) struct Limit {
    cancel: Cancel,
    is_late: Arc<AtomicBool>,
    timeout: Option<Duration>,
    /// Its end is what the thread sees of the drop.
    _stop: Sender<()>,
}

impl Limit {
    pub(crate) fn start(timeout: Option<Duration>, outer: &Cancel) -> io::Result<Self> {
        let (cancel, is_late) = (Cancel::new(), Arc::new(AtomicBool::new(false)));
        let (stop, stopped) = channel::<()>();
        let (inner, outer, late) = (cancel.clone(), outer.clone(), Arc::clone(&is_late));
        let begun = Instant::now();
        let watch = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let is_up = timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
                if is_up || outer.is_canceled() {
                    late.store(is_up, Ordering::Release);
                    inner.cancel();
                    return;
                }
            }
        };
        std::thread::Builder::new().name("command".to_owned()).spawn(watch)?;
        Ok(Self { cancel, is_late, timeout, _stop: stop })
    }

    /// Returns the flag that ends the program.
    pub(crate) const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Says a failure; a program that was ended here is said to have been late.
    fn explain(&self, failure: ToolFailure) -> String {
        match self.is_late.load(Ordering::Acquire) {
            true => {
                let seconds = self.timeout.unwrap_or_default().as_secs();
                format!("{} did not end within {seconds} s, and was ended", failure.tool)
            }
            false => failure.to_string(),
        }
    }

    /// Turns a failure into the error of an engine.
    pub(crate) fn into_error(self, failure: ToolFailure, action: &str, outer: &Cancel) -> EngineError {
        if outer.is_canceled() {
            return Canceled.into();
        }
        let cause = self.explain(failure).trim_end_matches('.').to_owned();
        EngineError::Failed { action: action.to_owned(), cause, remedy: REMEDY.to_owned() }
    }
}

/// Starts a program of a plan.
pub(super) fn start(
    tools: &Tools,
    plan: &Plan,
    what: &Invocation,
    limit: &Limit,
    more: &[(&str, &str)],
    is_fed: bool,
) -> Result<Running, ToolFailure> {
    let mut run = ToolRun::new(&limit.cancel).args(what.arguments.iter()).within(&plan.directory);
    for (name, value) in &plan.environment {
        run = run.secret_env(name, value);
    }
    for (name, value) in more {
        run = run.env(name, *value);
    }
    if is_fed {
        run = run.fed().quiet();
    }
    tools.at(&what.program).start(run)
}

/// What a program prints; ends well only when the program did, and when nothing is missing.
pub(super) struct Printed<'a> {
    pub(super) running: Running,
    pub(super) limit: &'a Limit,
    pub(super) plan: &'a Plan,
    pub(super) tail: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) is_done: bool,
}

impl Printed<'_> {
    fn judge(&mut self) -> Result<(), String> {
        self.running.finish().map_err(|failure| self.limit.explain(failure))?;
        let name = self.plan.dump.program.file_name().unwrap_or_default().display();
        if self.bytes == 0 {
            return Err(format!("{name} ended well, but printed nothing"));
        }
        if self.bytes < self.plan.minimum {
            return Err(format!(
                "{name} ended well, but printed only {} of at least {}",
                count(self.bytes, "byte", "bytes"),
                crate::words::grouped(self.plan.minimum)
            ));
        }
        match &self.plan.marker {
            Some(marker) if !self.tail.windows(marker.len()).any(|part| part == marker.as_bytes()) => {
                Err(format!("{name} ended well, but '{marker}' is not at the end of what it printed"))
            }
            _ => Ok(()),
        }
    }
}

impl Read for Printed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_done || buffer.is_empty() {
            return Ok(0);
        }
        match self.running.read(buffer) {
            Ok(0) => {
                self.judge().map_err(io::Error::other)?;
                self.is_done = true;
                Ok(0)
            }
            Ok(length) => {
                self.bytes += length as u64;
                let new = buffer.get(..length).unwrap_or_default();
                self.tail.extend_from_slice(new.get(length.saturating_sub(TAIL)..).unwrap_or_default());
                let excess = self.tail.len().saturating_sub(TAIL);
                self.tail.drain(..excess);
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let failure = self.running.broken(error);
                Err(io::Error::other(self.limit.explain(failure)))
            }
        }
    }
}

//! Reading no faster than a task allows.

use larder_model::Cancel;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What counts as one read.
const READ_BYTES: usize = 64 << 10;

/// The longest sleep, so that an abort is soon noticed.
const NAP: Duration = Duration::from_millis(50);

/// Lets so many reads through in a second, over all threads; a file that is opened is one, and so is every 64 KiB of it.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    between: Duration,
    next: Arc<Mutex<Option<Instant>>>,
    cancel: Cancel,
}

impl Gate {
    /// Makes a gate; `None` where nothing is limited.
    pub(crate) fn new(reads_per_second: Option<i32>, cancel: &Cancel) -> Option<Self> {
        let limit =
            reads_per_second.and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0)?;
        Some(Self { between: Duration::from_secs(1) / limit, next: Arc::default(), cancel: cancel.clone() })
    }

    /// Waits until one more read may begin.
    ///
    /// # Errors
    /// The work was aborted.
    pub(crate) fn pass(&self) -> io::Result<()> {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.between);
            turn
        };
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            let left = turn.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// Waits as long as so many bytes take.
    ///
    /// # Errors
    /// The work was aborted.
    pub(crate) fn pass_bytes(&self, bytes: u64) -> io::Result<()> {
        (0..bytes.div_ceil(READ_BYTES as u64)).try_for_each(|_| self.pass())
    }

    /// Returns a reader that passes the gate before each read.
    pub(crate) fn reader<R: Read>(&self, inner: R) -> Throttled<R> {
        Throttled { gate: self.clone(), inner }
    }
}

/// A reader behind a gate.
#[derive(Debug)]
pub(crate) struct Throttled<R> {
    gate: Gate,
    inner: R,
}

impl<R: Read> Read for Throttled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.gate.pass()?;
        let length = buffer.len().min(READ_BYTES);
        self.inner.read(&mut buffer[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_spread_over_time_and_nothing_is_lost() {
        let gate = Gate::new(Some(100), &Cancel::new()).unwrap();
        let bytes = vec![7; 4 * READ_BYTES];
        let begun = Instant::now();
        let mut read = Vec::new();
        gate.reader(&bytes[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert!(begun.elapsed() >= Duration::from_millis(40), "{:?}", begun.elapsed());
        assert!(Gate::new(None, &Cancel::new()).is_none());
    }

    #[test]
    fn what_is_copied_first_waits_as_long_as_what_is_handed_on() {
        let gate = Gate::new(Some(100), &Cancel::new()).unwrap();
        let begun = Instant::now();
        gate.pass_bytes(5 * READ_BYTES as u64).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(40), "{:?}", begun.elapsed());
    }

    #[test]
    fn an_abort_ends_the_wait() {
        let cancel = Cancel::new();
        let gate = Gate::new(Some(1), &cancel).unwrap();
        gate.pass().unwrap();
        cancel.cancel();
        assert!(gate.pass().is_err());
    }
}

//! What a program prints, believed only when the program ended well and printed all of it.

use super::failure::{ToolFailure, ToolTrouble};
use super::running::Running;
use crate::words::count;
use std::io::{self, Read};

/// How much of the end is looked through for the closing marker.
const TAIL_BYTES: usize = 512;

/// How it is known that a program printed everything, besides its exit status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Completeness {
    /// What must stand in the last bytes.
    pub(crate) closing_marker: Option<&'static [u8]>,
    /// What must stand at the very beginning.
    pub(crate) opening_marker: Option<&'static [u8]>,
    /// The least number of bytes; nothing at all is never enough.
    pub(crate) least_bytes: u64,
}

/// A stream that never ends well before its program did: the reader sees an error instead of the end.
///
/// So a dump that was killed, or that lacks its marker, cannot become a file of a backup.
#[derive(Debug)]
pub(crate) struct CheckedStream {
    running: Running,
    completeness: Completeness,
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
    ended: Option<Result<(), ToolFailure>>,
}

impl CheckedStream {
    /// Takes over a program whose output is wanted.
    pub(crate) const fn new(running: Running, completeness: Completeness) -> Self {
        Self { running, completeness, head: Vec::new(), tail: Vec::new(), bytes: 0, ended: None }
    }

    /// Says how many bytes were read.
    pub(crate) const fn length(&self) -> u64 {
        self.bytes
    }

    /// Returns why the program's output is not to be believed, where that is known; better than what the reader passed on.
    pub(crate) fn into_failure(self) -> Option<ToolFailure> {
        self.ended.and_then(Result::err)
    }

    fn note(&mut self, new: &[u8]) {
        self.bytes += new.len() as u64;
        let wanted = self.completeness.opening_marker.map_or(0, <[u8]>::len).saturating_sub(self.head.len());
        self.head.extend(new.iter().take(wanted));
        let kept = new.get(new.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        self.tail.extend_from_slice(kept);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }

    fn judge(&mut self) -> Result<(), ToolFailure> {
        self.running.finish()?;
        let Completeness { closing_marker, opening_marker, least_bytes } = self.completeness;
        let holds = |bytes: &[u8], marker: &[u8]| bytes.windows(marker.len()).any(|window| window == marker);
        let lacks = if self.bytes == 0 {
            "it printed nothing".to_owned()
        } else if self.bytes < least_bytes {
            format!("it printed no more than {}", count(self.bytes, "byte", "bytes"))
        } else if opening_marker.is_some_and(|marker| self.head != marker) {
            "what it printed does not begin as it should".to_owned()
        } else if closing_marker.is_some_and(|marker| !holds(&self.tail, marker)) {
            "what it printed lacks the marker that closes it".to_owned()
        } else {
            return Ok(());
        };
        Err(self.running.broken(io::Error::other("incomplete")).with(ToolTrouble::Incomplete(lacks)))
    }

    fn end(&mut self, outcome: Result<(), ToolFailure>) -> io::Result<usize> {
        let told = match &outcome {
            Ok(()) => Ok(0),
            Err(failure) => Err(io::Error::other(failure.to_string())),
        };
        self.ended = Some(outcome);
        told
    }
}

impl ToolFailure {
    fn with(self, trouble: ToolTrouble) -> Self {
        match self.trouble {
            ToolTrouble::Canceled => self,
            _ => Self { trouble, ..self },
        }
    }
}

impl Read for CheckedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.ended {
            Some(Ok(())) => return Ok(0),
            Some(Err(failure)) => return Err(io::Error::other(failure.to_string())),
            None if buffer.is_empty() => return Ok(0),
            None => {}
        }
        match self.running.read(buffer) {
            Ok(0) => {
                let outcome = self.judge();
                self.end(outcome)
            }
            Ok(length) => {
                self.note(buffer.get(..length).unwrap_or_default());
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let failure = self.running.broken(error);
                self.end(Err(failure))
            }
        }
    }
}

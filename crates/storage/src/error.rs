//! What can go wrong at a destination.

use std::fmt;
use std::time::Duration;

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// There is no such object.
    NotFound,
    /// The credentials or permissions do not suffice.
    Denied,
    /// No space is left, or a quota is used up.
    Full,
    /// The destination does not answer, or asks to be left alone for a while; trying again may help.
    Unavailable,
    /// The destination answered with fewer or other bytes than it should hold.
    Damaged,
    /// The object lies in a cold class and must be asked for before it can be read.
    Cold,
    /// The object is locked until a date and cannot be removed or replaced before.
    Protected,
    /// The path or the configuration makes no sense.
    Invalid,
    /// Anything else.
    Other,
}

/// A failed call to a destination: what was attempted, on which object, where, and why it failed.
#[derive(Debug)]
pub struct StorageError {
    /// What kind of failure it is.
    pub kind: StorageErrorKind,
    /// What was attempted: `read`, `write`, `list`, `delete`, `look up`.
    pub action: &'static str,
    /// The object's path below the destination's root; empty for the root itself.
    pub path: String,
    /// The destination as [`crate::Storage::describe`] names it.
    pub destination: String,
    /// Why it failed, in the destination's own words.
    pub cause: String,
    /// How long the destination asks to be left alone before the next attempt, where it says so.
    pub retry_after: Option<Duration>,
}

impl StorageError {
    /// Makes an error; see the fields of the same names.
    #[must_use]
    pub fn new(
        kind: StorageErrorKind,
        action: &'static str,
        path: impl Into<String>,
        destination: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        let (path, destination, cause) = (path.into(), destination.into(), cause.into());
        Self { kind, action, path, destination, cause, retry_after: None }
    }

    /// Adds how long the destination asks to be left alone.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Says whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, StorageErrorKind::Unavailable)
    }

    /// Says whether the destination lives and asked for fewer or slower calls: [`StorageError::retry_after`] is given then, and
    /// is zero where it named no time.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        self.is_retryable() && self.retry_after.is_some()
    }

    /// Says whether the object simply is not there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self.kind, StorageErrorKind::NotFound)
    }

    const fn remedy(&self) -> &'static str {
        match self.kind {
            StorageErrorKind::Full => "; free space there, or choose another destination",
            StorageErrorKind::Damaged => "; run a check to see what is lost with it",
            StorageErrorKind::Unavailable => "; it will be tried again",
            StorageErrorKind::Cold => "; a restore asks for it and waits until it can be read",
            StorageErrorKind::Protected => "; it is kept until its lock ends",
            _ => "",
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} ", self.action)?;
        if !self.path.is_empty() {
            write!(f, "'{}' at ", self.path)?;
        }
        write!(f, "{}: {}{}", self.destination, self.cause, self.remedy())
    }
}

impl std::error::Error for StorageError {}

//! What SFTP's answers, and those of `ssh`, mean for a destination.

use super::packet::{Reader, status};
use crate::error::StorageErrorKind;

/// Why a step failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: StorageErrorKind,
    pub(super) cause: String,
    /// The number that the server gave, where it did.
    pub(super) code: Option<u32>,
    /// Whether the connection is gone.
    pub(super) lost: bool,
}

impl Failure {
    /// Makes a failure that leaves the connection as it is.
    pub(super) fn new(kind: StorageErrorKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), code: None, lost: false }
    }

    /// Makes a failure of the connection itself.
    pub(super) fn cut(cause: impl Into<String>) -> Self {
        Self { kind: StorageErrorKind::Unavailable, cause: cause.into(), code: None, lost: true }
    }

    /// Makes a failure of a packet that is not as the protocol wants it.
    pub(super) fn nonsense() -> Self {
        Self::cut("the server's answer makes no sense")
    }

    /// Reads the answer that a request failed; nothing where it says that all went well.
    pub(super) fn of_status(mut body: Reader<'_>) -> Option<Self> {
        let Some(code) = body.u32() else { return Some(Self::nonsense()) };
        let words = body.bytes().map(|words| String::from_utf8_lossy(words).into_owned()).unwrap_or_default();
        let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
        let kind = match code {
            status::OK => return None,
            status::NO_SUCH_FILE => StorageErrorKind::NotFound,
            status::PERMISSION_DENIED => StorageErrorKind::Denied,
            status::NO_CONNECTION | status::CONNECTION_LOST => StorageErrorKind::Unavailable,
            status::NO_SPACE | status::QUOTA_EXCEEDED => StorageErrorKind::Full,
            _ if ["space", "quota", "disk full"].iter().any(|word| words.to_lowercase().contains(word)) => {
                StorageErrorKind::Full
            }
            _ => StorageErrorKind::Other,
        };
        Some(Self { kind, cause: format!("the server answered '{words}'"), code: Some(code), lost: false })
    }
}

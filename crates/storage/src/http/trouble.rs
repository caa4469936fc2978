//! The words for what goes wrong before a server answers.

use crate::error::{StorageError, StorageErrorKind};
use std::error::Error;
use std::io;
use std::time::Duration;

/// What is being attempted: the part of every error that does not depend on what went wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// `read`, `write`, `list`, `delete`, `look up`, `open`.
    pub(crate) action: &'static str,
    /// The object's path below the destination's root.
    pub(crate) path: &'a str,
    /// The destination's name.
    pub(crate) destination: &'a str,
}

impl<'a> Attempt<'a> {
    pub(crate) const fn new(action: &'static str, path: &'a str, destination: &'a str) -> Self {
        Self { action, path, destination }
    }

    /// Makes the error of a failed attempt.
    pub(crate) fn failure(&self, kind: StorageErrorKind, cause: impl Into<String>) -> StorageError {
        StorageError::new(kind, self.action, self.path, self.destination, cause)
    }

    /// Makes the error of an attempt that makes no sense.
    pub(crate) fn invalid(&self, cause: impl Into<String>) -> StorageError {
        self.failure(StorageErrorKind::Invalid, cause)
    }
}

/// No byte moved for too long.
pub(crate) fn stalled(attempt: &Attempt<'_>, server: &str, patience: Duration) -> StorageError {
    let cause = format!("{server} did not move a byte for {} s", patience.as_secs_f64());
    attempt.failure(StorageErrorKind::Unavailable, cause)
}

/// The connection did not come about, or broke.
pub(crate) fn network(attempt: &Attempt<'_>, server: &str, error: reqwest::Error) -> StorageError {
    // The address may hold a signature.
    let error = error.without_url();
    if let Some(tls) = find::<rustls::Error>(&error) {
        return untrusted(attempt, server, tls);
    }
    let reason = innermost(&error);
    let cause = if error.is_dns() {
        format!("the name of {server} cannot be resolved: {reason}")
    } else if error.is_connect() && error.is_timeout() {
        format!("{server} cannot be reached: no connection came about in time")
    } else if error.is_connect() {
        format!("{server} cannot be reached: {reason}")
    } else if error.is_builder() {
        return attempt.invalid(format!("no request can be made of it: {reason}"));
    } else {
        format!("the connection to {server} broke: {reason}")
    };
    attempt.failure(StorageErrorKind::Unavailable, cause)
}

fn untrusted(attempt: &Attempt<'_>, server: &str, error: &rustls::Error) -> StorageError {
    match error {
        rustls::Error::InvalidCertificate(_) => attempt.invalid(format!(
            "the certificate of {server} is not trusted: {error}; name its authority's certificate to Larder, if you know \
             that it is the right server"
        )),
        // Cut in the middle of a record, for one.
        _ => attempt.failure(
            StorageErrorKind::Unavailable,
            format!("no encrypted connection to {server} came about: {error}"),
        ),
    }
}

/// Looks for a cause of one type. Errors of I/O may hide theirs, so it is looked for inside them, too.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| find::<T>(inside)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns the words of the first cause, without the number that the standard library adds.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_lowercase()
}

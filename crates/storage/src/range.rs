//! Bytes out of the middle of an object, by HTTP.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use std::ops::Range;

/// Refuses a range that ends before it begins.
pub(crate) fn accept(attempt: &Attempt<'_>, range: &Range<u64>) -> Result<(), StorageError> {
    if range.start > range.end { Err(attempt.invalid(format!("{range:?} is no range"))) } else { Ok(()) }
}

/// Writes the header that asks for a range which is not empty (RFC 9110, 14.2).
pub(crate) fn header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// Makes the error for an object that ends before a range does.
pub(crate) fn short(attempt: &Attempt<'_>, range: &Range<u64>, found: &str) -> StorageError {
    let cause = format!("the bytes {} to {} were asked for, but {found}", range.start, range.end);
    attempt.failure(StorageErrorKind::Damaged, cause)
}

/// Answers a range without bytes in it, which no header can ask for, from the object's size.
pub(crate) fn empty(
    attempt: &Attempt<'_>,
    range: &Range<u64>,
    size_bytes: u64,
) -> Result<Bytes, StorageError> {
    if range.start <= size_bytes {
        Ok(Bytes::new())
    } else {
        Err(short(attempt, range, "the object ends before"))
    }
}

/// Reads exactly the bytes that were asked for, also from a server that sends the whole object instead.
///
/// # Errors
/// The server sent fewer bytes, or others.
pub(crate) async fn read(
    answer: Answer,
    attempt: &Attempt<'_>,
    range: &Range<u64>,
) -> Result<Bytes, StorageError> {
    let wanted = range.end - range.start;
    let mut answer = answer;
    let mut to_skip = match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            let said = answer.header("content-range").unwrap_or_default();
            let begins = said.strip_prefix("bytes ").and_then(|said| said.split('-').next());
            if begins.and_then(|begins| begins.trim().parse().ok()) != Some(range.start) {
                let found = format!("the server sent '{said}'");
                return Err(short(attempt, range, &found));
            }
            0
        }
        _ => range.start,
    };
    let mut found = BytesMut::new();
    while let Some(mut chunk) = answer.chunk(attempt).await? {
        let skipped = to_skip.min(chunk.len() as u64);
        to_skip -= skipped;
        let mut chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        let missing = usize::try_from(wanted - found.len() as u64).unwrap_or(usize::MAX);
        if chunk.len() > missing {
            if answer.status() == StatusCode::PARTIAL_CONTENT {
                return Err(short(attempt, range, "the server sent more"));
            }
            chunk.truncate(missing);
        }
        found.extend_from_slice(&chunk);
        if found.len() as u64 == wanted && answer.status() != StatusCode::PARTIAL_CONTENT {
            break;
        }
    }
    if found.len() as u64 == wanted {
        Ok(found.freeze())
    } else {
        Err(short(attempt, range, &format!("only {} of them came", found.len())))
    }
}

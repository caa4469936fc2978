//! What a status means for a caller.

use crate::error::StorageErrorKind;
use http::StatusCode;

/// Tells the kinds of failure apart by the status, as RFC 9110, RFC 6585 and RFC 4918 define it.
pub(crate) fn of_status(status: StatusCode) -> StorageErrorKind {
    match status.as_u16() {
        404 | 410 => StorageErrorKind::NotFound,
        401 | 403 | 407 => StorageErrorKind::Denied,
        413 | 507 => StorageErrorKind::Full,
        408 | 425 | 429 | 500 | 502..=504 | 509 | 520..=529 => StorageErrorKind::Unavailable,
        300..=399 | 400 | 405 | 414 | 501 | 505 => StorageErrorKind::Invalid,
        _ => StorageErrorKind::Other,
    }
}

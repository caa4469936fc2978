//! An answer that says no.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::trouble::Attempt;
use crate::http::{kind, refusal_body, retry_after};
use http::{HeaderMap, StatusCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// No more of what a server says stands in a message.
const WORDS_AT_MOST: usize = 300;
/// Where servers name a request so that their own people can find it.
const REQUEST_ID_HEADERS: [&str; 3] = ["x-amz-request-id", "x-ms-request-id", "x-goog-request-id"];
/// Where servers name the reason of an answer that has no body, as every answer to HEAD.
const CODE_HEADERS: [&str; 2] = ["x-ms-error-code", "x-amz-error-code"];

/// Why a server refused, in its own words.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// The server's own name of the reason: `NoSuchKey`, `BlobNotFound`, `forbidden`; empty where it has none.
    pub(crate) code: String,
    /// What the server says to people; empty where it says nothing.
    pub(crate) message: String,
    /// Everything that the body says, by the innermost names.
    pub(crate) fields: BTreeMap<String, String>,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    request_id: Option<String>,
}

impl Refusal {
    /// Reads a refusal from an answer.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let header =
            |name: &&str| headers.get(*name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let fields = refusal_body::read(body);
        let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
        Self {
            status,
            code: field(&["Code", "reason", "code"])
                .or_else(|| CODE_HEADERS.iter().find_map(header))
                .unwrap_or_default(),
            message: field(&["Message", "message"]).unwrap_or_default(),
            retry_after: retry_after::read(headers),
            request_id: REQUEST_ID_HEADERS.iter().find_map(header).or_else(|| field(&["RequestId"])),
            fields,
        }
    }

    /// Returns what the status alone says of the kind of failure.
    pub(crate) fn kind(&self) -> StorageErrorKind {
        kind::of_status(self.status)
    }

    /// Returns the server's words, with all that helps its own people: `Access Denied (HTTP 403, AccessDenied, request 7F)`.
    pub(crate) fn words(&self) -> String {
        let mut said: String = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() {
            said = self.status.canonical_reason().unwrap_or("the server refused").to_lowercase();
        }
        if said.chars().count() > WORDS_AT_MOST {
            said = said.chars().take(WORDS_AT_MOST).chain(['…']).collect();
        }
        let mut details = format!("HTTP {}", self.status.as_u16());
        if !self.code.is_empty() {
            details = format!("{details}, {}", self.code);
        }
        if let Some(id) = &self.request_id {
            details = format!("{details}, request {id}");
        }
        format!("{} ({details})", said.trim_end_matches('.'))
    }

    /// Makes the error that the status alone suggests.
    pub(crate) fn error(&self, attempt: &Attempt<'_>) -> StorageError {
        self.error_of(attempt, self.kind(), self.words())
    }

    /// Makes an error of a kind and with a cause that somebody knows better.
    pub(crate) fn error_of(
        &self,
        attempt: &Attempt<'_>,
        kind: StorageErrorKind,
        cause: impl Into<String>,
    ) -> StorageError {
        attempt.failure(kind, cause).with_retry_after(self.retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_an_error_with_the_servers_words_and_its_wish_to_be_left_alone() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        headers.insert("x-amz-request-id", "4711".parse().unwrap());
        let refusal = Refusal::read(
            StatusCode::SERVICE_UNAVAILABLE,
            &headers,
            b"<Error><Code>SlowDown</Code><Message>Please reduce\n your request rate.</Message></Error>",
        );
        let error = refusal.error(&Attempt::new("write", "data/ab", "s3://bucket"));
        assert_eq!(error.kind, StorageErrorKind::Unavailable);
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(
            error.to_string(),
            "could not write 'data/ab' at s3://bucket: Please reduce your request rate (HTTP 503, SlowDown, request 4711); it will \
             be tried again"
        );
    }

    #[test]
    fn a_refusal_without_a_body_has_the_words_of_its_status() {
        let refusal = Refusal::read(StatusCode::FORBIDDEN, &HeaderMap::new(), b"");
        assert_eq!(refusal.kind(), StorageErrorKind::Denied);
        assert_eq!(refusal.words(), "forbidden (HTTP 403)");
    }
}

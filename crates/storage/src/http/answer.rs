//! What a server answered.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::refusal::Refusal;
use crate::http::trouble::{self, Attempt};
use crate::pace::{self, Way};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Memory is set aside for no more than this before bytes arrive: a length is only what somebody said.
const RESERVE_AT_MOST: u64 = 64 << 20;
/// As much of a refusal is read; it says why in its first lines.
const REFUSAL_AT_MOST: u64 = 64 << 10;

/// The head of an answer, and the bytes that follow it.
#[derive(Debug)]
pub(crate) struct Answer {
    response: reqwest::Response,
    server: String,
    patience: Duration,
}

impl Answer {
    pub(crate) const fn new(response: reqwest::Response, server: String, patience: Duration) -> Self {
        Self { response, server, patience }
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns all headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns a header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Returns the length that the head names: of the object, where it was asked for by HEAD.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// Waits for the next bytes; `None` after the last.
    ///
    /// # Errors
    /// The connection was cut, or stood still for too long.
    pub(crate) async fn chunk(&mut self, attempt: &Attempt<'_>) -> Result<Option<Bytes>, StorageError> {
        match tokio::time::timeout(self.patience, self.response.chunk()).await {
            Ok(Ok(chunk)) => {
                // Nobody reads meanwhile, so that the server sends no faster.
                pace::pass(Way::Down, chunk.as_ref().map_or(0, Bytes::len)).await;
                Ok(chunk)
            }
            Ok(Err(error)) => Err(trouble::network(attempt, &self.server, error)),
            Err(_) => Err(trouble::stalled(attempt, &self.server, self.patience)),
        }
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// The connection was cut, or more bytes came than allowed.
    pub(crate) async fn bytes(mut self, attempt: &Attempt<'_>, at_most: u64) -> Result<Bytes, StorageError> {
        let expected = self.length().unwrap_or(0).min(at_most).min(RESERVE_AT_MOST);
        let mut all = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
        while let Some(chunk) = self.chunk(attempt).await? {
            if (all.len() + chunk.len()) as u64 > at_most {
                let cause = format!("{} sent more than the {at_most} bytes that were expected", self.server);
                return Err(attempt.failure(StorageErrorKind::Damaged, cause));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads why the server refused. What cannot be read of it is left out: the status says enough.
    pub(crate) async fn refusal(mut self, attempt: &Attempt<'_>) -> Refusal {
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = self.chunk(attempt).await {
            body.extend_from_slice(&chunk);
            if body.len() as u64 >= REFUSAL_AT_MOST {
                break;
            }
        }
        Refusal::read(self.status(), self.headers(), &body)
    }
}

//! Reads what a caller sent, and declines it in our own words.

use crate::error::ApiError;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use larder_model::OperationId;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body that is read, in bytes.
pub(crate) const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// How long a caller may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a body could not be read.
pub(crate) enum Unread {
    /// It is larger than allowed, or was cut short.
    TooLarge,
    /// It did not come in time.
    TooSlow,
}

/// Reads a body that is not too large and does not take too long.
pub(crate) async fn read_bytes(request: Request) -> Result<axum::body::Bytes, Unread> {
    // Said before a byte of it is read, where the caller says how much is to come.
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_LIMIT_BYTES as u64) {
        return Err(Unread::TooLarge);
    }
    let reading = axum::body::to_bytes(request.into_body(), BODY_LIMIT_BYTES);
    let bytes = tokio::time::timeout(BODY_TIMEOUT, reading).await.map_err(|_| Unread::TooSlow)?;
    bytes.map_err(|_| Unread::TooLarge)
}

/// The body of a request, as JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let media = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = read_bytes(request).await.map_err(|unread| match unread {
            Unread::TooLarge => too_large(),
            Unread::TooSlow => too_slow(),
        })?;
        // A request whose every field may be left out needs no body.
        let bytes = if bytes.is_empty() { "{}".into() } else { bytes };
        let is_json = media.as_ref().and_then(|media| media.to_str().ok()).is_some_and(is_json);
        if !is_json && bytes.as_ref() != b"{}" {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "MediaType",
                "the body must be JSON; send it with 'Content-Type: application/json'",
            ));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            ApiError::invalid(format!(
                "the body is not what this route takes: {error}; see /api/v1/openapi.json"
            ))
        })
    }
}

fn is_json(media: &str) -> bool {
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "TooLarge",
        "the body was cut short or is larger than 1 MiB; nothing Larder takes is that large",
    )
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "TooSlow",
        "the body did not arrive within 20 seconds; send it again",
    )
}

/// What stands behind the question mark.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            ApiError::invalid(format!("what stands behind the question mark makes no sense: {cause}"))
        })
    }
}

/// Reads the number of an operation.
pub(crate) fn operation_id(text: &str) -> Result<OperationId, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        ApiError::invalid(format!("'{shown}' is no number of an operation; they count from 1"))
    })
}

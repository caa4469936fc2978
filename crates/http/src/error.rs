//! What can go wrong: at start, and in one request.

use crate::answer::{Declined, ErrorBody};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder_service::ServiceError;
use std::net::SocketAddr;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It would be open to others without any lock.
    #[error(
        "{address} can be reached from other machines, so a token is needed; write one into a file and name it with --token-file, or bind to 127.0.0.1"
    )]
    NoToken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The port is taken.
    #[error(
        "another program listens on {address} already; stop it, or choose another port with --bind, for example --bind 127.0.0.1:8601"
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// It could not listen for another reason.
    #[error("could not listen on {address}: {cause}; choose another address with --bind")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        cause: String,
    },
    /// The token is too easy to guess.
    #[error(
        "the token has {characters} characters, which is too few to keep anybody out; use at least {minimum}, for example the output of: openssl rand -hex 32"
    )]
    WeakToken {
        /// How many it has.
        characters: usize,
        /// How many it needs.
        minimum: usize,
    },
}

/// A request that was declined, with its status.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Declined,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, body: Declined { kind: kind.to_owned(), message: message.into(), field: None } }
    }

    pub(crate) fn message(&self) -> &str {
        &self.body.message
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid", message)
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let (status, kind) = match &error {
            ServiceError::NotFound { .. } => (StatusCode::NOT_FOUND, "NotFound"),
            ServiceError::Invalid { .. } | ServiceError::WrongValue(_) => {
                (StatusCode::BAD_REQUEST, "Invalid")
            }
            ServiceError::Conflict { .. } | ServiceError::Refused { .. } => {
                (StatusCode::CONFLICT, "Conflict")
            }
            ServiceError::Engine(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Source"),
            ServiceError::Storage(_) => (StatusCode::BAD_GATEWAY, "Destination"),
            ServiceError::Repository { .. } => (StatusCode::BAD_GATEWAY, "Repository"),
            ServiceError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "Stopping"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Server"),
        };
        let mut answer = Self::new(status, kind, error.to_string());
        if let ServiceError::Invalid { field, .. } = error {
            answer.body.field = Some(field.to_owned());
        }
        answer
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.body })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

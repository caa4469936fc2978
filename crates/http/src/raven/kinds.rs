//! The table of what went wrong: with which status and which of RavenDB's types each kind is answered.

use super::failure::{Failure, class};
use axum::http::StatusCode;
use larder_service::{ErrorKind, ServiceError};

/// Returns the status and the type of a kind. RavenDB answers nearly everything with 500.
const fn answer(kind: ErrorKind) -> (StatusCode, &'static str) {
    const SERVER: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
    match kind {
        ErrorKind::Argument => (SERVER, class::ARGUMENT),
        ErrorKind::ArgumentOutOfRange => (SERVER, class::RANGE),
        ErrorKind::NotSupported => (SERVER, class::NOT_SUPPORTED),
        ErrorKind::Crontab => (SERVER, class::CRONTAB),
        ErrorKind::Format => (SERVER, class::FORMAT),
        ErrorKind::ApplyRefused => (SERVER, class::APPLY),
        ErrorKind::UnknownTask => (SERVER, class::APPLY_OPERATION),
        ErrorKind::DatabaseMissing => (SERVER, class::DATABASE),
        ErrorKind::DatabaseExists => (StatusCode::CONFLICT, class::CONCURRENCY),
        ErrorKind::BadName => (StatusCode::BAD_REQUEST, class::BAD_REQUEST),
        ErrorKind::InvalidOperation | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Source => {
            (SERVER, class::OPERATION)
        }
        ErrorKind::Destination => (SERVER, class::IO),
        // Clients take 503 for a node that is down, and try again.
        ErrorKind::Stopped => (StatusCode::SERVICE_UNAVAILABLE, class::OPERATION),
        ErrorKind::Server => (SERVER, class::RAVEN),
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let (status, class) = answer(error.kind());
        Self::new(status, class, error.to_string())
    }
}

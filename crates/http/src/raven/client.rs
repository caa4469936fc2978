//! Which of RavenDB's clients asks, for the two places where one of them needs another answer than the rest.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use std::convert::Infallible;

/// A client, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// `ravendb` for Node: fails on any body where it expects none.
    Node,
    /// `ravendb` for Python: fails on a retention policy without an age.
    Python,
    /// Anybody else.
    Other,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let agent = agent.unwrap_or_default().to_ascii_lowercase();
        let is_raven = parts.headers.contains_key("Raven-Client-Version");
        Ok(match is_raven {
            true if agent.starts_with("node") || agent.starts_with("undici") => Self::Node,
            true if agent.starts_with("python") => Self::Python,
            _ => Self::Other,
        })
    }
}

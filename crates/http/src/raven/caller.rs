//! The address under which a caller reached this server, which is the one it must be told to go on with.

use crate::server::App;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use std::convert::Infallible;

/// The server's address as the caller knows it, without a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct OwnUrl(pub(crate) String);

impl FromRequestParts<App> for OwnUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        if let Some(public) = &app.public_url {
            return Ok(Self(public.trim_end_matches('/').to_owned()));
        }
        let host =
            parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|h| is_plain(h));
        let host = host.map_or_else(|| app.address.to_string(), str::to_owned);
        Ok(Self(format!("http://{host}")))
    }
}

/// Says whether a `Host` header is a name or an address with at most a port, and nothing that a URL would read
/// differently. The door has already decided whether the name is one of ours.
fn is_plain(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

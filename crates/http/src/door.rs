//! The lock on the door: who may ask at all.
//!
//! Without a token the server listens on loopback only, and a browser on the same host must not become a way in:
//! a page of another site may neither send requests there (foreign `Origin`) nor reach it under its own name by
//! pointing that name at 127.0.0.1 (foreign `Host`).

use crate::error::ApiError;
use axum::http::{HeaderMap, StatusCode, header};
use larder_model::Secret;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// The fewest characters a token may have; 16 random hexadecimal digits are 64 bits.
pub(crate) const MINIMUM_TOKEN_CHARACTERS: usize = 16;

/// Decides which requests are let in.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    token: Option<Secret>,
    hosts: Vec<String>,
}

impl Door {
    /// Makes a door that asks for the token where there is one, and that knows names besides `localhost`.
    pub(crate) fn new(token: Option<Secret>, hosts: &[String]) -> Self {
        Self { token, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    pub(crate) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Lets a request in, or says why not.
    pub(crate) fn admit(&self, headers: &HeaderMap, is_health: bool) -> Result<(), ApiError> {
        let host = self.host(headers)?;
        check_origin(headers, host)?;
        match &self.token {
            Some(token) if !is_health => check_token(headers, token),
            _ => Ok(()),
        }
    }

    fn host<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, ApiError> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // A name that leads here by mistake or malice cannot know the token, so with one every name is fine.
        if self.token.is_some() || self.is_own(host_name(host)) {
            return Ok(host);
        }
        Err(forbidden(format!(
            "this server was called by the name '{}', which is not its own; call it 127.0.0.1 or localhost, or add the name to allowed_hosts in larder.toml",
            shown(host)
        )))
    }

    fn is_own(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name == "localhost" || address.is_ok() || self.hosts.contains(&name)
    }
}

fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let own = ["http://", "https://"]
        .iter()
        .any(|scheme| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host)));
    if own {
        return Ok(());
    }
    Err(forbidden(format!(
        "a page of '{}' tried to use this server, and pages of other sites may not; open the server's own page instead",
        shown(origin)
    )))
}

fn check_token(headers: &HeaderMap, token: &Secret) -> Result<(), ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, given) = given.split_once(' ').unwrap_or_default();
    let is_right = given.trim().as_bytes().ct_eq(token.expose().as_bytes());
    if scheme.eq_ignore_ascii_case("bearer") && bool::from(is_right) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "this server asks for its token; send it as 'Authorization: Bearer …', or name its file with --token-file",
    ))
}

fn forbidden(message: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message)
}

/// Returns a header value as it may be repeated: short, and without anything but plain characters.
fn shown(value: &str) -> String {
    value.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

/// Returns the name in a `Host` header without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn open() -> Door {
        Door::new(None, &["backup.example".to_owned()])
    }

    fn locked() -> Door {
        Door::new(Some(Secret::new("0123456789abcdef".to_owned())), &[])
    }

    #[test]
    fn own_names_are_let_in() {
        for host in
            ["localhost:8600", "127.0.0.1:8600", "[::1]:8600", "LOCALHOST", "backup.example:80", "[::1]"]
        {
            assert!(open().admit(&headers(&[("host", host)]), false).is_ok(), "{host}");
        }
    }

    #[test]
    fn foreign_names_are_refused_even_for_health() {
        for host in ["evil.example:8600", "localhost.evil.example", "", "127.0.0.1.evil.example:8600"] {
            assert!(open().admit(&headers(&[("host", host)]), true).is_err(), "{host}");
        }
        assert!(open().admit(&HeaderMap::new(), true).is_err());
    }

    #[test]
    fn pages_of_other_sites_are_refused_with_or_without_a_token() {
        let own = [("host", "127.0.0.1:8600"), ("origin", "http://127.0.0.1:8600")];
        assert!(open().admit(&headers(&own), false).is_ok());
        for origin in
            ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8600.evil.example"]
        {
            let foreign = headers(&[
                ("host", "127.0.0.1:8600"),
                ("origin", origin),
                ("authorization", "Bearer 0123456789abcdef"),
            ]);
            assert!(open().admit(&foreign, false).is_err(), "{origin}");
            assert!(locked().admit(&foreign, false).is_err(), "{origin}");
        }
    }

    #[test]
    fn the_token_opens_every_route_and_health_needs_none() {
        let with = |value| headers(&[("host", "backup.example"), ("authorization", value)]);
        assert!(locked().admit(&with("Bearer 0123456789abcdef"), false).is_ok());
        for wrong in
            ["Bearer 0123456789abcdeX", "Bearer 0123456789abcde", "Bearer ", "Basic 0123456789abcdef", ""]
        {
            assert!(locked().admit(&with(wrong), false).is_err(), "{wrong}");
        }
        assert!(locked().admit(&headers(&[("host", "backup.example")]), true).is_ok());
        assert!(locked().admit(&headers(&[("host", "backup.example")]), false).is_err());
    }
}

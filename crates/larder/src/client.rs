//! Asks a running server.

use crate::cli::Connection;
use crate::exit::{Exit, Failure};
use crate::host::read_secret;
use larder_http::ErrorBody;
use larder_model::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use ureq::http::{Request, StatusCode};
use ureq::{Agent, SendBody};

/// How long to wait for the connection itself. Answers may take long: a repository is read for some of them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT_BYTES: u64 = 1 << 30;

/// A server's address and the way to it.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: Option<Secret>,
}

impl Client {
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        let base = connection.server.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            return Err(Failure::new(format!(
                "'{base}' is no address of a server; write it as http://HOST:PORT (for https put a proxy on this host)"
            )));
        }
        let token =
            connection.token_file.as_deref().map(|path| read_secret(path, "token file")).transpose()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .build();
        Ok(Self { agent: config.into(), base, token })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Failure> {
        self.ask("GET", path, None::<&()>)
    }

    pub(crate) fn post<T: DeserializeOwned, B: Serialize>(
        &self,
        path: &Path,
        body: &B,
    ) -> Result<T, Failure> {
        self.ask("POST", path, Some(body))
    }

    /// Asks for something that needs nothing said.
    pub(crate) fn act<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Failure> {
        self.ask("POST", path, None::<&()>)
    }

    pub(crate) fn put<T: DeserializeOwned, B: Serialize>(&self, path: &Path, body: &B) -> Result<T, Failure> {
        self.ask("PUT", path, Some(body))
    }

    pub(crate) fn delete(&self, path: &Path) -> Result<(), Failure> {
        self.send("DELETE", path, None::<&()>).map(|_| ())
    }

    /// Deletes what a body names.
    pub(crate) fn delete_these<T: DeserializeOwned, B: Serialize>(
        &self,
        path: &Path,
        body: &B,
    ) -> Result<T, Failure> {
        self.ask("DELETE", path, Some(body))
    }

    /// Asks for something that is answered without words.
    pub(crate) fn tell(&self, path: &Path) -> Result<(), Failure> {
        self.send("POST", path, None::<&()>).map(|_| ())
    }

    fn ask<T: DeserializeOwned, B: Serialize>(
        &self,
        method: &str,
        path: &Path,
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let text = self.send(method, path, body)?;
        serde_json::from_str(&text).map_err(|error| self.strange(&error.to_string()))
    }

    fn send<B: Serialize>(&self, method: &str, path: &Path, body: Option<&B>) -> Result<String, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{}", self.base, path.0));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| Failure::new(error.to_string()))?,
            None => Vec::new(),
        };
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
        }
        let wrong = |error| Failure::new(format!("'{}' is no address of a server: {error}", self.base));
        let answer = if body.is_empty() {
            self.agent.run(request.body(SendBody::none()).map_err(wrong)?)
        } else {
            self.agent.run(request.body(body).map_err(wrong)?)
        };
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT_BYTES)
            .read_to_string()
            .map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() { Ok(text) } else { Err(self.declined(answer.status(), &text)) }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::with(
            Exit::Unreachable,
            format!(
                "no Larder answers at {} ({error}); start one with: larder serve, or name another with --server",
                self.base
            ),
        )
    }

    fn declined(&self, status: StatusCode, text: &str) -> Failure {
        if let Ok(body) = serde_json::from_str::<ErrorBody>(text) {
            return Failure { exit: Exit::Failed, kind: body.error.kind, message: body.error.message };
        }
        match serde_json::from_str::<RavenError>(text) {
            Ok(body) => {
                let kind = body.kind.rsplit('.').next().unwrap_or_default().trim_end_matches("Exception");
                Failure { exit: Exit::Failed, kind: kind.to_owned(), message: body.message }
            }
            Err(_) => self.strange(&format!("status {status}")),
        }
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::new(format!(
            "what answers at {} does not speak as this Larder does ({what}); check the address and that both are of one version",
            self.base
        ))
    }
}

/// An error of the routes that RavenDB's clients ask.
#[derive(Deserialize)]
struct RavenError {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Message")]
    message: String,
}

/// A route of the server, put together from parts that may hold any character.
#[derive(Clone, Debug)]
pub(crate) struct Path(String);

impl Path {
    /// Makes the address of `/api/v1/part/part`.
    pub(crate) fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let parts: Vec<String> = parts.into_iter().map(escape).collect();
        Self(format!("/api/v1/{}", parts.join("/")))
    }

    /// Makes the address of a route that RavenDB's clients ask too: `/part/part`.
    pub(crate) fn raven<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let parts: Vec<String> = parts.into_iter().map(escape).collect();
        Self(format!("/{}", parts.join("/")))
    }

    /// Adds a parameter, where there is a value for it.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let sign = if self.0.contains('?') { '&' } else { '?' };
            self.0 = format!("{}{sign}{name}={}", self.0, escape(value));
        }
        self
    }
}

/// Escapes everything but the unreserved characters of RFC 3986 section 2.3.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_stand_in_an_address() {
        let path = Path::new(["tasks", "Nightly / all?"]).with("count", Some("5")).with("task", Some("a&b"));
        assert_eq!(path.0, "/api/v1/tasks/Nightly%20%2F%20all%3F?count=5&task=a%26b");
        assert_eq!(Path::new(["databases", "größe"]).with("x", None).0, "/api/v1/databases/gr%C3%B6%C3%9Fe");
    }
}

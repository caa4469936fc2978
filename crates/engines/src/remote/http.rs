//! Asks servers that speak HTTP.

use super::options::Options;
use super::tls::Tls;
use super::{Address, CONNECT, SILENCE};
use crate::error::EngineError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_model::Secret;
use serde_json::Value;
use std::io::Read;
use std::sync::Arc;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, AsSendBody, Body, SendBody};

/// How much of an answer that is no stream is read, in bytes.
const MOST_ANSWERED: u64 = 256 << 20;

/// How much of a complaint is shown.
const SHOWN_CHARS: usize = 300;

/// One server that speaks HTTP, and the way to it.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    base: String,
    /// Sent with every question; never shown.
    authorization: Option<Secret>,
}

/// What a server answered, before its body was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    asked: String,
    body: Body,
}

impl Http {
    /// Makes ready; nothing is asked yet. TLS is used where the scheme ends in `s`.
    pub(crate) fn new(address: &Address, options: &Options<'_>) -> Result<Self, EngineError> {
        let is_tls = address.scheme.ends_with('s');
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE));
        if is_tls {
            config = config.tls_config(tls_config(&Tls::of(options)?)?);
        }
        let scheme = if is_tls { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", address.place(), address.path);
        Ok(Self { agent: config.build().into(), base, authorization: None })
    }

    /// Signs in with every question.
    #[must_use]
    pub(crate) fn with_basic(self, user: &str, password: &Secret) -> Self {
        let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
        self.with_authorization(Secret::new(format!("Basic {pair}")))
    }

    /// Sends this as `Authorization` with every question.
    #[must_use]
    pub(crate) fn with_authorization(mut self, value: Secret) -> Self {
        self.authorization = Some(value);
        self
    }

    /// Returns the address, as people know it.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks, and takes any answer.
    pub(crate) fn send(&self, method: &str, path: &str, body: SendBody<'_>) -> Result<Answer, EngineError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let request = request
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, */*")
            .body(body)
            .map_err(|error| self.failed(&format!("{error}")))?;
        let answer: Response<Body> =
            self.agent.run(request).map_err(|error| self.failed(&error.to_string()))?;
        let status = answer.status().as_u16();
        Ok(Answer { status, asked: format!("{method} {}{path}", self.base), body: answer.into_body() })
    }

    /// Asks with a JSON body, and takes any answer.
    pub(crate) fn send_json(&self, method: &str, path: &str, body: &Value) -> Result<Answer, EngineError> {
        let text = body.to_string();
        self.send(method, path, text.as_str().as_body())
    }

    /// Asks, and takes only a good answer in JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, EngineError> {
        self.send("GET", path, SendBody::none())?.good()?.json()
    }

    /// Asks with a JSON body, and takes only a good answer in JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, EngineError> {
        self.send_json("POST", path, body)?.good()?.json()
    }

    fn failed(&self, cause: &str) -> EngineError {
        EngineError::Failed {
            action: format!("asking {}", self.base),
            cause: cause.strip_prefix("io: ").unwrap_or(cause).to_owned(),
            remedy: "see whether the server runs and can be reached from here".to_owned(),
        }
    }
}

impl Answer {
    /// Refuses every status but those of success.
    pub(crate) fn good(self) -> Result<Self, EngineError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.into_error()) }
    }

    /// Turns a refusal into an error, with what the server said.
    pub(crate) fn into_error(mut self) -> EngineError {
        let mut said = Vec::new();
        let _ = self.body.as_reader().take(1 << 16).read_to_end(&mut said);
        let said = match serde_json::from_slice::<Value>(&said) {
            Ok(Value::Object(said)) => ["reason", "message", "error"]
                .iter()
                .find_map(|name| said.get(*name).and_then(Value::as_str))
                .or_else(|| said.get("error")?.get("message")?.as_str())
                .map(str::to_owned)
                .unwrap_or_default(),
            _ => String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let said: String = said.chars().take(SHOWN_CHARS).collect();
        let remedy = match self.status {
            401 => "check the user in the address, and the password",
            403 => "give the user the rights that the engine's page names",
            404 => "see whether it is still there",
            _ => "see what the server's own log says",
        };
        let colon = if said.is_empty() { "" } else { ": " };
        EngineError::Failed {
            action: self.asked,
            cause: format!("the server answered {}{colon}{}", self.status, said.trim_end_matches('.')),
            remedy: remedy.to_owned(),
        }
    }

    /// Reads the whole answer as JSON.
    pub(crate) fn json(self) -> Result<Value, EngineError> {
        let action = self.asked.clone();
        let text = self.text()?;
        serde_json::from_str(&text)
            .map_err(|error| strange(action, format!("the answer is not JSON: {error}")))
    }

    /// Reads the whole answer as text.
    pub(crate) fn text(self) -> Result<String, EngineError> {
        let action = self.asked.clone();
        self.text_unless_large()?
            .ok_or_else(|| strange(action, format!("the answer has more than {} MiB", MOST_ANSWERED >> 20)))
    }

    /// Reads the whole answer as text; `None` where it is larger than anything that is held in memory.
    pub(crate) fn text_unless_large(mut self) -> Result<Option<String>, EngineError> {
        let mut text = String::new();
        let read = self.body.as_reader().take(MOST_ANSWERED).read_to_string(&mut text);
        match read {
            Ok(length) if length as u64 == MOST_ANSWERED => Ok(None),
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(strange(self.asked, error.to_string())),
        }
    }

    /// Gives the body as a stream; it ends in an error where the connection breaks.
    pub(crate) fn into_reader(self) -> impl Read + Send + 'static {
        self.body.into_reader()
    }
}

fn strange(action: String, cause: String) -> EngineError {
    let remedy = "see whether the address is that of such a server".to_owned();
    EngineError::Failed { action, cause, remedy }
}

fn tls_config(tls: &Tls) -> Result<TlsConfig, EngineError> {
    let own = |der: &rustls::pki_types::CertificateDer<'_>| Certificate::from_der(der.as_ref()).to_owned();
    let roots = tls.authorities.iter().map(own).collect();
    let client = match &tls.own {
        Some((chain, key)) => {
            let chain: Vec<_> = chain.iter().map(own).collect();
            let key = PrivateKey::from_pem(key).map_err(|error| EngineError::Failed {
                action: "reading the key of our own certificate".to_owned(),
                cause: error.to_string(),
                remedy: "name a file with one key in PEM form".to_owned(),
            })?;
            Some(ClientCert::new_with_certs(&chain, key))
        }
        None => None,
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(client)
        .build())
}

/// Asks a server on this host whether it is what it is looked for as; gives up soon.
pub(crate) fn quick_get(place: &str, path: &str) -> Option<Value> {
    const QUICK: std::time::Duration = std::time::Duration::from_secs(1);
    let config = Agent::config_builder().proxy(None).max_redirects(0).timeout_global(Some(QUICK)).build();
    let mut answer = Agent::from(config).get(format!("http://{place}{path}")).call().ok()?;
    let mut told = Vec::new();
    answer.body_mut().as_reader().take(1 << 16).read_to_end(&mut told).ok()?;
    serde_json::from_slice(&told).ok()
}

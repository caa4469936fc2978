//! How a service account shows who it is: a key file is exchanged for a token that is good for an hour.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Address, Attempt, Client};
use bytes::Bytes;
use http::Uri;
use http::request::Parts;
use reqsign_core::{Context, Error, HttpSend, Signer};
use reqsign_google::{
    Credential, RequestSigner, ServiceAccountTokenCredentialProvider, StaticCredentialProvider,
};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};

/// What a token is asked for: to read, write and delete objects, and nothing else of Google's.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// Where tokens are had, where the key file says nothing else.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// An answer with a token is a few hundred bytes.
const ANSWER_AT_MOST: u64 = 1 << 20;

/// What a key file must hold; it holds more.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key: String,
    token_uri: Option<String>,
}

/// A service account.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The account's name.
    pub(super) email: String,
    exchange: Exchange,
    key_file: Secret,
    current: Mutex<Current>,
}

/// The one that holds the token in use, and how many there were before.
#[derive(Clone, Debug)]
struct Current {
    serial: u64,
    signer: Signer<Credential>,
}

impl Tokens {
    /// Reads a key file as Google hands it out.
    ///
    /// Files that name programs or other addresses to get a token from are refused: what a task says must not make Larder run
    /// anything.
    ///
    /// # Errors
    /// It is none. The message holds nothing of it.
    pub(super) fn new(json: &str, client: Client) -> Result<Self, String> {
        let file: KeyFile = serde_json::from_str(json).map_err(|error| {
            format!(
                "GoogleCredentialsJson is no key file of a service account (line {}, column {}): {}",
                error.line(),
                error.column(),
                missing(&error)
            )
        })?;
        if file.kind != "service_account" {
            return Err("GoogleCredentialsJson must be the key file of a service account ('type' is 'service_account')".to_owned());
        }
        if !file.private_key.contains("-----BEGIN PRIVATE KEY-----") {
            return Err("GoogleCredentialsJson has no private key in its part 'private_key'".to_owned());
        }
        let token_uri = file.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let token_uri = Address::read(token_uri)
            .and_then(|address| address.uri(""))
            .map_err(|cause| format!("GoogleCredentialsJson, token_uri: {cause}"))?;
        let exchange = Exchange { client, token_uri, trouble: Arc::default() };
        let key_file = Secret(json.to_owned());
        let current = Mutex::new(Current { serial: 0, signer: signer(&exchange, &key_file) });
        Ok(Self { email: file.client_email, exchange, key_file, current })
    }

    /// Puts a token into a request, and says the how manieth it is; gets one where there is none, or an old one.
    pub(super) async fn sign(&self, attempt: &Attempt<'_>, head: &mut Parts) -> Result<u64, StorageError> {
        let Current { serial, signer } = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        signer.sign(head, None).await.map_err(|error| self.failure(attempt, &error))?;
        Ok(serial)
    }

    /// Throws a token away that the service did not take.
    pub(super) fn forget(&self, serial: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.serial == serial {
            *current = Current { serial: serial + 1, signer: signer(&self.exchange, &self.key_file) };
        }
    }

    fn failure(&self, attempt: &Attempt<'_>, error: &Error) -> StorageError {
        let host = self.exchange.token_uri.host().unwrap_or_default();
        let trouble = self.exchange.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(cause) = trouble {
            return attempt.failure(StorageErrorKind::Unavailable, format!("no token could be had: {cause}"));
        }
        if error.is_retryable() {
            let cause = format!("{host} gave no token: {error}");
            return attempt.failure(StorageErrorKind::Unavailable, cause);
        }
        let cause = format!(
            "{host} gave the account {} no token; make a new key if this one was deleted, and see that this machine's clock is \
             right: {error}",
            self.email
        );
        attempt.failure(StorageErrorKind::Denied, cause)
    }
}

fn signer(exchange: &Exchange, key_file: &Secret) -> Signer<Credential> {
    let provider =
        ServiceAccountTokenCredentialProvider::from_provider(StaticCredentialProvider::new(&key_file.0))
            .with_scope(SCOPE);
    Signer::new(Context::new().with_http_send(exchange.clone()), provider, RequestSigner::new("storage"))
}

/// What is wrong with a file, without anything out of it.
fn missing(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if said.starts_with("missing field") { said } else { "it is not JSON of the right shape".to_owned() }
}

/// A text that no message shows.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Sends requests for tokens through the client that all share, to the address that the key file names.
#[derive(Clone, Debug)]
struct Exchange {
    client: Client,
    token_uri: Uri,
    /// Why the last request got no answer; the one who asks for a token is told only that it failed.
    trouble: Arc<Mutex<Option<String>>>,
}

impl HttpSend for Exchange {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let (mut head, body) = request.into_parts();
        head.uri = self.token_uri.clone();
        let attempt = Attempt::new("get a token", "", "Google");
        let failed = |error: StorageError| {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.cause);
            Error::unexpected("no answer came")
        };
        let answer =
            self.client.send(&attempt, http::Request::from_parts(head, body)).await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes(&attempt, ANSWER_AT_MOST).await.map_err(failed)?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use crate::connect::ConnectorSettings;
    use crate::http::Client;

    fn refused(json: &str) -> String {
        Tokens::new(json, Client::new(&ConnectorSettings::default()).unwrap()).unwrap_err()
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_repeating_it() {
        let program = r#"{"type": "external_account", "client_email": "hidden", "private_key": "hidden", "credential_source": {"executable": {"command": "/bin/sh"}}}"#;
        for (json, said) in [
            ("hidden", "no key file"),
            (r#"{"type": "service_account", "private_key": "hidden"}"#, "client_email"),
            (program, "'type' is 'service_account'"),
            (r#"{"type": "service_account", "client_email": "a", "private_key": "hidden"}"#, "private_key"),
        ] {
            let cause = refused(json);
            assert!(cause.contains(said) && !cause.contains("hidden"), "{cause}");
        }
    }
}

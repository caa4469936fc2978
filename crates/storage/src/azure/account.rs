//! One container of an account: where it is, and how requests to it are signed.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Address, Answer, Attempt, Client, encode, encode_path};
use crate::objects::{has_steps, refuse_a_step_alone};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Builder;
use http::{HeaderName, HeaderValue, Method};
use larder_model::Secret;
use larder_model::task::AzureSettings;
use reqsign_azure_storage::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::hash::base64_decode;
use reqsign_core::{Context, Signer};
use std::net::IpAddr;

/// The version of the protocol that is spoken; the first that knows the tier `Cold` is 2021-12-02.
const VERSION: HeaderValue = HeaderValue::from_static("2023-11-03");

/// A container, and what it takes to ask it for something.
#[derive(Debug)]
pub(super) struct Account {
    client: Client,
    address: Address,
    signer: Signer<Credential>,
    /// The account's name.
    pub(super) name: String,
    /// The container's name.
    pub(super) container: String,
    /// Whether a token is used and not the account's key.
    pub(super) uses_token: bool,
}

impl Account {
    /// Reads who and where from the settings.
    ///
    /// # Errors
    /// Something is missing, or makes no sense.
    pub(super) fn new(settings: &AzureSettings, client: Client) -> Result<Self, String> {
        let container = said(settings.storage_container.as_deref()).ok_or("no StorageContainer is named")?;
        let name = said(settings.account_name.as_deref()).ok_or("no AccountName is named")?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!("'{name}' is no AccountName: it has letters and digits"));
        }
        let token = said(settings.sas_token.as_ref().map(Secret::expose));
        let key = said(settings.account_key.as_ref().map(Secret::expose));
        let provider = match (token, key) {
            (Some(token), _) => StaticCredentialProvider::new_sas_token(token_of(token)?),
            (None, Some(key)) => {
                base64_decode(key)
                    .map_err(|_| "the AccountKey is not one: it is written in Base64 and ends with '=='")?;
                StaticCredentialProvider::new_shared_key(name, key)
            }
            (None, None) => return Err("neither an AccountKey nor a SasToken is given".to_owned()),
        };
        Ok(Self {
            client,
            address: address(settings.custom_server_url.as_deref(), name)?,
            signer: Signer::new(Context::new(), provider, RequestSigner::new()),
            name: name.to_owned(),
            container: container.to_owned(),
            uses_token: token.is_some(),
        })
    }

    /// Returns the address for people: `azure://account/container`.
    pub(super) fn described(&self) -> String {
        format!("azure://{}/{}", self.name, self.container)
    }

    /// Begins a request for a blob.
    pub(super) fn blob(&self, method: Method, name: &str, query: &[(&str, &str)]) -> Begun {
        if let Err(cause) = refuse_a_step_alone(name) {
            return Begun(Err(cause));
        }
        let path = if has_steps(name) { encode(name) } else { encode_path(name) };
        self.begin(method, &format!("/{path}"), query)
    }

    /// Begins a request for the container itself.
    pub(super) fn whole(&self, method: Method, query: &[(&str, &str)]) -> Begun {
        self.begin(method, "", query)
    }

    fn begin(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Begun {
        let mut target = format!("/{}{path}", encode_path(&self.container));
        for (index, (name, value)) in query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(&format!("{name}={}", encode(value)));
        }
        let builder = http::Request::builder().method(method);
        Begun(match self.address.uri(&target) {
            Ok(uri) => Ok(builder.uri(uri).header("x-ms-version", VERSION)),
            Err(cause) => Err(cause),
        })
    }

    /// Signs a request, sends it, and waits for the head of its answer. With it comes when it was signed.
    ///
    /// # Errors
    /// No answer came.
    pub(super) async fn send(
        &self,
        attempt: &Attempt<'_>,
        begun: Begun,
        body: Bytes,
    ) -> Result<(Answer, Option<HeaderValue>), StorageError> {
        let request = begun.0.and_then(|builder| builder.body(()).map_err(|error| error.to_string()));
        let (mut head, ()) = request.map_err(|cause| attempt.invalid(cause))?.into_parts();
        if head.method == Method::PUT {
            // The signature covers it.
            head.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        self.signer.sign(&mut head, None).await.map_err(|error| {
            attempt.failure(StorageErrorKind::Denied, format!("the request could not be signed: {error}"))
        })?;
        let signed_at = head.headers.get("x-ms-date").cloned();
        let answer = self.client.send(attempt, http::Request::from_parts(head, body)).await?;
        Ok((answer, signed_at))
    }
}

/// A request that still gets headers; what is wrong with it is said when it is sent.
#[derive(Debug)]
pub(super) struct Begun(Result<Builder, String>);

impl Begun {
    /// Adds a header.
    pub(super) fn header(self, name: &'static str, value: &str) -> Self {
        Self(self.0.map(|builder| builder.header(name, value)))
    }

    /// Adds a header with a name that is not known beforehand.
    pub(super) fn named(self, name: &HeaderName, value: &HeaderValue) -> Self {
        Self(self.0.map(|builder| builder.header(name, value)))
    }

    /// Adds a header where there is something to say.
    pub(super) fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }
}

fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Takes a token as the portal shows it, or the end of an address with it.
fn token_of(text: &str) -> Result<&str, String> {
    let token = text.rsplit_once('?').map_or(text, |(_, token)| token);
    if token.split('&').any(|pair| pair.starts_with("sig=")) {
        Ok(token)
    } else {
        Err("the SasToken is not one: it has no part 'sig='".to_owned())
    }
}

/// Where an account is. Servers on a bare address have no host for each account: there it stands in the path.
fn address(custom: Option<&str>, account: &str) -> Result<Address, String> {
    let Some(custom) = said(custom) else {
        return Address::read(&format!("https://{account}.blob.core.windows.net"));
    };
    let address = Address::read(custom).map_err(|cause| format!("CustomServerUrl: {cause}"))?;
    let host = address.authority.host();
    let bare = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if bare && address.path.is_empty() {
        return Ok(Address { path: format!("/{account}"), ..address });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::{address, token_of};

    #[test]
    fn an_account_has_a_host_of_its_own_but_on_a_bare_address() {
        let at = |custom| address(custom, "acme").unwrap().uri("/box").unwrap().to_string();
        assert_eq!(at(None), "https://acme.blob.core.windows.net/box");
        assert_eq!(at(Some("")), "https://acme.blob.core.windows.net/box");
        assert_eq!(at(Some("http://127.0.0.1:10000")), "http://127.0.0.1:10000/acme/box");
        assert_eq!(at(Some("http://127.0.0.1:10000/acme/")), "http://127.0.0.1:10000/acme/box");
        assert_eq!(
            at(Some("acme.blob.core.chinacloudapi.cn")),
            "https://acme.blob.core.chinacloudapi.cn/box"
        );
    }

    #[test]
    fn a_token_is_taken_with_and_without_what_stands_before_it() {
        for text in ["sv=1&sig=x", "?sv=1&sig=x", "https://acme.blob.core.windows.net/box?sv=1&sig=x"] {
            assert_eq!(token_of(text).unwrap(), "sv=1&sig=x");
        }
        assert!(token_of("sv=1").is_err());
    }
}

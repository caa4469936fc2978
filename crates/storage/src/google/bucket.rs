//! One bucket: where it is, and how requests to it are sent.

use super::refusal;
use super::token::Tokens;
use crate::error::StorageError;
use crate::http::{Address, Answer, Attempt, Client, Refusal, encode};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use http::{Method, StatusCode, Uri};
use larder_model::Secret;
use larder_model::task::GoogleCloudSettings;

const GOOGLE: &str = "https://storage.googleapis.com";

/// A bucket, and what it takes to ask it for something.
#[derive(Debug)]
pub(super) struct Bucket {
    client: Client,
    address: Address,
    /// Who asks; nobody by name at a server that does not want to know.
    pub(super) tokens: Option<Tokens>,
    /// The bucket's name.
    pub(super) name: String,
    /// Whether the server is Google's own, which keeps the promises of its documentation.
    pub(super) is_google: bool,
}

/// A request that was refused: the error, and the status where an answer came.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: StorageError,
    pub(super) status: Option<StatusCode>,
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self { error, status: None }
    }
}

impl From<Refused> for StorageError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Bucket {
    /// Reads who and where from the settings.
    ///
    /// # Errors
    /// Something is missing, or makes no sense.
    pub(super) fn new(settings: &GoogleCloudSettings, client: Client) -> Result<Self, String> {
        let name = said(settings.bucket_name.as_deref()).ok_or("no BucketName is named")?;
        let custom = said(settings.custom_server_url.as_deref());
        let address =
            Address::read(custom.unwrap_or(GOOGLE)).map_err(|cause| format!("CustomServerUrl: {cause}"))?;
        let host = address.authority.host();
        let is_google = host == "googleapis.com" || host.ends_with(".googleapis.com");
        let tokens = match said(settings.google_credentials_json.as_ref().map(Secret::expose)) {
            Some(json) => Some(Tokens::new(json, client.clone())?),
            None if is_google => return Err("no GoogleCredentialsJson is given".to_owned()),
            None => None,
        };
        Ok(Self { client, address, tokens, name: name.to_owned(), is_google })
    }

    /// Returns the address of an object.
    pub(super) fn object(&self, name: &str, query: &str) -> String {
        format!("/storage/v1/b/{}/o/{}?{query}", encode(&self.name), encode(name))
    }

    /// Returns the address of all objects.
    pub(super) fn objects(&self, query: &str) -> String {
        format!("/storage/v1/b/{}/o?{query}", encode(&self.name))
    }

    /// Returns the address that new objects are sent to.
    pub(super) fn uploads(&self, query: &str) -> String {
        format!("/upload/storage/v1/b/{}/o?{query}", encode(&self.name))
    }

    /// Sends a request to an address of the bucket, and turns an answer that is no success into an error.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt<'_>,
        method: Method,
        target: &str,
        headers: &[(HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, Refused> {
        let uri = self.address.uri(target).map_err(|cause| attempt.invalid(cause))?;
        let answer = self.send(attempt, method, uri, headers, body).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refused(attempt, answer).await) }
    }

    /// Makes the error of an answer.
    pub(super) async fn refused(&self, attempt: &Attempt<'_>, answer: Answer) -> Refused {
        let refusal: Refusal = answer.refusal(attempt).await;
        Refused { error: refusal::explain(self, attempt, &refusal), status: Some(refusal.status) }
    }

    /// Sends a request, whatever is answered. A token that is not taken is replaced, once. To another server than the one of the
    /// settings none is sent.
    pub(super) async fn send(
        &self,
        attempt: &Attempt<'_>,
        method: Method,
        uri: Uri,
        headers: &[(HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, StorageError> {
        let ours =
            uri.authority() == Some(&self.address.authority) && uri.scheme() == Some(&self.address.scheme);
        let tokens = self.tokens.as_ref().filter(|_| ours);
        let mut builder = http::Request::builder().method(&method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if method == Method::PUT || method == Method::POST {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        let (mut head, ()) =
            builder.body(()).map_err(|error| attempt.invalid(error.to_string()))?.into_parts();
        let Some(tokens) = tokens else {
            return self.client.send(attempt, http::Request::from_parts(head, body)).await;
        };
        let serial = tokens.sign(attempt, &mut head).await?;
        let first = http::Request::from_parts(head.clone(), body.clone());
        let answer = self.client.send(attempt, first).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        tokens.forget(serial);
        head.headers.remove(AUTHORIZATION);
        tokens.sign(attempt, &mut head).await?;
        self.client.send(attempt, http::Request::from_parts(head, body)).await
    }

    /// Reads an address that the server named; one that is less protected than ours is refused.
    pub(super) fn named(&self, attempt: &Attempt<'_>, location: &str) -> Result<Uri, StorageError> {
        let uri: Uri =
            location.parse().map_err(|_| attempt.invalid("the server named an address that is none"))?;
        let weaker =
            self.address.scheme == http::uri::Scheme::HTTPS && uri.scheme() != Some(&self.address.scheme);
        if weaker || uri.authority().is_none() {
            return Err(attempt.invalid("the server named an address that is not safe to send to"));
        }
        Ok(uri)
    }
}

fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

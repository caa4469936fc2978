//! Signed requests to the service of vaults.

use super::explain;
use super::place::Place;
use super::tree_hash::{self, Hashes};
use crate::error::StorageError;
use crate::http::{Answer, Attempt, Client};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, SignRequest};

/// The version of the protocol; there has been no other.
const VERSION: &str = "2012-06-01";

/// All that a request depends on.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) place: Place,
    client: Client,
    signer: RequestSigner,
    credential: Credential,
}

/// A request before it is signed.
#[derive(Debug)]
pub(super) struct Call<'a> {
    method: Method,
    /// What stands behind the vault in the address, encoded.
    below: &'a str,
    /// The right that it needs, as a policy names it.
    right: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    hash: Option<String>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, below: &'a str, right: &'static str) -> Self {
        Self { method, below, right, headers: Vec::new(), body: Bytes::new(), hash: None }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a body that goes into an archive, with both its hashes.
    pub(super) fn archived(mut self, body: Bytes, hashes: Hashes) -> Self {
        self.body = body;
        self.hash = Some(hashes.linear);
        self.header("x-amz-sha256-tree-hash", hashes.tree)
    }

    /// Adds a short text.
    pub(super) fn text(mut self, text: String) -> Self {
        self.body = text.into();
        self.header("content-type", "application/json")
    }
}

impl Service {
    pub(super) fn new(place: Place, client: Client, credential: Credential) -> Self {
        let signer = RequestSigner::new("glacier", &place.region);
        Self { place, client, signer, credential }
    }

    /// Begins the words of an error.
    pub(super) fn attempt<'a>(&'a self, action: &'static str, path: &'a str) -> Attempt<'a> {
        Attempt::new(action, path, self.place.describe())
    }

    /// Signs a request, sends it, and returns the answer where it says yes.
    ///
    /// # Errors
    /// No answer came, or one that says no, in words that say what to do about it.
    pub(super) async fn demand(&self, attempt: &Attempt<'_>, call: Call<'_>) -> Result<Answer, StorageError> {
        let right = call.right;
        let request = self.signed(call).await.map_err(|cause| attempt.invalid(cause))?;
        let answer = self.client.send(attempt, request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let refusal = answer.refusal(attempt).await;
        Err(explain::refusal(&self.place, attempt, right, &refusal))
    }

    async fn signed(&self, call: Call<'_>) -> Result<Request<Bytes>, String> {
        let uri = self.place.uri(call.below)?;
        let hash = match call.hash {
            Some(hash) => hash,
            None => tree_hash::hashes(&call.body).await.linear,
        };
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = uri;
        let fixed = [("x-amz-glacier-version", VERSION), ("x-amz-content-sha256", hash.as_str())];
        let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in headers.chain(fixed) {
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("'{value}' cannot be sent as {name}"))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let (mut parts, body) = request.into_parts();
        self.signer
            .sign_request(&Context::new(), &mut parts, Some(&self.credential), None)
            .await
            .map_err(|error| format!("the request cannot be signed: {error}"))?;
        Ok(Request::from_parts(parts, body))
    }
}

//! One signed request to a bucket.

use crate::error::StorageError;
use crate::http::{Answer, Attempt};
use crate::objects::{has_steps, refuse_a_step_alone};
use crate::s3::bucket::Bucket;
use crate::s3::explain;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use reqsign_core::hash::base64_encode;
use reqsign_core::{Context, SignRequest};
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;

/// From this size on hashing is left to a thread that may block.
const BLOCKING: usize = 512 << 10;

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// The object's key; empty for the bucket itself.
    pub(crate) key: &'a str,
    pub(crate) query: Vec<(&'a str, &'a str)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Headers with names that are not known beforehand.
    pub(crate) named: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// The body's hash, where it is signed.
    pub(crate) hash: Option<Hash>,
}

/// The SHA-256 of a body.
pub(crate) type Hash = [u8; 32];

impl<'a> Call<'a> {
    /// A request without a body.
    pub(crate) fn new(method: Method, key: &'a str) -> Self {
        let hash = Some(Sha256::digest(b"").into());
        Self {
            method,
            key,
            query: Vec::new(),
            headers: Vec::new(),
            named: Vec::new(),
            body: Bytes::new(),
            hash,
        }
    }

    pub(crate) fn query(mut self, name: &'a str, value: &'a str) -> Self {
        self.query.push((name, value));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn headers(mut self, headers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn named(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.named.extend(headers);
        self
    }

    /// Adds a body with its hash, if that is to be signed.
    pub(crate) fn body(mut self, body: Bytes, hash: Option<Hash>) -> Self {
        (self.body, self.hash) = (body, hash);
        self
    }

    /// Adds a short text as the body, with the checksum that some calls insist on.
    pub(crate) fn text(self, text: String) -> Self {
        let hash: Hash = Sha256::digest(text.as_bytes()).into();
        self.header("x-amz-checksum-sha256", base64_encode(&hash)).body(text.into(), Some(hash))
    }
}

/// Hashes a body without keeping the other tasks of its thread waiting.
pub(crate) async fn hash_of(body: &Bytes) -> Hash {
    if body.len() < BLOCKING {
        return Sha256::digest(body).into();
    }
    let shared = body.clone();
    match tokio::task::spawn_blocking(move || Sha256::digest(&shared).into()).await {
        Ok(hash) => hash,
        // The runtime is going down; the little that is left can be done here.
        Err(_) => Sha256::digest(body).into(),
    }
}

impl Bucket {
    /// Signs a request, sends it, and returns the answer, whatever its status.
    ///
    /// # Errors
    /// No answer came.
    pub(crate) async fn ask(&self, attempt: &Attempt<'_>, call: Call<'_>) -> Result<Answer, StorageError> {
        let request = self.signed(&call).await.map_err(|cause| attempt.invalid(cause))?;
        let answer = self.client.send(attempt, request).await?;
        if answer.status().is_success() {
            self.seen.store(true, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Does what [`Bucket::ask`] does, and turns a refusal into an error that names what to do about it.
    ///
    /// # Errors
    /// No answer came, or one that says no.
    pub(crate) async fn demand(
        &self,
        attempt: &Attempt<'_>,
        right: &str,
        call: Call<'_>,
    ) -> Result<Answer, StorageError> {
        let answer = self.ask(attempt, call).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.refused(attempt, right, answer).await)
    }

    /// Reads a refusal and puts it into words.
    pub(crate) async fn refused(&self, attempt: &Attempt<'_>, right: &str, answer: Answer) -> StorageError {
        let region = answer.header("x-amz-bucket-region").map(ToOwned::to_owned);
        let refusal = answer.refusal(attempt).await;
        explain::refusal(self, attempt, right, &refusal, region.as_deref())
    }

    async fn signed(&self, call: &Call<'_>) -> Result<Request<Bytes>, String> {
        let uri = self.place.uri(call.key, &call.query)?;
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        let hash = match call.hash {
            Some(hash) => hex(&hash),
            None => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in headers.chain([("x-amz-content-sha256", hash.as_str())]) {
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("'{value}' cannot be sent as {name}"))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        request.headers_mut().extend(call.named.iter().cloned());
        let (mut parts, body) = request.into_parts();
        self.signer
            .sign_request(&Context::new(), &mut parts, Some(&self.credential), None)
            .await
            .map_err(|error| format!("the request cannot be signed: {error}"))?;
        // Signatures are made over the key as it is; on the way nobody must take a part of it for a step up.
        if has_steps(call.key) {
            refuse_a_step_alone(call.key)?;
            parts.uri = self.place.uri_in_one_part(call.key, &call.query)?;
        }
        Ok(Request::from_parts(parts, body))
    }
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

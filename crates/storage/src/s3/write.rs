//! Writing and removing objects.

use crate::error::StorageError;
use crate::s3::bucket::{Bucket, precondition};
use crate::s3::call::{Call, Hash, hash_of};
use crate::s3::{class, lock};
use bytes::Bytes;
use http::{Method, StatusCode};
use reqsign_core::hash::base64_encode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Larger objects go up in parts.
pub(crate) const SINGLE_AT_MOST: usize = 64 << 20;

/// What becomes of an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is replaced.
    Replace,
    /// It stays.
    Keep,
}

/// What is written.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) data: Bytes,
    /// Its SHA-256, where somebody knows it already.
    pub(crate) hash: Option<Hash>,
}

impl Content {
    /// Takes bytes that nobody has hashed.
    pub(crate) const fn new(data: Bytes) -> Self {
        Self { data, hash: None }
    }
}

impl Bucket {
    /// Writes an object; says whether it did.
    ///
    /// # Errors
    /// The destination's.
    pub(crate) async fn write(
        self: &Arc<Self>,
        path: &str,
        content: Content,
        cold: bool,
        existing: Existing,
    ) -> Result<bool, StorageError> {
        let Content { data, hash } = content;
        if data.len() > SINGLE_AT_MOST {
            return self.write_in_parts(path, data, cold, existing).await;
        }
        let attempt = self.attempt("write", path);
        let key = self.place.key(path);
        let hash = if hash.is_some() && self.signs_hash() { hash } else { self.hash(&data).await };
        let mut call =
            Call::new(Method::PUT, &key).headers(self.how_kept(cold)).headers(self.checksum(hash.as_ref()));
        if existing == Existing::Keep {
            call = call.header("if-none-match", "*");
        }
        if self.lock.is_some() && hash.is_some() {
            // What is locked must come with a checksum; some servers look for this word of it.
            call = call.header("x-amz-sdk-checksum-algorithm", "SHA256");
        }
        let answer = self.ask(&attempt, call.body(data, hash)).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::PRECONDITION_FAILED if existing == Existing::Keep => {
                self.precondition.store(precondition::KEPT, Ordering::Relaxed);
                Ok(false)
            }
            _ => Err(self.refused(&attempt, "s3:PutObject", answer).await),
        }
    }

    /// Writes an object unless there is one; says whether it did.
    ///
    /// Many servers ignore the precondition. Until one was seen to keep it, it is first looked whether there is such an object,
    /// and the first that is written is written once more, which a server that keeps the promise refuses.
    ///
    /// # Errors
    /// The destination's.
    pub(crate) async fn write_new(self: &Arc<Self>, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let known = self.precondition.load(Ordering::Relaxed);
        if known != precondition::KEPT && self.size(path).await?.is_some() {
            return Ok(false);
        }
        let keeps = known != precondition::IGNORED;
        let existing = if keeps { Existing::Keep } else { Existing::Replace };
        let written = self.write(path, Content::new(data.clone()), false, existing).await?;
        let once_more = || self.write(path, Content::new(data), false, existing);
        if written && known == precondition::UNKNOWN && once_more().await? {
            self.precondition.store(precondition::IGNORED, Ordering::Relaxed);
        }
        Ok(written)
    }

    /// Removes an object; where the bucket keeps versions, it hides it.
    ///
    /// # Errors
    /// The destination's.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), StorageError> {
        let attempt = self.attempt("delete", path);
        let key = self.place.key(path);
        match self.demand(&attempt, "s3:DeleteObject", Call::new(Method::DELETE, &key)).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// Hashes a body where its hash is to be signed: always, but where told not to on a connection that protects it itself.
    pub(crate) async fn hash(&self, data: &Bytes) -> Option<Hash> {
        if self.signs_hash() { Some(hash_of(data).await) } else { None }
    }

    fn signs_hash(&self) -> bool {
        !(self.without_checksums && self.place.is_encrypted())
    }

    /// The checksum that the server is to keep with the object. The signed hash protects the bytes on their way already; many
    /// servers but Amazon's know no more than that, except where object lock insists on it.
    pub(crate) fn checksum(&self, hash: Option<&Hash>) -> Option<(&'static str, String)> {
        let wanted = (self.place.is_amazon || self.lock.is_some()) && !self.without_checksums;
        wanted.then_some(hash).flatten().map(|hash| ("x-amz-checksum-sha256", base64_encode(hash)))
    }

    /// The headers that say how an object is to be kept: its class, its encryption, its lock.
    pub(crate) fn how_kept(&self, cold: bool) -> Vec<(&'static str, String)> {
        let mut headers = self.encryption.clone();
        headers.extend(self.class_of(cold).map(|class| ("x-amz-storage-class", class.to_owned())));
        headers.extend(self.lock.into_iter().flat_map(lock::headers));
        headers
    }

    /// Says whether objects of the class must be asked for before they can be read.
    pub(crate) fn is_cold(&self) -> bool {
        class::is_archive(self.class)
    }
}

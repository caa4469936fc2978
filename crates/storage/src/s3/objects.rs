//! A bucket with objects of somebody's own.

use super::multipart::{Part, Upload};
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Client};
use crate::objects::{
    ObjectBytes, ObjectHead, ObjectPage, ObjectStore, ObjectUpload, OpenObject, head_of, headers_of, moment,
    quoted, tag_of,
};
use crate::s3::bucket::Bucket;
use crate::s3::call::Call;
use crate::s3::write::Existing;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use larder_model::task::S3Settings;
use std::sync::Arc;

/// What stands before the names that an owner gave.
const META: &str = "x-amz-meta-";

/// A whole bucket.
#[derive(Clone, Debug)]
pub(crate) struct S3Objects {
    bucket: Arc<Bucket>,
}

impl S3Objects {
    /// Opens what the settings describe; nothing is asked of the server yet.
    pub(crate) fn open(settings: &S3Settings, client: Client) -> Result<Self, StorageError> {
        let settings = S3Settings { remote_folder_name: None, ..settings.clone() };
        Ok(Self { bucket: Arc::new(Bucket::open(&settings, client)?) })
    }

    fn attempt<'a>(&'a self, action: &'static str, key: &'a str) -> Attempt<'a> {
        self.bucket.attempt(action, key)
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    fn describe(&self) -> String {
        self.bucket.place.describe().to_owned()
    }

    async fn page(&self, prefix: &str, next: Option<&str>) -> Result<ObjectPage, StorageError> {
        let (entries, next) = self.bucket.page(&self.attempt("list", prefix), prefix, next).await?;
        let objects = entries.into_iter().map(|(key, entry)| ObjectHead {
            key,
            size_bytes: entry.size,
            modified: entry.last_modified.as_deref().and_then(moment).unwrap_or(Timestamp::UNIX_EPOCH),
            tag: entry.e_tag.as_deref().map(tag_of).unwrap_or_default(),
            properties: Default::default(),
        });
        Ok(ObjectPage { objects: objects.collect(), next })
    }

    async fn open(&self, listed: &ObjectHead) -> Result<OpenObject, StorageError> {
        let attempt = self.attempt("read", &listed.key);
        let call = Call::new(Method::GET, &listed.key);
        let answer = self.bucket.demand(&attempt, "s3:GetObject", call).await?;
        let head = head_of(&answer, listed, META);
        Ok(OpenObject { head, bytes: ObjectBytes::new(answer, &attempt) })
    }

    async fn resume(&self, head: &ObjectHead, offset: u64) -> Result<ObjectBytes, StorageError> {
        let attempt = self.attempt("read", &head.key);
        let mut call = Call::new(Method::GET, &head.key).header("range", format!("bytes={offset}-"));
        if !head.tag.is_empty() {
            call = call.header("if-match", quoted(&head.tag));
        }
        let answer = self.bucket.ask(&attempt, call).await?;
        match answer.status() {
            StatusCode::PRECONDITION_FAILED => {
                Err(attempt.failure(StorageErrorKind::Other, "it was replaced while it was read"))
            }
            status if status.is_success() => ObjectBytes::from(answer, &attempt, offset),
            _ => Err(self.bucket.refused(&attempt, "s3:GetObject", answer).await),
        }
    }

    async fn write(&self, head: &ObjectHead, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.attempt("write", &head.key);
        let headers = headers_of(head, "", META).map_err(|cause| attempt.invalid(cause))?;
        let hash = self.bucket.hash(&data).await;
        let call = Call::new(Method::PUT, &head.key)
            .headers(self.bucket.checksum(hash.as_ref()))
            .named(headers)
            .body(data, hash);
        self.bucket.demand(&attempt, "s3:PutObject", call).await.map(drop)
    }

    async fn begin(&self, head: &ObjectHead) -> Result<Box<dyn ObjectUpload>, StorageError> {
        let attempt = self.attempt("write", &head.key);
        let headers = headers_of(head, "", META).map_err(|cause| attempt.invalid(cause))?;
        let upload = self.bucket.begin(&head.key, false, headers).await?;
        let bucket = Arc::clone(&self.bucket);
        Ok(Box::new(Parts { bucket, key: head.key.clone(), upload: Some(upload), parts: Vec::new() }))
    }

    async fn remove(&self, key: &str) -> Result<(), StorageError> {
        self.bucket.remove(key).await
    }
}

struct Parts {
    bucket: Arc<Bucket>,
    key: String,
    /// Always there until it is aborted.
    upload: Option<Upload>,
    parts: Vec<Part>,
}

#[async_trait]
impl ObjectUpload for Parts {
    async fn part(&mut self, data: Bytes) -> Result<(), StorageError> {
        let Some(upload) = &self.upload else { return Ok(()) };
        self.parts.push(upload.send(&self.key, self.parts.len() + 1, data).await?);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), StorageError> {
        let attempt = self.bucket.attempt("write", &self.key);
        let Some(upload) = &mut self.upload else { return Ok(()) };
        self.bucket.complete(&attempt, upload, &self.parts, Existing::Replace).await?;
        upload.is_done();
        Ok(())
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(upload) = self.upload.take() {
            upload.call_off().await;
        }
    }
}

//! Large objects go up in parts, several at a time.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use crate::pace;
use crate::s3::bucket::{Bucket, precondition};
use crate::s3::call::{Call, Hash};
use crate::s3::write::Existing;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// The size of a part; only the last may be smaller.
const PART: usize = 16 << 20;
/// The protocol allows no more parts.
const PARTS_AT_MOST: usize = 10_000;
/// So many parts go up at once.
const AT_ONCE: usize = 4;
/// How often an upload that failed is called off, and how long it is waited in between.
const CALL_OFF_ATTEMPTS: u32 = 4;
const CALL_OFF_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Initiated {
    upload_id: String,
}

/// A part that is up.
#[derive(Debug)]
pub(super) struct Part {
    number: usize,
    tag: String,
    hash: Option<Hash>,
}

/// An upload that was begun. Unless it is finished, what went up of it is removed when this is dropped: the parts of a
/// forgotten upload are kept, and billed, for ever, and no listing of objects shows them.
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    key: String,
    id: String,
    finished: bool,
}

impl Bucket {
    /// Writes an object in parts; says whether it did.
    pub(crate) async fn write_in_parts(
        self: &Arc<Self>,
        path: &str,
        data: Bytes,
        cold: bool,
        existing: Existing,
    ) -> Result<bool, StorageError> {
        let attempt = self.attempt("write", path);
        // In a task of its own: whoever gives up while the server makes the upload would not learn its name, so that nobody could
        // call it off. Left alone, the task ends, and drops what it made.
        let begin = tokio::spawn({
            let (bucket, path) = (Arc::clone(self), path.to_owned());
            async move { bucket.begin(&path, cold, Vec::new()).await }
        });
        let mut upload = finished(&attempt, begin.await)?;
        let mut parts = Vec::new();
        let mut going = JoinSet::new();
        for (number, part) in split(data).into_iter().enumerate() {
            if going.len() >= AT_ONCE
                && let Some(done) = going.join_next().await
            {
                parts.push(finished(&attempt, done)?);
            }
            going.spawn(pace::carried(upload.send(path, number + 1, part)));
        }
        while let Some(done) = going.join_next().await {
            parts.push(finished(&attempt, done)?);
        }
        parts.sort_unstable_by_key(|part| part.number);
        let written = self.complete(&attempt, &upload, &parts, existing).await;
        match written {
            Ok(written) => {
                // One that was not written because another is there has left its parts, too.
                upload.finished = written;
                upload.call_off().await;
                // Ceph, for one, forgets the lock of what goes up in parts.
                if let Some(lock) = self.lock.filter(|_| written && !self.place.is_amazon) {
                    self.extend_lock(path, lock).await?;
                }
                Ok(written)
            }
            Err(error) => {
                upload.call_off().await;
                Err(error)
            }
        }
    }

    /// Begins an upload, with what else is to be said about the object.
    pub(super) async fn begin(
        self: &Arc<Self>,
        path: &str,
        cold: bool,
        said: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Upload, StorageError> {
        let attempt = &self.attempt("write", path);
        let key = self.place.key(path);
        let mut call =
            Call::new(Method::POST, &key).query("uploads", "").headers(self.how_kept(cold)).named(said);
        if self.checksum(Some(&[0; 32])).is_some() {
            call = call.header("x-amz-checksum-algorithm", "SHA256");
        }
        let answer = self.demand(attempt, "s3:PutObject", call).await?;
        let body = answer.bytes(attempt, 1 << 20).await?;
        let begun: Initiated = quick_xml::de::from_str(&String::from_utf8_lossy(&body)).map_err(|error| {
            attempt.failure(
                StorageErrorKind::Other,
                format!("the server began an upload but did not name it: {error}"),
            )
        })?;
        Ok(Upload { bucket: Arc::clone(self), key, id: begun.upload_id, finished: false })
    }

    pub(super) async fn complete(
        &self,
        attempt: &Attempt<'_>,
        upload: &Upload,
        parts: &[Part],
        existing: Existing,
    ) -> Result<bool, StorageError> {
        let mut text =
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
        for part in parts {
            let checksum = self
                .checksum(part.hash.as_ref())
                .map(|(_, sum)| format!("<ChecksumSHA256>{sum}</ChecksumSHA256>"));
            let tag = quick_xml::escape::escape(part.tag.as_str());
            // Writing into a String cannot fail.
            let _ = write!(
                text,
                "<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag>{}</Part>",
                part.number,
                checksum.unwrap_or_default()
            );
        }
        text.push_str("</CompleteMultipartUpload>");
        let hash = self.hash(&Bytes::copy_from_slice(text.as_bytes())).await;
        let mut call =
            Call::new(Method::POST, &upload.key).query("uploadId", &upload.id).body(text.into(), hash);
        if existing == Existing::Keep {
            call = call.header("if-none-match", "*");
        }
        let answer = self.ask(attempt, call).await?;
        if existing == Existing::Keep && answer.status() == StatusCode::PRECONDITION_FAILED {
            self.precondition.store(precondition::KEPT, Ordering::Relaxed);
            return Ok(false);
        }
        if !answer.status().is_success() {
            return Err(self.refused(attempt, "s3:PutObject", answer).await);
        }
        // The status comes before the server has put the parts together, so that the body may still say that it failed.
        let body = answer.bytes(attempt, 1 << 20).await?;
        let body = String::from_utf8_lossy(&body);
        if body.contains("<CompleteMultipartUploadResult") {
            return Ok(true);
        }
        let cause = format!("the server did not put the parts together: {}", body.trim());
        Err(attempt.failure(StorageErrorKind::Unavailable, cause.chars().take(400).collect::<String>()))
    }
}

impl Upload {
    /// Sends a part; what it returns does not borrow, so that parts can go up at once.
    pub(super) fn send(
        &self,
        path: &str,
        number: usize,
        data: Bytes,
    ) -> impl Future<Output = Result<Part, StorageError>> + Send + 'static {
        let (bucket, key, id, path) =
            (Arc::clone(&self.bucket), self.key.clone(), self.id.clone(), path.to_owned());
        async move {
            let attempt = bucket.attempt("write", &path);
            let hash = bucket.hash(&data).await;
            let name = number.to_string();
            let call = Call::new(Method::PUT, &key)
                .query("partNumber", &name)
                .query("uploadId", &id)
                .headers(bucket.checksum(hash.as_ref()))
                .body(data, hash);
            let answer = bucket.demand(&attempt, "s3:PutObject", call).await?;
            let Some(tag) = answer.header("etag").map(ToOwned::to_owned) else {
                return Err(attempt.failure(StorageErrorKind::Other, "the server gave no ETag for a part"));
            };
            Ok(Part { number, tag, hash })
        }
    }

    /// Notes that the parts are an object now.
    pub(super) const fn is_done(&mut self) {
        self.finished = true;
    }

    /// Removes what went up of an upload that will not be finished. If that fails, the bucket's own rule for such uploads must
    /// do it; the error that made it necessary says more than this one would.
    pub(super) async fn call_off(mut self) {
        let finished = std::mem::replace(&mut self.finished, true);
        if !finished {
            call_off(&self.bucket, &self.key, &self.id).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let (bucket, key, id) =
            (Arc::clone(&self.bucket), std::mem::take(&mut self.key), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { call_off(&bucket, &key, &id).await });
        }
    }
}

async fn call_off(bucket: &Bucket, key: &str, id: &str) {
    let attempt = bucket.attempt("call off the upload of", key);
    let mut pause = CALL_OFF_PAUSE;
    for _ in 0..CALL_OFF_ATTEMPTS {
        let call = Call::new(Method::DELETE, key).query("uploadId", id);
        match bucket.demand(&attempt, "s3:AbortMultipartUpload", call).await {
            Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
            Err(error) if !error.is_not_found() => {
                return tracing::warn!(%error, "parts of an upload stayed behind");
            }
            _ => return,
        }
        pause *= 2;
    }
}

fn finished<T>(
    attempt: &Attempt<'_>,
    done: Result<Result<T, StorageError>, tokio::task::JoinError>,
) -> Result<T, StorageError> {
    done.unwrap_or_else(|stopped| {
        Err(attempt.failure(StorageErrorKind::Other, format!("the work was interrupted: {stopped}")))
    })
}

fn split(mut data: Bytes) -> Vec<Bytes> {
    let size = PART.max(data.len().div_ceil(PARTS_AT_MOST));
    let mut parts = Vec::with_capacity(data.len().div_ceil(size));
    while !data.is_empty() {
        parts.push(data.split_to(size.min(data.len())));
    }
    parts
}

//! Reading and looking up objects.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt};
use crate::s3::bucket::Bucket;
use crate::s3::call::Call;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::ops::Range;
use std::sync::atomic::Ordering;

impl Bucket {
    /// Reads an object.
    pub(crate) async fn read(&self, path: &str) -> Result<Bytes, StorageError> {
        let attempt = self.attempt("read", path);
        let key = self.place.key(path);
        let answer = self.demand(&attempt, "s3:GetObject", Call::new(Method::GET, &key)).await?;
        let length = answer.length();
        let data = answer.bytes(&attempt, u64::MAX).await?;
        match length {
            Some(length) if length != data.len() as u64 => {
                let cause = format!("{length} bytes were announced, but {} came", data.len());
                Err(attempt.failure(StorageErrorKind::Damaged, cause))
            }
            _ => Ok(data),
        }
    }

    /// Reads bytes of an object.
    pub(crate) async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let attempt = self.attempt("read", path);
        if range.start >= range.end {
            return self.read_nothing(&attempt, path, range.start).await;
        }
        let wanted = range.end - range.start;
        let key = self.place.key(path);
        let call =
            Call::new(Method::GET, &key).header("range", format!("bytes={}-{}", range.start, range.end - 1));
        let answer = self.ask(&attempt, call).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.part(&attempt, answer, &range).await,
            // rclone means 206.
            StatusCode::OK if answer.header("content-range").is_some() => {
                self.part(&attempt, answer, &range).await
            }
            StatusCode::OK => {
                // The server does not read parts: a short object costs little more so.
                let all = answer.bytes(&attempt, u64::MAX).await?;
                let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
                match (start, end) {
                    (Ok(start), Ok(end)) if end <= all.len() => Ok(all.slice(start..end)),
                    _ => Err(too_short(&attempt, wanted)),
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(too_short(&attempt, wanted)),
            _ => Err(self.refused(&attempt, "s3:GetObject", answer).await),
        }
    }

    async fn part(
        &self,
        attempt: &Attempt<'_>,
        answer: Answer,
        range: &Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let wanted = range.end - range.start;
        let begins = format!("bytes {}-{}/", range.start, range.end - 1);
        if !answer.header("content-range").is_some_and(|range| range.trim().starts_with(&begins)) {
            return Err(too_short(attempt, wanted));
        }
        let data = answer.bytes(attempt, wanted).await?;
        if data.len() as u64 == wanted { Ok(data) } else { Err(too_short(attempt, wanted)) }
    }

    /// No request reads no bytes; but the object must be there, and so long.
    async fn read_nothing(
        &self,
        attempt: &Attempt<'_>,
        path: &str,
        start: u64,
    ) -> Result<Bytes, StorageError> {
        match self.size(path).await? {
            Some(size) if start <= size => Ok(Bytes::new()),
            Some(_) => Err(too_short(attempt, 0)),
            None => Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object")),
        }
    }

    /// Returns an object's size, or nothing where there is none.
    pub(crate) async fn size(&self, path: &str) -> Result<Option<u64>, StorageError> {
        let attempt = self.attempt("look up", path);
        let Some(answer) = self.head(&attempt, path).await? else { return Ok(None) };
        match answer.length() {
            Some(length) => Ok(Some(length)),
            None => {
                Err(attempt.failure(StorageErrorKind::Other, "the server did not say how long the object is"))
            }
        }
    }

    /// Asks for an object's head.
    pub(crate) async fn head(
        &self,
        attempt: &Attempt<'_>,
        path: &str,
    ) -> Result<Option<Answer>, StorageError> {
        let key = self.place.key(path);
        let answer = self.ask(attempt, Call::new(Method::HEAD, &key)).await?;
        match answer.status() {
            status if status.is_success() => Ok(Some(answer)),
            StatusCode::NOT_FOUND => {
                self.see(attempt).await?;
                Ok(None)
            }
            _ => Err(self.refused(attempt, "s3:GetObject", answer).await),
        }
    }

    /// Makes sure, once, that it is not the bucket itself which is missing: the answer about an object does not say.
    async fn see(&self, attempt: &Attempt<'_>) -> Result<(), StorageError> {
        if self.seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        let answer = self.ask(attempt, Call::new(Method::HEAD, "")).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            let cause = format!("there is no bucket '{}'; make it, or correct BucketName", self.place.bucket);
            return Err(attempt.failure(StorageErrorKind::Invalid, cause));
        }
        // Whoever may not ask for the bucket may still use it.
        self.seen.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn too_short(attempt: &Attempt<'_>, wanted: u64) -> StorageError {
    attempt.failure(
        StorageErrorKind::Damaged,
        format!("{wanted} bytes were asked for, but the object ends before"),
    )
}

//! Objects in an archive class: whether they can be read, and asking for them.

use crate::error::{StorageError, StorageErrorKind};
use crate::s3::bucket::Bucket;
use crate::s3::call::Call;
use crate::s3::class;
use crate::storage::Availability;
use http::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

/// For how many days what was asked for can be read: as long as a large restore takes, with some rest.
const READABLE_DAYS: u32 = 7;
/// Amazon takes 1000 requests a second; so many are on their way at once.
const AT_ONCE: usize = 16;

impl Bucket {
    /// Says whether an object can be read.
    pub(crate) async fn look(&self, path: &str) -> Result<Availability, StorageError> {
        let attempt = self.attempt("look up", path);
        let Some(answer) = self.head(&attempt, path).await? else {
            return Err(attempt.failure(StorageErrorKind::NotFound, "there is no such object"));
        };
        let archived = answer.header("x-amz-archive-status").is_some()
            || answer.header("x-amz-storage-class").is_some_and(class::is_archive_name);
        if !archived || self.never_cold.load(Ordering::Relaxed) {
            return Ok(Availability::Ready);
        }
        Ok(match answer.header("x-amz-restore") {
            Some(restore) if restore.contains("ongoing-request=\"true\"") => Availability::Thawing,
            Some(restore) if restore.contains("ongoing-request=\"false\"") => Availability::Ready,
            _ => Availability::Cold,
        })
    }

    /// Asks for objects, several at a time.
    pub(crate) async fn request_all(self: &Arc<Self>, paths: &[String]) -> Result<(), StorageError> {
        let mut going = JoinSet::new();
        for path in paths {
            if going.len() >= AT_ONCE {
                finished(self, going.join_next().await)?;
            }
            let (bucket, path) = (Arc::clone(self), path.clone());
            going.spawn(async move { bucket.request(&path).await });
        }
        while !going.is_empty() {
            finished(self, going.join_next().await)?;
        }
        Ok(())
    }

    async fn request(&self, path: &str) -> Result<(), StorageError> {
        let attempt = self.attempt("ask for", path);
        let key = self.place.key(path);
        let text = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>{READABLE_DAYS}</Days>\
             <GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"
        );
        let hash = self.hash(&text.clone().into()).await;
        let call = Call::new(Method::POST, &key).query("restore", "").body(text.into(), hash);
        let answer = self.ask(&attempt, call).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let error = self.refused(&attempt, "s3:RestoreObject", answer).await;
        match status {
            // It was asked for already, or lies in no archive class.
            StatusCode::CONFLICT => Ok(()),
            _ if error.kind == StorageErrorKind::Cold => Ok(()),
            // A server whose archive classes are no more than names.
            StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => {
                self.never_cold.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

type Done = Option<Result<Result<(), StorageError>, tokio::task::JoinError>>;

fn finished(bucket: &Bucket, done: Done) -> Result<(), StorageError> {
    match done {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(stopped)) => {
            let cause = format!("the work was interrupted: {stopped}");
            Err(bucket.attempt("ask for", "").failure(StorageErrorKind::Other, cause))
        }
    }
}

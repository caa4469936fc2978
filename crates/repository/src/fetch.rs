//! Reading from a destination so that an abort is heard at once and a short failure is tried again.

use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::repository::Repository;
use bytes::Bytes;
use larder_model::Cancel;
use larder_storage::{Availability, StorageError, StorageErrorKind};
use std::ops::Range;
use std::time::Duration;

/// How often a read that may succeed later is attempted.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often a waiting call looks whether it was aborted.
const LOOK: Duration = Duration::from_millis(100);

impl Repository {
    /// Waits for a call to the destination, but not beyond an abort.
    pub(crate) fn wait_for<T>(
        &self,
        cancel: &Cancel,
        call: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, RepositoryError> {
        cancel.check()?;
        self.handle().block_on(async {
            tokio::pin!(call);
            loop {
                match tokio::time::timeout(LOOK, &mut call).await {
                    Ok(answer) => return Ok(answer?),
                    Err(_) => cancel.check()?,
                }
            }
        })
    }

    fn attempt<T, F>(&self, cancel: &Cancel, call: impl Fn() -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        self.wait_for(cancel, async {
            let mut pause = FIRST_PAUSE;
            for _ in 1..ATTEMPTS {
                match call().await {
                    Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
                    answer => return answer,
                }
                pause *= 2;
            }
            call().await
        })
    }

    /// Reads a range of an object. With a limit, a destination that gives nothing for so long has failed, and is not asked
    /// again.
    pub(crate) fn fetch_range_within(
        &self,
        path: &str,
        range: Range<u64>,
        limit: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<Bytes, RepositoryError> {
        self.attempt(cancel, || async {
            let call = self.storage().get_range(path, range.clone());
            let Some(limit) = limit else { return call.await };
            tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
                let cause = format!("it gave no answer within {} s", limit.as_secs_f64());
                Err(StorageError::new(StorageErrorKind::Other, "read", path, self.describe(), cause))
            })
        })
    }

    /// Reads a range of an object.
    pub(crate) fn fetch_range(
        &self,
        path: &str,
        range: Range<u64>,
        cancel: &Cancel,
    ) -> Result<Bytes, RepositoryError> {
        self.fetch_range_within(path, range, None, cancel)
    }

    /// Says whether an object can be read now.
    pub(crate) fn availability(
        &self,
        kind: ObjectKind,
        id: &Id,
        cancel: &Cancel,
    ) -> Result<Availability, RepositoryError> {
        if !self.storage().capabilities().cold {
            return Ok(Availability::Ready);
        }
        let path = kind.path(id);
        self.attempt(cancel, || self.storage().availability(&path))
    }

    /// Asks for objects in a cold class.
    pub(crate) fn request(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        cancel: &Cancel,
    ) -> Result<(), RepositoryError> {
        let paths: Vec<String> = ids.iter().map(|id| kind.path(id)).collect();
        self.attempt(cancel, || self.storage().request(&paths))
    }

    /// Lets time go by, but not beyond an abort.
    pub(crate) fn pause(&self, time: Duration, cancel: &Cancel) -> Result<(), RepositoryError> {
        self.wait_for(cancel, async {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    /// Reads a whole object.
    pub(crate) fn fetch(&self, path: &str, cancel: &Cancel) -> Result<Bytes, RepositoryError> {
        self.attempt(cancel, || self.storage().get(path))
    }
}

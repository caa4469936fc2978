//! Writes and removals that keep the lock for as long as they are under way, even where an abort does not wait for them.
//!
//! A write that lands after the lock was given back could name packs that the next prune has removed meanwhile.

use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use bytes::Bytes;
use larder_model::Cancel;
use larder_storage::StorageError;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many objects are removed at once.
const REMOVALS: usize = 8;
/// How often a write is tried that may succeed later, and the pause before the first repetition.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A repository under a lock, and the flag that aborts the work on it.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) repository: Repository,
    pub(super) cancel: Cancel,
    lock: Arc<Lock>,
}

impl Guarded {
    pub(super) fn new(repository: &Repository, lock: Lock, cancel: &Cancel) -> Self {
        Self { repository: repository.clone(), cancel: cancel.clone(), lock: Arc::new(lock) }
    }

    /// Returns an error once the work is aborted or the lock is lost.
    pub(super) fn check(&self) -> Result<(), RepositoryError> {
        self.cancel.check()?;
        self.lock.check()
    }

    pub(super) fn doubtful(&self, cause: String) -> RepositoryError {
        RepositoryError::Doubtful { destination: self.repository.describe(), cause }
    }

    /// Lists the objects of a kind with their sizes in bytes.
    pub(super) fn list(&self, kind: ObjectKind) -> Result<HashMap<Id, u64>, RepositoryError> {
        let storage = self.repository.storage();
        let objects = self.repository.wait_for(&self.cancel, storage.list(kind.folder()))?;
        Ok(objects.iter().filter_map(|object| Some((kind.id_of(&object.path)?, object.size_bytes))).collect())
    }

    fn spawn(
        &self,
        work: impl Future<Output = Result<(), StorageError>> + Send + 'static,
    ) -> JoinHandle<Result<(), StorageError>> {
        let lock = self.lock.clone();
        self.repository.handle().spawn(async move {
            let outcome = work.await;
            drop(lock);
            outcome
        })
    }

    /// Writes an object and reads it back: what a destination says it holds is believed once it gives it back.
    pub(super) fn put(&self, kind: ObjectKind, id: &Id, bytes: Bytes) -> Result<(), RepositoryError> {
        self.check()?;
        let (storage, path) = (self.repository.storage().clone(), kind.path(id));
        let (lock, cancel, target) = (self.lock.clone(), self.cancel.clone(), path.clone());
        let task = self.spawn(async move {
            let mut pause = FIRST_PAUSE;
            for _ in 1..ATTEMPTS {
                match storage.put(&target, bytes.clone()).await {
                    Err(error) if error.is_retryable() && !cancel.is_canceled() && !lock.is_lost() => {
                        tokio::time::sleep(pause).await;
                    }
                    outcome => return outcome,
                }
                pause *= 2;
            }
            storage.put(&target, bytes).await
        });
        self.repository.await_task(task, &self.cancel)??;
        if Id::of(&self.repository.fetch(&path, &self.cancel)?) == *id {
            return Ok(());
        }
        Err(self.doubtful(format!("the new object {path} does not come back as it was written")))
    }

    /// Removes objects, several at once, and calls `removed` after each.
    pub(super) fn remove(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        mut removed: impl FnMut(),
    ) -> Result<(), RepositoryError> {
        let mut waiting = ids.iter();
        let mut running = VecDeque::new();
        loop {
            while running.len() < REMOVALS
                && let Some(id) = waiting.next()
            {
                self.check()?;
                let (storage, path) = (self.repository.storage().clone(), kind.path(id));
                running.push_back(self.spawn(async move { storage.delete(&path).await }));
            }
            let Some(task) = running.pop_front() else { return Ok(()) };
            self.repository.await_task(task, &self.cancel)??;
            removed();
        }
    }
}

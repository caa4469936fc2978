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
use larder_storage::{StorageError, StorageErrorKind};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How many objects are removed at once.
const REMOVALS: usize = 8;
/// How often a write is tried that may succeed later, and the pause before the first repetition.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often a removed object may still be listed before that is believed, and the pause between two looks.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// A repository under a lock, and the flag that aborts the work on it.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) repository: Repository,
    pub(crate) cancel: Cancel,
    lock: Arc<Lock>,
}

impl Guarded {
    pub(crate) fn new(repository: &Repository, lock: Lock, cancel: &Cancel) -> Self {
        Self { repository: repository.clone(), cancel: cancel.clone(), lock: Arc::new(lock) }
    }

    /// Returns an error once the work is aborted or the lock is lost.
    pub(crate) fn check(&self) -> Result<(), RepositoryError> {
        self.cancel.check()?;
        self.lock.check()
    }

    pub(crate) fn doubtful(&self, cause: String) -> RepositoryError {
        RepositoryError::Doubtful { destination: self.repository.describe(), cause }
    }

    /// Lists the objects of a kind with their sizes in bytes.
    pub(crate) fn list(&self, kind: ObjectKind) -> Result<HashMap<Id, u64>, RepositoryError> {
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
    pub(crate) fn put(&self, kind: ObjectKind, id: &Id, bytes: Bytes) -> Result<(), RepositoryError> {
        self.write(kind, id, bytes)?;
        let path = kind.path(id);
        if Id::of(&self.repository.fetch(&path, &self.cancel)?) == *id {
            return Ok(());
        }
        // What is not what its name says would only be in everybody's way.
        let _ = self.repository.wait_for(&self.cancel, self.repository.storage().delete(&path));
        Err(self.doubtful(format!("the new object {path} does not come back as it was written")))
    }

    /// Writes an object, again where the destination says that this may help.
    pub(crate) fn write(&self, kind: ObjectKind, id: &Id, bytes: Bytes) -> Result<(), RepositoryError> {
        self.check()?;
        let (storage, path) = (self.repository.storage().clone(), kind.path(id));
        let (lock, cancel) = (self.lock.clone(), self.cancel.clone());
        let task = self.spawn(async move {
            let mut pause = FIRST_PAUSE;
            for _ in 1..ATTEMPTS {
                match storage.put(&path, bytes.clone()).await {
                    Err(error) if error.is_retryable() && !cancel.is_canceled() && !lock.is_lost() => {
                        tokio::time::sleep(pause).await;
                    }
                    outcome => return outcome,
                }
                pause *= 2;
            }
            storage.put(&path, bytes).await
        });
        Ok(self.repository.await_task(task, &self.cancel)??)
    }

    /// Removes objects, several at once, and calls `removed` after each.
    pub(crate) fn remove(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        removed: impl FnMut(),
    ) -> Result<(), RepositoryError> {
        match self.remove_unlocked(kind, ids, removed)?.into_iter().next() {
            Some((_, protected)) => Err(protected.into()),
            None => Ok(()),
        }
    }

    /// Removes objects as [`Guarded::remove`] does, but those that the destination protects; returns these, each with the
    /// destination's words, which often say until when.
    pub(crate) fn remove_unlocked(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        mut removed: impl FnMut(),
    ) -> Result<Vec<(Id, StorageError)>, RepositoryError> {
        let mut protected = Vec::new();
        let mut waiting = ids.iter();
        let mut running = VecDeque::new();
        loop {
            while running.len() < REMOVALS
                && let Some(id) = waiting.next()
            {
                self.check()?;
                let (storage, path) = (self.repository.storage().clone(), kind.path(id));
                running.push_back((*id, self.spawn(async move { storage.delete(&path).await })));
            }
            let Some((id, task)) = running.pop_front() else { return Ok(protected) };
            match self.repository.await_task(task, &self.cancel)? {
                Err(error) if error.kind == StorageErrorKind::Protected => protected.push((id, error)),
                outcome => outcome?,
            }
            removed();
        }
    }

    /// Makes sure that removed objects are gone: as long as an index object names a pack, a backup would rely on it.
    pub(crate) fn see_gone(&self, kind: ObjectKind, removed: &[Id]) -> Result<(), RepositoryError> {
        for look in 1.. {
            let listed = self.list(kind)?;
            let Some(id) = removed.iter().find(|id| listed.contains_key(*id)) else { break };
            if look == LOOKS {
                let path = kind.path(id);
                let cause =
                    format!("{path} is still listed although it was removed, so the packs it names stay");
                return Err(self.doubtful(cause));
            }
            // Some destinations list what was removed for a moment longer.
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

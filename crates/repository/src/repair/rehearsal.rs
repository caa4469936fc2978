//! A repair that is only tried: it reads the repository itself, and what it would write or remove there goes elsewhere.
//!
//! So it says exactly what the real one would do, because it is the real one. It takes the real locks, for what it says
//! holds only while nobody changes anything.

use super::{RepairOptions, RepairReport, VisitLoss};
use crate::error::RepositoryError;
use crate::layout::ObjectKind;
use crate::repository::Repository;
use async_trait::async_trait;
use bytes::Bytes;
use larder_model::{Cancel, Counters};
use larder_storage::{Availability, Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

impl Repository {
    /// Says what [`Repository::repair`] would do, and does nothing of it: what would be written goes to `scratch`, which must
    /// be empty and has room for the objects that would be fetched anew.
    ///
    /// # Errors
    /// Those of [`Repository::repair`].
    pub fn rehearse_repair(
        &self,
        scratch: Arc<dyn Storage>,
        twins: &[Self],
        options: &RepairOptions,
        on_loss: VisitLoss<'_>,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<RepairReport, RepositoryError> {
        self.at(staged(Arc::clone(self.storage()), scratch)).repair(twins, options, on_loss, cancel, counters)
    }
}

/// Returns a destination as a repair would leave it: what is written or removed there goes to `scratch`, which must be empty;
/// only locks are taken in earnest.
#[must_use]
pub fn staged(real: Arc<dyn Storage>, scratch: Arc<dyn Storage>) -> Arc<dyn Storage> {
    Arc::new(Stage { real, scratch, changes: Mutex::default() })
}

/// What differs from the repository.
#[derive(Debug, Default)]
struct Changes {
    /// Objects in the scratch place, with their sizes in bytes.
    written: HashMap<String, u64>,
    removed: HashSet<String>,
}

/// A repository's destination as it would be.
#[derive(Debug)]
struct Stage {
    real: Arc<dyn Storage>,
    scratch: Arc<dyn Storage>,
    changes: Mutex<Changes>,
}

/// Where an object would lie.
enum Lies {
    Real,
    Scratch,
    Nowhere,
}

/// Says whether an object is a lock, which is taken in earnest.
fn is_lock(path: &str) -> bool {
    path.strip_prefix(ObjectKind::Lock.folder()).is_some_and(|rest| rest.starts_with('/'))
}

impl Stage {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, path: &str) -> Lies {
        let changes = self.changes();
        if changes.written.contains_key(path) {
            Lies::Scratch
        } else if changes.removed.contains(path) {
            Lies::Nowhere
        } else {
            Lies::Real
        }
    }

    fn gone(&self, path: &str) -> StorageError {
        let cause = "it would have been removed";
        StorageError::new(StorageErrorKind::NotFound, "read", path, self.describe(), cause)
    }
}

#[async_trait]
impl Storage for Stage {
    fn capabilities(&self) -> Capabilities {
        self.real.capabilities()
    }

    fn describe(&self) -> String {
        self.real.describe()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        if is_lock(path) {
            return self.real.put(path, data).await;
        }
        let size = data.len() as u64;
        self.scratch.put(path, data).await?;
        let mut changes = self.changes();
        changes.removed.remove(path);
        changes.written.insert(path.to_owned(), size);
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        if is_lock(path) {
            return self.real.put_new(path, data).await;
        }
        if self.stat(path).await?.is_some() {
            return Ok(false);
        }
        self.put(path, data).await.map(|()| true)
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        match self.place(path) {
            Lies::Real => self.real.availability(path).await,
            _ => Ok(Availability::Ready),
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        match self.place(path) {
            Lies::Real => self.real.get(path).await,
            Lies::Scratch => self.scratch.get(path).await,
            Lies::Nowhere => Err(self.gone(path)),
        }
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        match self.place(path) {
            Lies::Real => self.real.get_range(path, range).await,
            Lies::Scratch => self.scratch.get_range(path, range).await,
            Lies::Nowhere => Err(self.gone(path)),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        match self.place(path) {
            Lies::Real => self.real.stat(path).await,
            Lies::Scratch => self.scratch.stat(path).await,
            Lies::Nowhere => Ok(None),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let mut objects = self.real.list(folder).await?;
        let changes = self.changes();
        let is_as_it_was =
            |path: &String| !changes.written.contains_key(path) && !changes.removed.contains(path);
        objects.retain(|object| is_as_it_was(&object.path));
        let below = |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let new = changes.written.iter().filter(|(path, _)| below(path));
        objects.extend(new.map(|(path, size)| ObjectInfo { path: path.clone(), size_bytes: *size }));
        Ok(objects)
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        if is_lock(path) {
            return self.real.delete(path).await;
        }
        let was_written = {
            let mut changes = self.changes();
            changes.removed.insert(path.to_owned());
            changes.written.remove(path).is_some()
        };
        if was_written { self.scratch.delete(path).await } else { Ok(()) }
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.scratch.free_bytes().await
    }
}

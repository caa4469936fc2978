//! A destination that lets nobody remove or replace an object before its lock ends, as a container with an immutability
//! policy does.

use crate::memory_storage::MemoryStorage;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use larder_model::Clock;
use larder_storage::{Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// Objects in memory, each locked for a while from its writing.
#[derive(Debug)]
pub struct LockingStorage {
    inner: MemoryStorage,
    clock: Arc<dyn Clock>,
    days: u32,
    /// Whether the destination can extend locks, and says so.
    extends: bool,
    locks: Mutex<BTreeMap<String, Timestamp>>,
    extended: Mutex<Vec<String>>,
}

impl LockingStorage {
    /// Makes an empty one whose locks can be extended.
    #[must_use]
    pub fn new(days: u32, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self::of(days, clock, true))
    }

    /// Makes an empty one with a policy that nobody but its owner can do anything about.
    #[must_use]
    pub fn with_policy(days: u32, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self::of(days, clock, false))
    }

    fn of(days: u32, clock: Arc<dyn Clock>, extends: bool) -> Self {
        let (locks, extended) = (Mutex::default(), Mutex::default());
        Self { inner: MemoryStorage::new(), clock, days, extends, locks, extended }
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.locks.lock().unwrap()
    }

    fn lock(&self, path: &str) {
        let until = self.clock.now() + SignedDuration::from_hours(i64::from(self.days) * 24);
        // Marks of running operations come and go.
        if !path.starts_with("locks/") && !path.starts_with("larder/") {
            self.locks().insert(path.to_owned(), until);
        }
    }

    /// Returns every object with the end of its lock.
    #[must_use]
    pub fn locked_until(&self) -> BTreeMap<String, Timestamp> {
        self.locks().clone()
    }

    /// Returns the objects whose locks were extended since this was last asked.
    #[must_use]
    pub fn take_extended(&self) -> Vec<String> {
        std::mem::take(&mut *self.extended.lock().unwrap())
    }

    /// Lifts the locks below a folder, as its owner may.
    pub fn unlock(&self, folder: &str) {
        self.locks().retain(|path, _| !path.starts_with(folder));
    }

    fn refusal(&self, action: &'static str, path: &str) -> Option<StorageError> {
        let until = self.locks().get(path).copied().filter(|until| *until > self.clock.now())?;
        let cause = format!("it is locked until {until}");
        Some(StorageError::new(StorageErrorKind::Protected, action, path, self.describe(), cause))
    }
}

#[async_trait]
impl Storage for LockingStorage {
    fn capabilities(&self) -> Capabilities {
        let lock_days = if self.extends { self.days } else { 0 };
        Capabilities { object_lock: self.extends, lock_days, ..self.inner.capabilities() }
    }

    fn describe(&self) -> String {
        "locked memory".to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        if let Some(refusal) = self.refusal("write", path) {
            return Err(refusal);
        }
        self.inner.put(path, data).await?;
        self.lock(path);
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let written = self.inner.put_new(path, data).await?;
        if written {
            self.lock(path);
        }
        Ok(written)
    }

    async fn protect(&self, path: &str) -> Result<(), StorageError> {
        self.extended.lock().unwrap().push(path.to_owned());
        self.lock(path);
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.inner.get_range(path, range).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.inner.stat(path).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.list(folder).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        if let Some(refusal) = self.refusal("delete", path) {
            return Err(refusal);
        }
        self.locks().remove(path);
        self.inner.delete(path).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.inner.free_bytes().await
    }
}

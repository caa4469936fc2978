//! A destination in memory that takes time, serves so many calls at once, and may refuse more.

use crate::memory_storage::MemoryStorage;
use async_trait::async_trait;
use bytes::Bytes;
use larder_storage::{Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Keeps objects in memory; each call takes a while, a number of them go on at the same time, and the others queue.
#[derive(Debug)]
pub struct BusyStorage {
    objects: MemoryStorage,
    servers: Semaphore,
    takes: Duration,
    /// With more calls than this inside, further ones are told to come back after a time.
    refuse: Option<(usize, Duration)>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    refused: AtomicUsize,
}

impl BusyStorage {
    /// Makes one that serves so many calls at once, each in a given time.
    #[must_use]
    pub fn new(at_once: usize, takes: Duration) -> Self {
        Self {
            objects: MemoryStorage::new(),
            servers: Semaphore::new(at_once),
            takes,
            refuse: None,
            inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Makes it refuse calls while so many are inside, and ask to be left alone for a time.
    #[must_use]
    pub const fn refusing_beyond(mut self, inside: usize, retry_after: Duration) -> Self {
        self.refuse = Some((inside, retry_after));
        self
    }

    /// Returns how many calls were inside at once at most, those that were refused left out.
    #[must_use]
    pub fn most_inside(&self) -> usize {
        self.most_inside.load(Ordering::Relaxed)
    }

    /// Returns how many calls it refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    async fn serve<T>(
        &self,
        call: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let present = Present::enter(&self.inside);
        if let Some((most, retry_after)) = self.refuse
            && present.number > most
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let error = StorageError::new(
                StorageErrorKind::Unavailable,
                "use",
                "",
                self.describe(),
                "it has too much to do",
            );
            return Err(error.with_retry_after(Some(retry_after)));
        }
        self.most_inside.fetch_max(present.number, Ordering::Relaxed);
        let _server = self.servers.acquire().await;
        tokio::time::sleep(self.takes).await;
        call.await
    }
}

/// One call inside, counted until it leaves.
struct Present<'a> {
    inside: &'a AtomicUsize,
    number: usize,
}

impl<'a> Present<'a> {
    fn enter(inside: &'a AtomicUsize) -> Self {
        Self { inside, number: inside.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Storage for BusyStorage {
    fn capabilities(&self) -> Capabilities {
        self.objects.capabilities()
    }

    fn describe(&self) -> String {
        "busy memory".to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.serve(self.objects.put(path, data)).await
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.serve(self.objects.put_new(path, data)).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.serve(self.objects.get(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.serve(self.objects.get_range(path, range)).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.serve(self.objects.stat(path)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.serve(self.objects.list(folder)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.serve(self.objects.delete(path)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.serve(self.objects.free_bytes()).await
    }
}

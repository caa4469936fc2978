//! A destination that fails now and then, at random and in every way that may be tried again.

use crate::random::Random;
use async_trait::async_trait;
use bytes::Bytes;
use larder_storage::{Availability, Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Wraps a destination; one call in so many fails before it did anything, fails after it did its work, is told to come
/// back later, or never ends. The same seed gives the same faults for the same calls.
#[derive(Debug)]
pub struct FlakyStorage {
    inner: Arc<dyn Storage>,
    random: Mutex<Random>,
    one_in: u64,
    failed: AtomicU64,
}

impl FlakyStorage {
    /// Wraps a destination.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>, seed: u64, one_in: u64) -> Arc<Self> {
        Arc::new(Self { inner, random: Mutex::new(Random::new(seed)), one_in, failed: AtomicU64::new(0) })
    }

    /// Returns how many calls went wrong.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let way = {
            let mut random = self.random.lock().unwrap();
            (random.below(self.one_in) == 0).then(|| random.below(40))
        };
        let error = || {
            let cause = "the connection was cut";
            StorageError::new(StorageErrorKind::Unavailable, "use", "", self.inner.describe(), cause)
        };
        let Some(way) = way else { return call.await };
        self.failed.fetch_add(1, Ordering::Relaxed);
        match way {
            0..15 => Err(error()),
            15..30 => {
                let _lost_answer = call.await;
                Err(error())
            }
            30..39 => Err(error().with_retry_after(Some(Duration::from_secs(way - 30)))),
            _ => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Storage for FlakyStorage {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.call(self.inner.put(path, data)).await
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.call(self.inner.put_new(path, data)).await
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.call(self.inner.put_cold(path, data)).await
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        self.call(self.inner.availability(path)).await
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        self.call(self.inner.request(paths)).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.call(self.inner.get(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.call(self.inner.get_range(path, range)).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.call(self.inner.stat(path)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.call(self.inner.list(folder)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.call(self.inner.delete(path)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.call(self.inner.free_bytes()).await
    }
}

//! A destination with a cold class, as Glacier and its like are.

use crate::memory_storage::MemoryStorage;
use async_trait::async_trait;
use bytes::Bytes;
use larder_storage::{Availability, Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// Keeps objects in memory; one that was put into the cold class cannot be read until it was asked for and the test lets
/// it thaw.
#[derive(Debug, Default)]
pub struct ColdStorage {
    objects: MemoryStorage,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cold: BTreeMap<String, Availability>,
    requests: Vec<Vec<String>>,
    polls: u64,
    /// How often an object that was asked for is still found thawing before it is ready; `None` until the test says so.
    patience: Option<u64>,
}

impl ColdStorage {
    /// Makes an empty destination where nothing thaws by itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one where what was asked for is ready once all objects together were looked at so often.
    #[must_use]
    pub fn thawing_after(polls: u64) -> Self {
        let new = Self::default();
        new.state().patience = Some(polls);
        new
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes everything ready that was asked for.
    pub fn thaw(&self) {
        for state in self.state().cold.values_mut().filter(|state| **state == Availability::Thawing) {
            *state = Availability::Ready;
        }
    }

    /// Makes everything cold again, as when the time is over for which it was made readable.
    pub fn freeze(&self) {
        self.state().cold.values_mut().for_each(|state| *state = Availability::Cold);
    }

    /// Returns the paths of each request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<String>> {
        self.state().requests.clone()
    }

    /// Returns how often it was asked whether something can be read.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.state().polls
    }

    /// Returns the paths in the cold class.
    #[must_use]
    pub fn cold(&self) -> Vec<String> {
        self.state().cold.keys().cloned().collect()
    }

    fn readable(&self, path: &str) -> Result<(), StorageError> {
        match self.state().cold.get(path) {
            None | Some(Availability::Ready) => Ok(()),
            Some(_) => Err(StorageError::new(
                StorageErrorKind::Cold,
                "read",
                path,
                self.describe(),
                "it lies in cold storage",
            )),
        }
    }
}

#[async_trait]
impl Storage for ColdStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities { cold: true, ..self.objects.capabilities() }
    }

    fn describe(&self) -> String {
        "cold memory".to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.objects.put(path, data).await?;
        self.state().cold.remove(path);
        Ok(())
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.objects.put(path, data).await?;
        self.state().cold.insert(path.to_owned(), Availability::Cold);
        Ok(())
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        if self.objects.stat(path).await?.is_none() {
            // Says that it does not exist.
            self.objects.get(path).await?;
        }
        let mut state = self.state();
        state.polls += 1;
        if state.patience.is_some_and(|patience| state.polls > patience)
            && let Some(found) = state.cold.get_mut(path)
            && *found == Availability::Thawing
        {
            *found = Availability::Ready;
        }
        Ok(state.cold.get(path).copied().unwrap_or(Availability::Ready))
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        let mut state = self.state();
        state.requests.push(paths.to_vec());
        for path in paths {
            if let Some(found) = state.cold.get_mut(path)
                && *found == Availability::Cold
            {
                *found = Availability::Thawing;
            }
        }
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.objects.put_new(path, data).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.readable(path)?;
        self.objects.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.readable(path)?;
        self.objects.get_range(path, range).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.objects.stat(path).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.objects.list(folder).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.state().cold.remove(path);
        self.objects.delete(path).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.objects.free_bytes().await
    }
}

//! A destination that is asked with patience, as a destination.

use super::Patience;
use super::attempt::Ask;
use super::settings::CallKind;
use crate::error::StorageError;
use crate::storage::{Availability, Capabilities, ObjectInfo, Storage};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of a range that is read, so much is waited for before, the rest after it came.
const PAID_BEFORE_BYTES: u64 = 64 << 20;

/// A connection to a destination, used with the patience that all its connections share.
#[derive(Clone, Debug)]
pub struct Patient {
    patience: Arc<Patience>,
    inner: Arc<dyn Storage>,
    destination: String,
}

impl Patient {
    pub(super) fn new(patience: Arc<Patience>, inner: Arc<dyn Storage>) -> Self {
        let destination = inner.describe();
        Self { patience, inner, destination }
    }

    /// Returns the patience, which knows what went on.
    #[must_use]
    pub const fn patience(&self) -> &Arc<Patience> {
        &self.patience
    }

    fn paced(&self) -> bool {
        self.inner.capabilities().paced
    }

    /// Makes a call that moves no bytes worth counting.
    async fn ask<T, F>(
        &self,
        kind: CallKind,
        path: &str,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let ask = Ask { kind, path, destination: &self.destination, up: 0, down: 0, paced: self.paced() };
        self.patience.ask(ask, call, |_| 0).await
    }

    async fn send<T, F>(
        &self,
        path: &str,
        data: &Bytes,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let up = data.len() as u64;
        let ask = Ask {
            kind: CallKind::Write,
            path,
            destination: &self.destination,
            up,
            down: 0,
            paced: self.paced(),
        };
        self.patience.ask(ask, call, |_| 0).await
    }

    async fn fetch<F>(
        &self,
        path: &str,
        down: u64,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<Bytes, StorageError>
    where
        F: Future<Output = Result<Bytes, StorageError>> + Send,
    {
        let ask = Ask {
            kind: CallKind::Read,
            path,
            destination: &self.destination,
            up: 0,
            down,
            paced: self.paced(),
        };
        self.patience.ask(ask, call, |data: &Bytes| data.len() as u64).await
    }
}

#[async_trait]
impl Storage for Patient {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.destination.clone()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.send(path, &data, || self.inner.put(path, data.clone())).await
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let repeated = AtomicBool::new(false);
        let begun = AtomicBool::new(false);
        let call = || {
            repeated.store(begun.swap(true, Ordering::Relaxed), Ordering::Relaxed);
            self.inner.put_new(path, data.clone())
        };
        let written = self.send(path, &data, call).await?;
        if written || !repeated.load(Ordering::Relaxed) {
            return Ok(written);
        }
        // An attempt whose answer was lost may have written it: then the object that is in the way is our own.
        match self.get(path).await {
            Ok(there) => Ok(there == data),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.send(path, &data, || self.inner.put_cold(path, data.clone())).await
    }

    async fn put_hashed(
        &self,
        path: &str,
        data: Bytes,
        sha256: &[u8; 32],
        cold: bool,
    ) -> Result<(), StorageError> {
        self.send(path, &data, || self.inner.put_hashed(path, data.clone(), sha256, cold)).await
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        self.ask(CallKind::LookUp, path, || self.inner.availability(path)).await
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        self.ask(CallKind::Write, "", || self.inner.request(paths)).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.fetch(path, 0, || self.inner.get(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        // A range beyond the end is an error; it must not be waited for as if it could come.
        let size = range.end.saturating_sub(range.start).min(PAID_BEFORE_BYTES);
        self.fetch(path, size, || self.inner.get_range(path, range.clone())).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.ask(CallKind::LookUp, path, || self.inner.stat(path)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.ask(CallKind::List, folder, || self.inner.list(folder)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.ask(CallKind::Delete, path, || self.inner.delete(path)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.ask(CallKind::LookUp, "", || self.inner.free_bytes()).await
    }
}

//! A folder of another destination, as a destination of its own.

use crate::error::StorageError;
use crate::storage::{Availability, Capabilities, ObjectInfo, Storage};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// A view of one folder of a destination: `<root>/<database>` as a destination whose root is the database's.
#[derive(Debug)]
pub struct Folder {
    inner: Arc<dyn Storage>,
    prefix: String,
}

impl Folder {
    /// Makes a view of `folder` below the root of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>, folder: &str) -> Self {
        Self { inner, prefix: format!("{}/", folder.trim_matches('/')) }
    }

    fn inside(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn outside(&self, mut object: ObjectInfo) -> ObjectInfo {
        if let Some(path) = object.path.strip_prefix(&self.prefix) {
            object.path = path.to_owned();
        }
        object
    }
}

#[async_trait]
impl Storage for Folder {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        format!("{}/{}", self.inner.describe().trim_end_matches('/'), self.prefix.trim_end_matches('/'))
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.inner.put(&self.inside(path), data).await
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.inner.put_new(&self.inside(path), data).await
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.inner.put_cold(&self.inside(path), data).await
    }

    async fn put_hashed(
        &self,
        path: &str,
        data: Bytes,
        sha256: &[u8; 32],
        cold: bool,
    ) -> Result<(), StorageError> {
        self.inner.put_hashed(&self.inside(path), data, sha256, cold).await
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        self.inner.availability(&self.inside(path)).await
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        let paths: Vec<String> = paths.iter().map(|path| self.inside(path)).collect();
        self.inner.request(&paths).await
    }

    async fn protect(&self, path: &str) -> Result<(), StorageError> {
        self.inner.protect(&self.inside(path)).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.inner.get(&self.inside(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.inner.get_range(&self.inside(path), range).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        Ok(self.inner.stat(&self.inside(path)).await?.map(|object| self.outside(object)))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = self.inside(folder);
        let objects = self.inner.list(folder.trim_end_matches('/')).await?;
        Ok(objects.into_iter().map(|object| self.outside(object)).collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.inner.delete(&self.inside(path)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.inner.free_bytes().await
    }
}

//! A bucket as a destination.

use crate::error::StorageError;
use crate::http::Client;
use crate::path;
use crate::s3::bucket::{Bucket, precondition};
use crate::s3::write::{Content, Existing};
use crate::storage::{Availability, Capabilities, ObjectInfo, Storage};
use async_trait::async_trait;
use bytes::Bytes;
use larder_model::task::S3Settings;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A folder of a bucket as a destination: one object, one object.
#[derive(Clone, Debug)]
pub struct S3 {
    bucket: Arc<Bucket>,
}

impl S3 {
    /// Opens what the settings describe; nothing is asked of the server yet.
    pub(crate) fn open(settings: &S3Settings, client: Client) -> Result<Self, StorageError> {
        Ok(Self { bucket: Arc::new(Bucket::open(settings, client)?) })
    }

    fn accept(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        match path::objection(path) {
            None => Ok(()),
            Some(cause) => Err(self.bucket.attempt(action, path).invalid(cause)),
        }
    }
}

#[async_trait]
impl Storage for S3 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            conditional_put: self.bucket.precondition.load(Ordering::Relaxed) == precondition::KEPT,
            cold: self.bucket.is_cold(),
            object_lock: self.bucket.lock.is_some(),
            lock_days: self.bucket.lock.map_or(0, |lock| lock.days),
            paced: true,
            ..Capabilities::default()
        }
    }

    fn describe(&self) -> String {
        self.bucket.place.describe().to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        self.bucket.write(path, Content::new(data), false, Existing::Replace).await.map(|_| ())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.accept("write", path)?;
        self.bucket.write_new(path, data).await
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        self.bucket.write(path, Content::new(data), true, Existing::Replace).await.map(|_| ())
    }

    async fn put_hashed(
        &self,
        path: &str,
        data: Bytes,
        sha256: &[u8; 32],
        cold: bool,
    ) -> Result<(), StorageError> {
        self.accept("write", path)?;
        let content = Content { data, hash: Some(*sha256) };
        self.bucket.write(path, content, cold, Existing::Replace).await.map(|_| ())
    }

    async fn availability(&self, path: &str) -> Result<Availability, StorageError> {
        self.accept("look up", path)?;
        self.bucket.look(path).await
    }

    async fn request(&self, paths: &[String]) -> Result<(), StorageError> {
        paths.iter().try_for_each(|path| self.accept("ask for", path))?;
        self.bucket.request_all(paths).await
    }

    async fn protect(&self, path: &str) -> Result<(), StorageError> {
        self.accept("protect", path)?;
        match self.bucket.lock {
            Some(lock) => self.bucket.extend_lock(path, lock).await,
            None => Ok(()),
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        self.bucket.read(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        self.bucket.read_range(path, range).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.accept("look up", path)?;
        let size = self.bucket.size(path).await?;
        Ok(size.map(|size_bytes| ObjectInfo { path: path.to_owned(), size_bytes }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            self.accept("list", folder)?;
        }
        self.bucket.list(folder).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.accept("delete", path)?;
        self.bucket.remove(path).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

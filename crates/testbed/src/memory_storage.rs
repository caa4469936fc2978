//! A destination in memory.

use async_trait::async_trait;
use bytes::Bytes;
use larder_storage::{Capabilities, ObjectInfo, Storage, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

/// Keeps objects in memory; what is written is there at once, and gone with the value.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStorage {
    /// Makes an empty destination.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a test the objects themselves, to look at or to damage.
    pub fn with_objects<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Bytes>) -> T) -> T {
        look(&mut self.objects.lock().unwrap())
    }

    fn error(&self, kind: StorageErrorKind, action: &'static str, path: &str, cause: String) -> StorageError {
        StorageError::new(kind, action, path, self.describe(), cause)
    }

    fn accept(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        let bad = path.contains('\0')
            || path.split('/').any(|part| matches!(part, "" | "." | "..") || part.len() > 255);
        if !bad {
            return Ok(());
        }
        Err(self.error(StorageErrorKind::Invalid, action, path, "the path cannot name an object".to_owned()))
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities { conditional_put: true, rename: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        self.objects.lock().unwrap().insert(path.to_owned(), data);
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.accept("write", path)?;
        let mut objects = self.objects.lock().unwrap();
        let absent = !objects.contains_key(path);
        if absent {
            objects.insert(path.to_owned(), data);
        }
        Ok(absent)
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let found = self.objects.lock().unwrap().get(path).cloned();
        found.ok_or_else(|| {
            self.error(StorageErrorKind::NotFound, "read", path, "it does not exist".to_owned())
        })
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let data = self.get(path).await?;
        if range.start > range.end {
            return Err(self.error(
                StorageErrorKind::Invalid,
                "read",
                path,
                format!("{range:?} is no range"),
            ));
        }
        if range.end > data.len() as u64 {
            let cause = format!("it has {} bytes, but {range:?} was asked for", data.len());
            return Err(self.error(StorageErrorKind::Damaged, "read", path, cause));
        }
        Ok(data.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()))
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.accept("look up", path)?;
        let objects = self.objects.lock().unwrap();
        Ok(objects.get(path).map(|data| ObjectInfo { path: path.to_owned(), size_bytes: data.len() as u64 }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            self.accept("list", folder)?;
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let objects = self.objects.lock().unwrap();
        Ok(objects
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(path, data)| ObjectInfo { path: path.clone(), size_bytes: data.len() as u64 })
            .collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.accept("delete", path)?;
        self.objects.lock().unwrap().remove(path);
        Ok(())
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

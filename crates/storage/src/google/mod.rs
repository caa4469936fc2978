//! A bucket of Google Cloud Storage as a destination, by its JSON interface.

mod bucket;
mod listing;
mod objects;
mod refusal;
mod token;
mod upload;

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Client};
use crate::prefix::Prefix;
use crate::storage::{Capabilities, ObjectInfo, Storage};
use crate::{path, range};
use async_trait::async_trait;
use bucket::Bucket;
use bytes::Bytes;
use http::Method;
use http::header::RANGE;
use larder_model::task::{GoogleCloudSettings, GoogleStorageClass};
use listing::Asked;
pub(crate) use objects::GoogleObjects;
use serde::Deserialize;
use std::ops::Range;
use upload::Manner;

/// The description of one object is at most so large.
const DESCRIPTION_AT_MOST: u64 = 16 << 20;
/// An object is at most so large.
const OBJECT_AT_MOST: u64 = 4 << 30;

/// A bucket, or a folder of one.
///
/// Only what [`Storage::put_cold`] writes lies in the class of the settings; all else is `STANDARD` then, for it is small, is
/// read by every backup, and would be billed for the least time that a colder class asks for. Every class can be read at once.
#[derive(Debug)]
pub(crate) struct GoogleCloud {
    bucket: Bucket,
    prefix: Prefix,
    class: Option<GoogleStorageClass>,
}

/// One object. Its size is a number written as text.
#[derive(Deserialize)]
struct Item {
    name: String,
    size: String,
}

impl GoogleCloud {
    /// Reads where it is from the settings, without asking it anything.
    ///
    /// # Errors
    /// The settings make no sense.
    pub(crate) fn open(settings: &GoogleCloudSettings, client: Client) -> Result<Self, StorageError> {
        let invalid = |cause: String| Attempt::new("open", "", "Google Cloud").invalid(cause);
        Ok(Self {
            bucket: Bucket::new(settings, client).map_err(invalid)?,
            prefix: Prefix::new(settings.remote_folder_name.as_deref()).map_err(invalid)?,
            class: settings.storage_class,
        })
    }

    fn accept<'a>(
        &self,
        action: &'static str,
        path: &'a str,
        described: &'a str,
    ) -> Result<Attempt<'a>, StorageError> {
        let attempt = Attempt::new(action, path, described);
        path::objection(path).map_or(Ok(attempt), |cause| Err(attempt.invalid(cause)))
    }

    async fn size(&self, attempt: &Attempt<'_>) -> Result<u64, StorageError> {
        let target = self.bucket.object(&self.prefix.name(attempt.path), "fields=name,size");
        let answer = self.bucket.ask(attempt, Method::GET, &target, &[], Bytes::new()).await?;
        let body = answer.bytes(attempt, DESCRIPTION_AT_MOST).await?;
        let item: Option<Item> = serde_json::from_slice(&body).ok();
        item.and_then(|item| item.size.parse().ok())
            .ok_or_else(|| attempt.failure(StorageErrorKind::Other, "the server did not say how large it is"))
    }

    const fn cold_class(&self) -> Option<&'static str> {
        match self.class {
            None => None,
            Some(GoogleStorageClass::Standard) => Some("STANDARD"),
            Some(GoogleStorageClass::Nearline) => Some("NEARLINE"),
            Some(GoogleStorageClass::Coldline) => Some("COLDLINE"),
            Some(GoogleStorageClass::Archive) => Some("ARCHIVE"),
        }
    }

    const fn hot_class(&self) -> Option<&'static str> {
        if self.class.is_some() { Some("STANDARD") } else { None }
    }
}

#[async_trait]
impl Storage for GoogleCloud {
    fn capabilities(&self) -> Capabilities {
        // Servers that only speak Google's language often take no notice of conditions.
        Capabilities { conditional_put: self.bucket.is_google, paced: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        format!("gs://{}{}", self.bucket.name, self.prefix.described())
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        self.write(&attempt, data, Manner { class: self.hot_class(), only_new: false }).await?;
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        if !self.bucket.is_google && self.stat(path).await?.is_some() {
            return Ok(false);
        }
        self.write(&attempt, data, Manner { class: self.hot_class(), only_new: true }).await
    }

    async fn put_cold(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("write", path, &described)?;
        self.write(&attempt, data, Manner { class: self.cold_class(), only_new: false }).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let described = self.describe();
        let attempt = self.accept("read", path, &described)?;
        let target = self.bucket.object(&self.prefix.name(path), "alt=media");
        let answer = self.bucket.ask(&attempt, Method::GET, &target, &[], Bytes::new()).await?;
        answer.bytes(&attempt, OBJECT_AT_MOST).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let described = self.describe();
        let attempt = self.accept("read", path, &described)?;
        range::accept(&attempt, &range)?;
        if range.is_empty() {
            return range::empty(&attempt, &range, self.size(&attempt).await?);
        }
        let target = self.bucket.object(&self.prefix.name(path), "alt=media");
        let headers = [(RANGE, range::header(&range))];
        match self.bucket.ask(&attempt, Method::GET, &target, &headers, Bytes::new()).await {
            Ok(answer) => range::read(answer, &attempt, &range).await,
            Err(refused) if refused.status == Some(http::StatusCode::RANGE_NOT_SATISFIABLE) => {
                Err(range::short(&attempt, &range, "the object ends before"))
            }
            Err(refused) => Err(refused.error),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        let described = self.describe();
        let attempt = self.accept("look up", path, &described)?;
        match self.size(&attempt).await {
            Ok(size_bytes) => Ok(Some(ObjectInfo { path: path.to_owned(), size_bytes })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let described = self.describe();
        let folder = folder.trim_end_matches('/');
        let attempt = Attempt::new("list", folder, &described);
        if !folder.is_empty() {
            self.accept("list", folder, &described)?;
        }
        let damaged = |cause: &str| attempt.failure(StorageErrorKind::Damaged, cause);
        let below = self.prefix.below(folder);
        let mut objects = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let asked = Asked { prefix: &below, fields: "name,size", page: page.as_deref() };
            let (items, following) = self.bucket.page::<Item>(&attempt, asked).await?;
            for item in items {
                let size_bytes =
                    item.size.parse().map_err(|_| damaged("the listing has a size that is none"))?;
                if let Some(path) = self.prefix.path(&item.name) {
                    objects.push(ObjectInfo { path: path.to_owned(), size_bytes });
                }
            }
            page = match following {
                Some(following) => Some(following),
                None => return Ok(objects),
            };
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let described = self.describe();
        let attempt = self.accept("delete", path, &described)?;
        let target = self.bucket.object(&self.prefix.name(path), "");
        match self.bucket.ask(&attempt, Method::DELETE, &target, &[], Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.is_not_found() => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

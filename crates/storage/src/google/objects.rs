//! A bucket with objects of somebody's own.

use super::GoogleCloud;
use super::listing::Asked;
use super::upload::Outcome;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Client, encode};
use crate::objects::{
    META, ObjectBytes, ObjectHead, ObjectPage, ObjectStore, ObjectUpload, OpenObject, moment,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, RANGE};
use http::{Method, Uri};
use jiff::Timestamp;
use larder_model::task::GoogleCloudSettings;
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The description of one object is at most so large.
const DESCRIPTION_AT_MOST: u64 = 16 << 20;

/// How often a part may bring nothing forward.
const STUMBLES: u32 = 3;

/// The service's names of the usual properties.
const NAMES: [(&str, &str); 5] = [
    ("content-type", "contentType"),
    ("cache-control", "cacheControl"),
    ("content-disposition", "contentDisposition"),
    ("content-encoding", "contentEncoding"),
    ("content-language", "contentLanguage"),
];

/// What is asked of each object.
const FIELDS: &str = "name,size,generation,metageneration,updated,contentType,cacheControl,contentDisposition,contentEncoding,contentLanguage,metadata";

/// One object. Its size is a number written as text.
#[derive(Deserialize)]
struct Item {
    name: String,
    size: String,
    #[serde(default)]
    updated: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

impl Item {
    fn head(self) -> Option<ObjectHead> {
        let text = |name: &str| match self.more.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let usual = NAMES.iter().filter_map(|(ours, its)| Some(((*ours).to_owned(), text(its)?)));
        let own = self.more.get("metadata").and_then(Value::as_object).into_iter().flatten();
        let own = own.filter_map(|(name, value)| Some((format!("{META}{name}"), value.as_str()?.to_owned())));
        let generation = text("generation").unwrap_or_default();
        let tag = match text("metageneration") {
            Some(meta) => format!("{generation}/{meta}"),
            None => generation,
        };
        Some(ObjectHead {
            size_bytes: self.size.parse().ok()?,
            modified: moment(&self.updated).unwrap_or(Timestamp::UNIX_EPOCH),
            properties: usual.chain(own).collect(),
            tag,
            key: self.name,
        })
    }
}

/// A whole bucket.
#[derive(Clone, Debug)]
pub(crate) struct GoogleObjects {
    google: Arc<GoogleCloud>,
    described: String,
}

impl GoogleObjects {
    /// Reads where it is from the settings, without asking it anything.
    pub(crate) fn open(settings: &GoogleCloudSettings, client: Client) -> Result<Self, StorageError> {
        let settings = GoogleCloudSettings { remote_folder_name: None, ..settings.clone() };
        let google = GoogleCloud::open(&settings, client)?;
        Ok(Self { described: format!("gs://{}", google.bucket.name), google: Arc::new(google) })
    }

    fn attempt<'a>(&'a self, action: &'static str, key: &'a str) -> Attempt<'a> {
        Attempt::new(action, key, &self.described)
    }

    /// Asks for the bytes of one generation, from an offset on. What was stored compressed comes as it was stored.
    async fn media(
        &self,
        attempt: &Attempt<'_>,
        head: &ObjectHead,
        offset: u64,
    ) -> Result<ObjectBytes, StorageError> {
        let mut query = "alt=media".to_owned();
        if let Some(generation) = head.tag.split('/').next().filter(|text| !text.is_empty()) {
            query.push_str(&format!("&generation={}", encode(generation)));
        }
        let target = self.google.bucket.object(&head.key, &query);
        let mut headers = vec![(ACCEPT_ENCODING, "gzip".to_owned())];
        if offset > 0 {
            headers.push((RANGE, format!("bytes={offset}-")));
        }
        let answer = self.google.bucket.ask(attempt, Method::GET, &target, &headers, Bytes::new()).await?;
        if offset > 0 {
            return ObjectBytes::from(answer, attempt, offset);
        }
        Ok(ObjectBytes::new(answer, attempt))
    }

    /// Asks what is known of an object now.
    async fn look(&self, attempt: &Attempt<'_>) -> Result<ObjectHead, StorageError> {
        let target = self.google.bucket.object(attempt.path, &format!("fields={FIELDS}"));
        let answer = self.google.bucket.ask(attempt, Method::GET, &target, &[], Bytes::new()).await?;
        let body = answer.bytes(attempt, DESCRIPTION_AT_MOST).await?;
        let head = serde_json::from_slice::<Item>(&body).ok().and_then(Item::head);
        head.ok_or_else(|| attempt.failure(StorageErrorKind::Damaged, "the server did not describe it"))
    }

    fn description(head: &ObjectHead) -> Value {
        let mut said = json!({"name": head.key});
        let mut own = serde_json::Map::new();
        for (name, value) in &head.properties {
            if let Some(name) = name.strip_prefix(META) {
                own.insert(name.to_owned(), json!(value));
            } else if let Some((_, its)) = NAMES.iter().find(|(ours, _)| ours == name) {
                said[*its] = json!(value);
            }
        }
        if !own.is_empty() {
            said["metadata"] = Value::Object(own);
        }
        said
    }
}

#[async_trait]
impl ObjectStore for GoogleObjects {
    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn page(&self, prefix: &str, next: Option<&str>) -> Result<ObjectPage, StorageError> {
        let attempt = self.attempt("list", prefix);
        let damaged = |cause: &str| attempt.failure(StorageErrorKind::Damaged, cause);
        let asked = Asked { prefix, fields: FIELDS, page: next };
        let (items, next) = self.google.bucket.page::<Item>(&attempt, asked).await?;
        let heads: Option<Vec<ObjectHead>> = items.into_iter().map(Item::head).collect();
        let objects = heads.ok_or_else(|| damaged("the listing has a size that is none"))?;
        if objects.iter().any(|object| !object.key.starts_with(prefix)) {
            return Err(damaged("the server listed what was not asked for"));
        }
        Ok(ObjectPage { objects, next })
    }

    async fn open(&self, listed: &ObjectHead) -> Result<OpenObject, StorageError> {
        let attempt = self.attempt("read", &listed.key);
        match self.media(&attempt, listed, 0).await {
            // It was replaced since it was listed, unless it is gone.
            Err(error) if error.is_not_found() => {
                let head = self.look(&attempt).await?;
                let bytes = self.media(&attempt, &head, 0).await?;
                Ok(OpenObject { head, bytes })
            }
            bytes => Ok(OpenObject { head: listed.clone(), bytes: bytes? }),
        }
    }

    async fn resume(&self, head: &ObjectHead, offset: u64) -> Result<ObjectBytes, StorageError> {
        self.media(&self.attempt("read", &head.key), head, offset).await
    }

    async fn write(&self, head: &ObjectHead, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.attempt("write", &head.key);
        let md5 = base64_encode(&Md5::digest(&data));
        let mut description = Self::description(head);
        description["md5Hash"] = json!(md5);
        let description = description.to_string();
        Ok(self.google.write_at_once(&attempt, &description, &data, &md5, "").await.map(drop)?)
    }

    async fn begin(&self, head: &ObjectHead) -> Result<Box<dyn ObjectUpload>, StorageError> {
        let attempt = self.attempt("write", &head.key);
        let description = Self::description(head).to_string();
        let session = self.google.begin_parts(&attempt, description, head.size_bytes, "").await?;
        let (key, total) = (head.key.clone(), head.size_bytes);
        Ok(Box::new(Session { store: self.clone(), key, session, total, sent: 0, is_complete: false }))
    }

    async fn remove(&self, key: &str) -> Result<(), StorageError> {
        let attempt = self.attempt("delete", key);
        let target = self.google.bucket.object(key, "");
        match self.google.bucket.ask(&attempt, Method::DELETE, &target, &[], Bytes::new()).await {
            Err(refused) if !refused.error.is_not_found() => Err(refused.error),
            _ => Ok(()),
        }
    }
}

/// An upload that can be taken up again.
struct Session {
    store: GoogleObjects,
    key: String,
    session: Uri,
    total: u64,
    sent: u64,
    is_complete: bool,
}

#[async_trait]
impl ObjectUpload for Session {
    async fn part(&mut self, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.store.attempt("write", &self.key);
        let (start, end) = (self.sent, self.sent + data.len() as u64);
        let (mut held, mut stumbles) = (start, 0);
        while held < end {
            let range = format!("bytes {held}-{}/{}", end - 1, self.total);
            let rest = data.slice(usize::try_from(held - start).unwrap_or(usize::MAX).min(data.len())..);
            let google = &self.store.google;
            let outcome = match google.send_part(&attempt, &self.session, range, rest).await {
                // What arrived before it failed is kept.
                Err(refused) if refused.error.is_retryable() && stumbles < STUMBLES => {
                    let asked = format!("bytes */{}", self.total);
                    google.send_part(&attempt, &self.session, asked, Bytes::new()).await?
                }
                sent => sent?,
            };
            match outcome {
                Outcome::Complete(_) => {
                    self.is_complete = true;
                    held = end;
                }
                Outcome::Holds(now) => {
                    let now = now as u64;
                    stumbles = if now > held { 0 } else { stumbles + 1 };
                    if now < start || now > end || stumbles > STUMBLES {
                        let cause = format!("the upload does not get beyond byte {held}");
                        return Err(attempt.failure(StorageErrorKind::Unavailable, cause));
                    }
                    held = now;
                }
            }
        }
        self.sent = end;
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), StorageError> {
        if self.is_complete {
            return Ok(());
        }
        let attempt = self.store.attempt("write", &self.key);
        let cause = format!("{} of {} bytes were sent", self.sent, self.total);
        Err(attempt.failure(StorageErrorKind::Other, cause))
    }

    async fn abort(self: Box<Self>) {
        let attempt = self.store.attempt("write", &self.key);
        let bucket = &self.store.google.bucket;
        // Otherwise the service keeps the parts for a week. That this fails, too, changes nothing.
        let _ = bucket.send(&attempt, Method::DELETE, self.session.clone(), &[], Bytes::new()).await;
    }
}

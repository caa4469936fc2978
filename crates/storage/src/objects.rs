//! Buckets as their owners use them: objects under keys of every kind, and what is said about each.
//!
//! A destination has paths of its own making, and no more to say of an object than its size. What somebody else keeps in a
//! bucket has any key at all, a type, and words about it: that is what is read and written here.

use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Answer, Attempt};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What every store says about an object, by the names of the headers that carry it.
pub(crate) const PROPERTIES: [&str; 5] =
    ["content-type", "cache-control", "content-disposition", "content-encoding", "content-language"];

/// What stands before the names that an object's owner gave to further words about it.
pub const META: &str = "meta.";

/// What is known of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its key: any text.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written; the beginning of 1970 where the server does not say.
    pub modified: Timestamp,
    /// The server's name of these very bytes, which changes whenever they do.
    pub tag: String,
    /// What is said about it: `content-type` and its like, and with [`META`] before the name what its owner added. A listing
    /// need not have it; [`ObjectStore::open`] does.
    pub properties: BTreeMap<String, String>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, in the order of the server.
    pub objects: Vec<ObjectHead>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<String>,
}

/// An object that is being read.
#[derive(Debug)]
pub struct OpenObject {
    /// What is known of the object whose bytes follow; it may be a later one than the listing told of.
    pub head: ObjectHead,
    /// Its bytes.
    pub bytes: ObjectBytes,
}

/// The bytes of an object as they come.
#[derive(Debug)]
pub struct ObjectBytes {
    answer: Answer,
    key: String,
    place: String,
}

impl ObjectBytes {
    pub(crate) fn new(answer: Answer, attempt: &Attempt<'_>) -> Self {
        Self { answer, key: attempt.path.to_owned(), place: attempt.destination.to_owned() }
    }

    /// Takes up reading from an offset on.
    ///
    /// # Errors
    /// The server sent something else.
    pub(crate) fn from(answer: Answer, attempt: &Attempt<'_>, offset: u64) -> Result<Self, StorageError> {
        let said = answer.header("content-range").unwrap_or_default().trim().to_owned();
        let begins = said.strip_prefix("bytes ").and_then(|said| said.split('-').next());
        if begins.and_then(|begins| begins.parse().ok()) == Some(offset) {
            return Ok(Self::new(answer, attempt));
        }
        let cause = format!("bytes from {offset} on were asked for, and the server sent '{said}'");
        Err(attempt.failure(StorageErrorKind::Other, cause))
    }

    /// Waits for the next bytes; `None` after the last.
    ///
    /// # Errors
    /// The connection was cut, or stood still for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        self.answer.chunk(&Attempt::new("read", &self.key, &self.place)).await
    }
}

/// A bucket with objects of somebody's own.
///
/// Nothing is repeated here; see [`StorageError::is_retryable`].
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Names the bucket for messages, without secrets: `s3://bucket`.
    fn describe(&self) -> String;

    /// Lists a page of the objects whose keys begin with a text, from where the page before ended.
    ///
    /// The page is complete or an error.
    async fn page(&self, prefix: &str, next: Option<&str>) -> Result<ObjectPage, StorageError>;

    /// Begins to read an object that a listing told of.
    async fn open(&self, listed: &ObjectHead) -> Result<OpenObject, StorageError>;

    /// Goes on reading the very object that was opened, from an offset below its size on; an error where it was replaced.
    async fn resume(&self, head: &ObjectHead, offset: u64) -> Result<ObjectBytes, StorageError>;

    /// Writes an object of so many bytes at once, with its properties; one of the same key is replaced.
    async fn write(&self, head: &ObjectHead, data: Bytes) -> Result<(), StorageError>;

    /// Begins to write an object of [`ObjectHead::size_bytes`] in parts.
    async fn begin(&self, head: &ObjectHead) -> Result<Box<dyn ObjectUpload>, StorageError>;

    /// Removes an object; one that is already gone is no error.
    async fn remove(&self, key: &str) -> Result<(), StorageError>;
}

/// An object that is being written in parts; none is there before the end.
#[async_trait]
pub trait ObjectUpload: Send {
    /// Sends the next part. All but the last have the same size, a multiple of 1 MiB and at least 8 MiB; the same part may
    /// be sent again after an error.
    async fn part(&mut self, data: Bytes) -> Result<(), StorageError>;

    /// Makes the object of its parts.
    async fn finish(&mut self) -> Result<(), StorageError>;

    /// Removes what went up.
    async fn abort(self: Box<Self>);
}

/// Reads what an answer says about the object that it carries; what is not said is as listed.
pub(crate) fn head_of(answer: &Answer, listed: &ObjectHead, meta: &str) -> ObjectHead {
    let headers = answer.headers();
    let tag = answer.header("etag").map(tag_of).filter(|tag| !tag.is_empty());
    let tag = tag.unwrap_or_else(|| listed.tag.clone());
    // Listings are more exact than headers, which know whole seconds.
    let said = answer.header("last-modified").and_then(moment).filter(|_| tag != listed.tag);
    ObjectHead {
        key: listed.key.clone(),
        size_bytes: answer.length().unwrap_or(listed.size_bytes),
        modified: said.unwrap_or(listed.modified),
        properties: properties_of(headers, meta),
        tag,
    }
}

fn properties_of(headers: &HeaderMap, meta: &str) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let named = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = name.as_str();
        if PROPERTIES.contains(&name) {
            return Some((name.to_owned(), text(value)));
        }
        name.strip_prefix(meta).map(|own| (format!("{META}{own}"), text(value)))
    };
    headers.iter().filter_map(named).collect()
}

/// Writes an object's properties as headers; `standard` says what goes before the names of the usual ones, and `meta` before
/// those of the owner's.
///
/// # Errors
/// Says what of them no header can carry.
pub(crate) fn headers_of(
    head: &ObjectHead,
    standard: &str,
    meta: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let header = |(name, value): (&String, &String)| {
        let full = match name.strip_prefix(META) {
            Some(own) => format!("{meta}{own}"),
            None => format!("{standard}{name}"),
        };
        let refused = || format!("'{name}' of the object cannot be sent as a header");
        let full = HeaderName::try_from(full).map_err(|_| refused())?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| refused())?;
        Ok((full, value))
    };
    head.properties.iter().map(header).collect()
}

/// Takes an entity tag out of its quotes.
pub(crate) fn tag_of(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

/// Puts an entity tag into its quotes.
pub(crate) fn quoted(tag: &str) -> String {
    if tag.starts_with("W/") { tag.to_owned() } else { format!("\"{tag}\"") }
}

/// Reads a moment as headers and listings write it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| Some(rfc2822::parse(text).ok()?.timestamp()))
}

/// Says whether a key has a part that clients of HTTP take for a step up or for nothing: its slashes must be encoded then, so
/// that no other object is asked for.
pub(crate) fn has_steps(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "." | ".."))
}

/// Refuses a key that is nothing but such a part: however it is written, something else would be asked for.
pub(crate) fn refuse_a_step_alone(key: &str) -> Result<(), String> {
    match key {
        "." | ".." => {
            Err(format!("no client of HTTP can ask for the key '{key}' alone; copy it to another key"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_listings_and_headers_are_the_same() {
        let wanted: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for text in ["2026-01-02T03:04:05.000Z", "Fri, 02 Jan 2026 03:04:05 GMT"] {
            assert_eq!(moment(text), Some(wanted), "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn properties_become_headers_and_what_none_can_carry_is_refused() {
        let mut head = ObjectHead {
            key: "a".to_owned(),
            size_bytes: 0,
            modified: Timestamp::UNIX_EPOCH,
            tag: String::new(),
            properties: BTreeMap::from([
                ("content-type".to_owned(), "text/plain".to_owned()),
                ("meta.owner".to_owned(), "me".to_owned()),
            ]),
        };
        let headers = headers_of(&head, "x-ms-blob-", "x-ms-meta-").unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-ms-blob-content-type", "x-ms-meta-owner"]);
        head.properties.insert("meta.a b".to_owned(), "x".to_owned());
        assert!(headers_of(&head, "", "x-amz-meta-").unwrap_err().contains("meta.a b"));
    }

    #[test]
    fn keys_with_steps_are_known() {
        for key in ["..", "a/../b", "./a", "a/.", "/.."] {
            assert!(has_steps(key), "{key}");
        }
        for key in ["a", "a/...", "a//b", "..a", "a/"] {
            assert!(!has_steps(key), "{key}");
        }
    }
}

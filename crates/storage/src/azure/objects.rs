//! A container with blobs of somebody's own.

use super::Azure;
use super::account::Begun;
use super::listing;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::{Attempt, Client};
use crate::objects::{
    ObjectBytes, ObjectHead, ObjectPage, ObjectStore, ObjectUpload, OpenObject, head_of, headers_of, quoted,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use larder_model::task::AzureSettings;
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;
use std::sync::Arc;

/// What stands before the names of the usual properties when they are set, and before those that an owner gave.
const STANDARD: &str = "x-ms-blob-";
const META: &str = "x-ms-meta-";

/// A page of a listing is at most so large: 5,000 blobs with names of a kilobyte.
const PAGE_AT_MOST: u64 = 64 << 20;

/// A whole container.
#[derive(Clone, Debug)]
pub(crate) struct AzureObjects {
    azure: Arc<Azure>,
    described: String,
}

impl AzureObjects {
    /// Reads where it is from the settings, without asking it anything.
    pub(crate) fn open(settings: &AzureSettings, client: Client) -> Result<Self, StorageError> {
        let settings = AzureSettings { remote_folder_name: None, ..settings.clone() };
        let azure = Azure::open(&settings, client)?;
        Ok(Self { described: azure.account.described(), azure: Arc::new(azure) })
    }

    fn attempt<'a>(&'a self, action: &'static str, key: &'a str) -> Attempt<'a> {
        Attempt::new(action, key, &self.described)
    }

    fn said(&self, head: &ObjectHead) -> Result<Vec<(HeaderName, HeaderValue)>, StorageError> {
        let attempt = self.attempt("write", &head.key);
        headers_of(head, STANDARD, META).map_err(|cause| attempt.invalid(cause))
    }
}

fn with(begun: Begun, headers: &[(HeaderName, HeaderValue)]) -> Begun {
    headers.iter().fold(begun, |begun, (name, value)| begun.named(name, value))
}

#[async_trait]
impl ObjectStore for AzureObjects {
    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn page(&self, prefix: &str, next: Option<&str>) -> Result<ObjectPage, StorageError> {
        let attempt = self.attempt("list", prefix);
        let mut query = vec![("restype", "container"), ("comp", "list")];
        query.extend((!prefix.is_empty()).then_some(("prefix", prefix)));
        query.extend(next.map(|next| ("marker", next)));
        let begun = self.azure.account.whole(Method::GET, &query);
        let answer = self.azure.ask(&attempt, begun, Bytes::new()).await?;
        let body = answer.bytes(&attempt, PAGE_AT_MOST).await?;
        let damaged = |cause: String| attempt.failure(StorageErrorKind::Damaged, cause);
        let page = listing::heads(&body).map_err(damaged)?;
        if let Some(stray) = page.objects.iter().find(|object| !object.key.starts_with(prefix)) {
            let cause = format!("the server listed '{}', which does not begin with '{prefix}'", stray.key);
            return Err(damaged(cause));
        }
        if page.next.is_some() && page.next.as_deref() == next {
            let cause = "the listing does not come to an end: the server named the same page again";
            return Err(damaged(cause.to_owned()));
        }
        Ok(page)
    }

    async fn open(&self, listed: &ObjectHead) -> Result<OpenObject, StorageError> {
        let attempt = self.attempt("read", &listed.key);
        let begun = self.azure.account.blob(Method::GET, &listed.key, &[]);
        let answer = self.azure.ask(&attempt, begun, Bytes::new()).await?;
        let head = head_of(&answer, listed, META);
        Ok(OpenObject { head, bytes: ObjectBytes::new(answer, &attempt) })
    }

    async fn resume(&self, head: &ObjectHead, offset: u64) -> Result<ObjectBytes, StorageError> {
        let attempt = self.attempt("read", &head.key);
        let begun = self
            .azure
            .account
            .blob(Method::GET, &head.key, &[])
            .header("x-ms-range", &format!("bytes={offset}-"))
            .header("if-match", &quoted(&head.tag));
        match self.azure.ask(&attempt, begun, Bytes::new()).await {
            Ok(answer) => ObjectBytes::from(answer, &attempt, offset),
            Err(refused) if refused.code == "ConditionNotMet" => {
                Err(attempt.failure(StorageErrorKind::Other, "it was replaced while it was read"))
            }
            Err(refused) => Err(refused.error),
        }
    }

    async fn write(&self, head: &ObjectHead, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.attempt("write", &head.key);
        let begun = self
            .azure
            .account
            .blob(Method::PUT, &head.key, &[])
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-md5", &base64_encode(&Md5::digest(&data)));
        Ok(self.azure.ask(&attempt, with(begun, &self.said(head)?), data).await.map(drop)?)
    }

    async fn begin(&self, head: &ObjectHead) -> Result<Box<dyn ObjectUpload>, StorageError> {
        let said = self.said(head)?;
        Ok(Box::new(Blocks { store: self.clone(), key: head.key.clone(), said, ids: Vec::new() }))
    }

    async fn remove(&self, key: &str) -> Result<(), StorageError> {
        let attempt = self.attempt("delete", key);
        let begun = self.azure.account.blob(Method::DELETE, key, &[]);
        match self.azure.ask(&attempt, begun, Bytes::new()).await {
            Err(refused) if !refused.error.is_not_found() => Err(refused.error),
            _ => Ok(()),
        }
    }
}

/// Blocks that no list names are forgotten by the service after a week, and are never listed as blobs.
struct Blocks {
    store: AzureObjects,
    key: String,
    said: Vec<(HeaderName, HeaderValue)>,
    ids: Vec<String>,
}

#[async_trait]
impl ObjectUpload for Blocks {
    async fn part(&mut self, data: Bytes) -> Result<(), StorageError> {
        let attempt = self.store.attempt("write", &self.key);
        let azure = &self.store.azure;
        let sum = base64_encode(&Md5::digest(&data));
        // Writers of other content name their blocks otherwise; all names of a blob must have one length.
        let id = base64_encode(format!("{sum}-{:06}", self.ids.len()).as_bytes());
        let begun = azure
            .account
            .blob(Method::PUT, &self.key, &[("comp", "block"), ("blockid", &id)])
            .header("content-md5", &sum);
        azure.ask(&attempt, begun, data).await?;
        self.ids.push(id);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), StorageError> {
        let attempt = self.store.attempt("write", &self.key);
        let azure = &self.store.azure;
        let blocks: String = self.ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>");
        let begun = azure.account.blob(Method::PUT, &self.key, &[("comp", "blocklist")]);
        Ok(azure.ask(&attempt, with(begun, &self.said), list.into()).await.map(drop)?)
    }

    async fn abort(self: Box<Self>) {}
}

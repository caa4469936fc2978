//! A folder of a WebDAV server (RFC 4918) as a destination: Nextcloud, ownCloud, Apache and their like.

mod certificate;
mod listing;
mod login;
mod multistatus;
mod server;
mod write;

use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::http::Attempt;
use crate::storage::{Capabilities, ObjectInfo, Storage};
use crate::{path, range};
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use http::header::RANGE;
use larder_model::task::WebDavSettings;
use server::Server;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use write::Existing;

/// Where objects lie until they are whole; never listed.
const TEMPORARY: &str = ".tmp";
/// An object is at most so large.
const OBJECT_AT_MOST: u64 = 4 << 30;

/// A folder of a server.
///
/// A new object is written below `.tmp` and moved to its name, so that readers see all of it or nothing. WebDAV promises of no
/// method that only one of several writers wins, and servers keep it so: [`Storage::put_new`] looks, and cannot be relied on.
#[derive(Debug)]
pub struct WebDav {
    server: Arc<Server>,
    /// Whether what dead writers left was looked for.
    is_swept: AtomicBool,
    /// Whether the server once said how much it still takes.
    says_free_bytes: AtomicBool,
}

impl WebDav {
    /// Reads where it is from the settings, without asking it anything.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn open(settings: &WebDavSettings, host: &ConnectorSettings) -> Result<Self, StorageError> {
        Ok(Self {
            server: Arc::new(Server::new(settings, host)?),
            is_swept: AtomicBool::new(false),
            says_free_bytes: AtomicBool::new(false),
        })
    }

    fn accept<'a>(&'a self, action: &'static str, path: &'a str) -> Result<Attempt<'a>, StorageError> {
        let attempt = Attempt::new(action, path, &self.server.described);
        let objection = path::objection(path).or_else(|| {
            let first = path.split('/').next();
            (first == Some(TEMPORARY)).then_some("the folder .tmp is for unfinished writes")
        });
        objection.map_or(Ok(attempt), |cause| Err(attempt.invalid(cause)))
    }

    async fn write(&self, path: &str, data: Bytes, existing: Existing) -> Result<bool, StorageError> {
        let attempt = self.accept("write", path)?;
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            self.server.remove_abandoned().await;
        }
        self.server.write(&attempt, data, existing).await
    }

    /// Returns the size of an object; nothing where there is none, or a folder.
    async fn size(&self, attempt: &Attempt<'_>) -> Result<Option<u64>, StorageError> {
        let found = match self.server.properties(attempt, attempt.path, 0).await {
            Ok((resources, _)) => resources.into_iter().next(),
            Err(refused) if refused.is(StatusCode::NOT_FOUND) => None,
            Err(refused) => return Err(refused.error),
        };
        match found.filter(|resource| !resource.is_folder) {
            None => Ok(None),
            Some(found) => found.size_bytes.map(Some).ok_or_else(|| {
                attempt.failure(StorageErrorKind::Other, "the server did not say how large it is")
            }),
        }
    }

    /// Servers answer in many ways when they are asked for the content of a folder; it is no object.
    async fn not_read(&self, attempt: &Attempt<'_>, refused: server::Refused) -> StorageError {
        let odd = refused.status.is_some_and(|status| {
            status.is_redirection() || matches!(status.as_u16(), 403 | 405 | 409 | 501)
        });
        if odd && matches!(self.size(attempt).await, Ok(None)) {
            return attempt.failure(StorageErrorKind::NotFound, "it is a folder, or does not exist");
        }
        refused.error
    }
}

#[async_trait]
impl Storage for WebDav {
    fn capabilities(&self) -> Capabilities {
        let free_space = self.says_free_bytes.load(Ordering::Relaxed);
        Capabilities { rename: true, free_space, paced: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        self.server.described.clone()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.write(path, data, Existing::Replace).await?;
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.write(path, data, Existing::Keep).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let attempt = self.accept("read", path)?;
        match self.server.ask(&attempt, "GET", path, &[], Bytes::new()).await {
            Ok(answer) => answer.bytes(&attempt, OBJECT_AT_MOST).await,
            Err(refused) => Err(self.not_read(&attempt, refused).await),
        }
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let attempt = self.accept("read", path)?;
        range::accept(&attempt, &range)?;
        if range.is_empty() {
            let size = self.size(&attempt).await?;
            let size =
                size.ok_or_else(|| attempt.failure(StorageErrorKind::NotFound, "it does not exist"))?;
            return range::empty(&attempt, &range, size);
        }
        let headers = [(RANGE, range::header(&range))];
        match self.server.ask(&attempt, "GET", path, &headers, Bytes::new()).await {
            Ok(answer) => range::read(answer, &attempt, &range).await,
            Err(refused) if refused.is(StatusCode::RANGE_NOT_SATISFIABLE) => {
                Err(range::short(&attempt, &range, "the object ends before"))
            }
            Err(refused) => Err(self.not_read(&attempt, refused).await),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        let attempt = self.accept("look up", path)?;
        Ok(self.size(&attempt).await?.map(|size_bytes| ObjectInfo { path: path.to_owned(), size_bytes }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            self.accept("list", folder)?;
        }
        listing::list(&self.server, folder).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let attempt = self.accept("delete", path)?;
        // To delete a folder would remove all that is in it.
        if self.size(&attempt).await?.is_none() {
            return Ok(());
        }
        match self.server.ask(&attempt, "DELETE", path, &[], Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.is(StatusCode::NOT_FOUND) => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let attempt = Attempt::new("look up", "", &self.server.described);
        let free = match self.server.free_bytes(&attempt).await {
            Err(refused) if refused.is(StatusCode::NOT_FOUND) => return Err(self.server.missing(&attempt)),
            free => free?,
        };
        self.says_free_bytes.store(free.is_some(), Ordering::Relaxed);
        Ok(free)
    }
}

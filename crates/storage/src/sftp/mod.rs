//! A folder of a server that is reached by SSH as a destination.

mod address;
mod failure;
mod folder;
mod lines;
mod packet;
mod secrets;
mod session;
mod ssh;
mod ssh_words;
mod transfer;
mod upload;

use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::storage::{Capabilities, ObjectInfo, Storage};
use crate::unfinished;
use address::Address;
use async_trait::async_trait;
use bytes::Bytes;
use failure::Failure;
use folder::{Folders, Item};
use larder_model::Secret;
use larder_model::task::SftpSettings;
use lines::Lines;
use packet::Attributes;
use ssh::{Door, Line};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::task::JoinSet;
use upload::{Existing, Leftovers};

/// So many folders are listed at once.
const LISTINGS: usize = 8;

/// So deep may folders lie in one another; a link that leads back up would never end.
const DEEPEST: usize = 64;

/// A folder of an SFTP server, reached by the system's own `ssh`.
///
/// An object is uploaded under a temporary name below `<folder>/.tmp`, synced where the server can, and renamed over what
/// was there: readers see the old object or the new one. A server whose key is not known is never written to.
#[derive(Debug)]
pub struct Sftp {
    shared: Arc<Shared>,
    described: String,
}

#[derive(Debug)]
struct Shared {
    lines: Lines,
    folders: Folders,
    leftovers: Leftovers,
    swept: AtomicBool,
    /// What the server can do, once it was asked.
    capabilities: OnceLock<Capabilities>,
}

impl Sftp {
    /// Takes the settings, without asking the server anything yet.
    ///
    /// # Errors
    /// `Invalid` where the address makes no sense.
    pub fn open(settings: &SftpSettings, connector: &ConnectorSettings) -> Result<Self, StorageError> {
        let text = settings.url.as_deref().unwrap_or_default();
        let address = Address::read(text).map_err(|cause| StorageError {
            kind: StorageErrorKind::Invalid,
            action: "open",
            path: String::new(),
            destination: "the SFTP destination".to_owned(),
            cause,
            retry_after: None,
        })?;
        let said =
            |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.expose().trim().is_empty());
        let described = address.to_string();
        let door = Door {
            program: connector.ssh_program.clone().unwrap_or_else(|| PathBuf::from("ssh")),
            address,
            password: said(&settings.password),
            private_key: said(&settings.private_key),
            known_hosts: settings.known_hosts.clone().filter(|known| !known.trim().is_empty()),
            temporary: connector.temporary_directory.clone().unwrap_or_else(|| PathBuf::from("/tmp")),
        };
        let shared = Shared {
            lines: Lines::new(door),
            folders: Folders::default(),
            leftovers: Leftovers::default(),
            swept: AtomicBool::new(false),
            capabilities: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared), described })
    }

    fn error(&self, action: &'static str, path: &str, failure: Failure) -> StorageError {
        StorageError {
            kind: failure.kind,
            action,
            path: path.to_owned(),
            destination: self.described.clone(),
            cause: failure.cause,
            retry_after: None,
        }
    }

    fn accept(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        match unfinished::objection(path) {
            None => Ok(()),
            Some(cause) => Err(self.error(action, path, Failure::new(StorageErrorKind::Invalid, cause))),
        }
    }

    async fn read(&self, path: &str, start: u64, length: Option<u64>) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let read = self.shared.run(|line, _| async move {
            transfer::get(&line.session, &line.path(path), start, length).await
        });
        Ok(read.await.map_err(|failure| self.error("read", path, failure))?.into())
    }
}

impl Shared {
    async fn run<T, F, W>(&self, work: W) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
        W: Fn(Arc<Line>, usize) -> F,
    {
        self.lines
            .run(|line, tried| {
                let offered = line.session.extensions;
                self.capabilities.get_or_init(|| Capabilities {
                    conditional_put: offered.hardlink,
                    rename: true,
                    free_space: offered.statvfs,
                    cold: false,
                    object_lock: false,
                    lock_days: 0,
                    paced: true,
                });
                work(line, tried)
            })
            .await
    }

    async fn put(&self, path: &str, data: &Bytes, existing: Existing) -> Result<bool, Failure> {
        let written = self.run(|line, tried| async move {
            let known = (&self.folders, &self.leftovers);
            let written = upload::put(&line, known, path, data, existing).await?;
            if written || tried == 0 {
                return Ok(written);
            }
            // The first try may have made it before its connection was cut.
            let found = transfer::get(&line.session, &line.path(path), 0, None).await?;
            Ok(found == **data)
        });
        let written = written.await?;
        // Once, when something was just written there: the server's clock is the time of the youngest file.
        if !self.swept.swap(true, Ordering::Relaxed)
            && let Err(failure) = self.run(|line, _| async move { upload::sweep(&line).await }).await
        {
            tracing::debug!("unfinished uploads could not be removed: {}", failure.cause);
        }
        Ok(written)
    }

    /// Lists one folder; nothing where there is none.
    async fn folder(self: Arc<Self>, folder: String) -> (String, Result<Option<Vec<Item>>, Failure>) {
        let name = folder.as_str();
        let listed =
            self.run(|line, _| async move { folder::list(&line.session, &line.path(name)).await }).await;
        (folder, listed)
    }
}

#[async_trait]
impl Storage for Sftp {
    fn capabilities(&self) -> Capabilities {
        let unknown = Capabilities {
            conditional_put: false,
            rename: true,
            free_space: true,
            cold: false,
            object_lock: false,
            lock_days: 0,
            paced: true,
        };
        self.shared.capabilities.get().copied().unwrap_or(unknown)
    }

    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        let written = self.shared.put(path, &data, Existing::Replace).await;
        written.map(|_| ()).map_err(|failure| self.error("write", path, failure))
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        if self.stat(path).await?.is_some() {
            return Ok(false);
        }
        let written = self.shared.put(path, &data, Existing::Keep).await;
        written.map_err(|failure| self.error("write", path, failure))
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.read(path, 0, None).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.read(path, range.start, Some(range.end.saturating_sub(range.start))).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.accept("look up", path)?;
        let look = self
            .shared
            .run(|line, _| async move { transfer::look_up(&line.session, &line.path(path)).await });
        let found: Option<Attributes> = look.await.map_err(|failure| self.error("look up", path, failure))?;
        let size = found.filter(|found| found.is_file()).and_then(|found| found.size);
        Ok(size.map(|size_bytes| ObjectInfo { path: path.to_owned(), size_bytes }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            self.accept("list", folder)?;
        }
        let mut objects = Vec::new();
        let mut waiting = vec![folder.to_owned()];
        let mut running = JoinSet::new();
        loop {
            while running.len() < LISTINGS
                && let Some(next) = waiting.pop()
            {
                running.spawn(Arc::clone(&self.shared).folder(next));
            }
            let Some(listed) = running.join_next().await else { return Ok(objects) };
            let (parent, found) =
                listed.map_err(|stopped| self.error("list", folder, Failure::cut(stopped.to_string())))?;
            let found = found.map_err(|failure| self.error("list", &parent, failure))?;
            for Item { name, attributes } in found.unwrap_or_default() {
                let inside = if parent.is_empty() { name.clone() } else { format!("{parent}/{name}") };
                if attributes.is_folder() {
                    if !(parent.is_empty() && name == unfinished::FOLDER) {
                        waiting.push(inside);
                    }
                } else if attributes.is_file() {
                    objects.push(ObjectInfo { path: inside, size_bytes: attributes.size.unwrap_or(0) });
                }
            }
            if parent.split('/').count() > DEEPEST {
                let cause = "the folders lie too deep in one another; see whether a link leads back up";
                return Err(self.error("list", &parent, Failure::new(StorageErrorKind::Other, cause)));
            }
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.accept("delete", path)?;
        let removed = self.shared.run(|line, _| async move { upload::remove(&line, &line.path(path)).await });
        removed.await.map_err(|failure| self.error("delete", path, failure))
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let asked = self
            .shared
            .run(|line, _| async move { transfer::free_bytes(&line.session, &line.path("")).await });
        asked.await.map_err(|failure| self.error("look up", "", failure))
    }
}

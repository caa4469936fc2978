//! A folder of an FTP server as a destination: FTP, and FTPS in both its forms.

mod address;
mod connection;
mod failure;
mod line;
mod listing;
mod pool;
mod tls;
mod transfer;

use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use crate::storage::{Capabilities, ObjectInfo, Storage};
use crate::unfinished;
use address::{Address, Security};
use async_trait::async_trait;
use bytes::Bytes;
use connection::{Connection, Site};
use failure::Failure;
use larder_model::task::FtpSettings;
use listing::Found;
use pool::Pool;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tls::Trust;
use tokio::task::JoinSet;

/// So deep may folders lie in one another; a link that leads back up would never end.
const DEEPEST: usize = 64;

/// A folder of an FTP server.
///
/// An object is uploaded under a temporary name below `<folder>/.tmp`, its size is compared, and it is renamed: readers
/// see the old object or the new one. FTP has no word for "write it to the disk": how durable a finished upload is, the
/// server decides.
#[derive(Debug)]
pub struct Ftp {
    pool: Pool,
    described: String,
    swept: AtomicBool,
}

impl Ftp {
    /// Takes the settings, without asking the server anything yet.
    ///
    /// # Errors
    /// `Invalid` where the address or the certificate makes no sense.
    pub fn open(settings: &FtpSettings, connector: &ConnectorSettings) -> Result<Self, StorageError> {
        let invalid = |cause| StorageError {
            kind: StorageErrorKind::Invalid,
            action: "open",
            path: String::new(),
            destination: "the FTP destination".to_owned(),
            cause,
            retry_after: None,
        };
        let address = Address::read(settings).map_err(invalid)?;
        let certificate = settings.certificate_as_base64.as_ref().map(|certificate| certificate.expose());
        let trust = match address.security {
            Security::Plain => None,
            _ => Some(Trust::new(certificate, &connector.root_certificates).map_err(invalid)?),
        };
        let described = address.to_string();
        let site = Site {
            address,
            trust,
            newest_tls: AtomicBool::new(false),
            folders: Mutex::default(),
            leftovers: Mutex::default(),
        };
        Ok(Self { pool: Pool::new(site), described, swept: AtomicBool::new(false) })
    }

    async fn run<T, F>(&self, action: &'static str, path: &str, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Fn(&mut Connection, &Site) -> Result<T, Failure> + Send + Sync + 'static,
    {
        self.pool.run(work).await.map_err(|failure| self.error(action, path, failure))
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
        // A line break would end the command.
        let broken = path.contains(['\r', '\n']).then_some("FTP has no names with line breaks");
        match unfinished::objection(path).or(broken) {
            None => Ok(()),
            Some(cause) => Err(self.error(action, path, Failure::new(StorageErrorKind::Invalid, cause))),
        }
    }

    /// Lists one folder; nothing where there is none.
    async fn folder(pool: Pool, folder: String) -> (String, Result<Option<Vec<Found>>, Failure>) {
        let name = folder.clone();
        let listed = pool
            .run(move |connection, _| {
                let path = connection.path(&name);
                connection.folder(&path)
            })
            .await;
        (folder, listed)
    }
}

#[async_trait]
impl Storage for Ftp {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            conditional_put: false,
            rename: true,
            free_space: false,
            cold: false,
            object_lock: false,
            lock_days: 0,
            paced: true,
        }
    }

    fn describe(&self) -> String {
        self.described.clone()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        let name = path.to_owned();
        let put =
            move |connection: &mut Connection, site: &Site| transfer::put(connection, site, &name, &data);
        self.run("write", path, put).await?;
        // Once, when something was just written there: the server's clock is the time of the youngest file.
        if !self.swept.swap(true, Ordering::Relaxed)
            && let Err(failure) = self.pool.run(|connection, _| connection.sweep()).await
        {
            tracing::debug!(
                "unfinished uploads at {} could not be removed: {}",
                self.described,
                failure.cause
            );
        }
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        if self.stat(path).await?.is_some() {
            return Ok(false);
        }
        self.put(path, data).await.map(|()| true)
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let name = path.to_owned();
        Ok(self.run("read", path, move |connection, _| transfer::get(connection, &name)).await?.into())
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let name = path.to_owned();
        let length = range.end.saturating_sub(range.start);
        let get = move |connection: &mut Connection, _: &Site| {
            transfer::get_range(connection, &name, range.start, length)
        };
        Ok(self.run("read", path, get).await?.into())
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.accept("look up", path)?;
        let name = path.to_owned();
        let look = move |connection: &mut Connection, _: &Site| {
            let path = connection.path(&name);
            connection.size(&path)
        };
        let size = self.run("look up", path, look).await?;
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
            while running.len() < pool::CONNECTIONS
                && let Some(next) = waiting.pop()
            {
                running.spawn(Self::folder(self.pool.clone(), next));
            }
            let Some(listed) = running.join_next().await else { return Ok(objects) };
            let (parent, found) =
                listed.map_err(|stopped| self.error("list", folder, Failure::cut(stopped.to_string())))?;
            let found = found.map_err(|failure| self.error("list", &parent, failure))?;
            for found in found.unwrap_or_default() {
                let inside = |name: &str| match parent.as_str() {
                    "" => name.to_owned(),
                    parent => format!("{parent}/{name}"),
                };
                match found {
                    Found::File(name, size_bytes) => {
                        objects.push(ObjectInfo { path: inside(&name), size_bytes })
                    }
                    Found::Folder(name) if parent.is_empty() && name == unfinished::FOLDER => {}
                    Found::Folder(name) => waiting.push(inside(&name)),
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
        let name = path.to_owned();
        self.run("delete", path, move |connection, _| transfer::delete(connection, &name)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

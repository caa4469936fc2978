//! What lies in backups: listed, searched, compared, downloaded.

use super::Service;
use crate::contents::{BackupDifference, ChangeKind, Section, StoredDirectory, StoredMatches};
use crate::error::ServiceError;
use crate::request::BackupChoice;
use crate::work::look::{Look, Wanted};
use crate::work::{places, site};
use larder_engines::EngineCapabilities;
use larder_model::{BackupPath, Cancel, EngineKind};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How many may look into backups at the same time; each holds an index in memory. Others wait for their turn.
pub(crate) const LOOKS: usize = 4;

/// Bytes that are handed over together.
const PIECE_BYTES: usize = 128 << 10;

/// Pieces that may wait for whoever takes them.
const PIECES: usize = 4;

/// How long nobody may take anything before a download ends: while it lives, nothing is removed from the repository.
const STALLED: Duration = Duration::from_secs(120);

/// A file or an archive out of a backup, as it is read. It ends when dropped.
#[derive(Debug)]
pub struct Download {
    /// What it is to be called where it is kept: one name, which may hold any characters but control characters.
    pub name: String,
    /// How many bytes will come, where that is known.
    pub bytes: Option<u64>,
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    _end: Raise,
}

impl Download {
    /// Returns the next piece; `None` at the end. After an error what came is not whole.
    pub async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.pieces.recv().await
    }
}

/// Raises a flag when nobody waits any more.
#[derive(Debug)]
struct Raise(Cancel);

impl Drop for Raise {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Service {
    /// Says what the engine of a kind of source can do.
    #[must_use]
    pub fn abilities(&self, engine: EngineKind) -> EngineCapabilities {
        self.core.engines.get(engine).capabilities()
    }

    /// Lists a part of a directory of a backup: directories first, each kind in the order of names.
    ///
    /// # Errors
    /// There is no such database, destination, backup or directory, or a repository cannot be read.
    pub async fn stored_directory(
        &self,
        database: &str,
        destination: Option<&str>,
        backup: BackupChoice,
        path: BackupPath,
        section: Section,
    ) -> Result<StoredDirectory, ServiceError> {
        self.look(database, destination, move |look| look.directory(&backup, &path, section)).await
    }

    /// Finds what lies in a backup by its name: every word must be in it, whatever the case.
    ///
    /// # Errors
    /// There is no such database, destination or backup, there is no word, or a repository cannot be read.
    pub async fn search_backup(
        &self,
        database: &str,
        destination: Option<&str>,
        backup: BackupChoice,
        words: String,
        section: Section,
    ) -> Result<StoredMatches, ServiceError> {
        self.look(database, destination, move |look| look.search(&backup, &words, section)).await
    }

    /// Says what differs between two backups of a database: entries that came, went and changed, and what the engine
    /// counted in both. Of the entries a part is told, those of the kinds in `only`, or of all where that is empty.
    ///
    /// # Errors
    /// There is no such database, destination or backup, or a repository cannot be read.
    pub async fn compare_backups(
        &self,
        database: &str,
        destination: Option<&str>,
        (before, after): (BackupChoice, BackupChoice),
        only: Vec<ChangeKind>,
        section: Section,
    ) -> Result<BackupDifference, ServiceError> {
        self.look(database, destination, move |look| look.difference(&before, &after, &only, section)).await
    }

    /// Begins to read a file of a backup.
    ///
    /// # Errors
    /// There is no such database, destination, backup or file, or a repository cannot be read.
    pub async fn download_file(
        &self,
        database: &str,
        destination: Option<&str>,
        backup: BackupChoice,
        path: BackupPath,
    ) -> Result<Download, ServiceError> {
        self.download(database, destination, backup, Wanted::File(path)).await
    }

    /// Begins to read everything at a path of a backup as a tar archive; the whole backup where the path is the root.
    ///
    /// # Errors
    /// There is no such database, destination, backup or path, or a repository cannot be read.
    pub async fn download_archive(
        &self,
        database: &str,
        destination: Option<&str>,
        backup: BackupChoice,
        path: BackupPath,
    ) -> Result<Download, ServiceError> {
        self.download(database, destination, backup, Wanted::Archive(path)).await
    }

    /// Looks into backups on a thread of its own, for as long as somebody waits for it.
    async fn look<T: Send + 'static>(
        &self,
        database: &str,
        destination: Option<&str>,
        work: impl FnOnce(Look) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (look, _end) = self.prepare_look(database, destination)?;
        let permit = permit(&self.core.looks).await?;
        let looked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(look)
        });
        looked.await.map_err(|error| fault(&error.to_string()))?
    }

    fn prepare_look(&self, database: &str, destination: Option<&str>) -> Result<(Look, Raise), ServiceError> {
        let core = &self.core;
        let (database, destinations) = self.meant(database, destination)?;
        let mut places = places(core, &database, destinations);
        places.retain(|place| place.database_known);
        let cancel = Cancel::new();
        let verified = core.catalog().verified.clone();
        let look = Look { site: site(core), database, places, verified, cancel: cancel.clone() };
        Ok((look, Raise(cancel)))
    }

    async fn download(
        &self,
        database: &str,
        destination: Option<&str>,
        backup: BackupChoice,
        wanted: Wanted,
    ) -> Result<Download, ServiceError> {
        let (look, end) = self.prepare_look(database, destination)?;
        let permit = permit(&self.core.downloads).await?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let (tell, told) = oneshot::channel();
        let handle = Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let prepared = match look.prepare(&backup, wanted) {
                Ok(prepared) => prepared,
                Err(error) => {
                    // Whoever asked may have gone.
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            if tell.send(Ok((prepared.name.clone(), prepared.bytes))).is_err() {
                return;
            }
            let mut pipe = Pipe { handle, sender, piece: Vec::new() };
            if let Err(error) = prepared.write(&mut pipe) {
                tracing::warn!(database = %look.database.name, "a download broke off: {error}");
                pipe.send(Err(io::Error::other(error))).unwrap_or_default();
            }
        });
        let (name, bytes) = told.await.map_err(|_| fault("nothing was told of the backup"))??;
        Ok(Download { name, bytes, pieces, _end: end })
    }
}

async fn permit(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ServiceError> {
    Arc::clone(places).acquire_owned().await.map_err(|_| ServiceError::Stopped)
}

fn fault(cause: &str) -> ServiceError {
    ServiceError::conflict(format!(
        "looking into the backup ended by a fault of the program: {cause}; please report it"
    ))
}

/// Hands over what is written, in pieces, to whoever takes them.
struct Pipe {
    handle: Handle,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
}

impl Pipe {
    fn send(&self, piece: io::Result<Vec<u8>>) -> io::Result<()> {
        let sending = tokio::time::timeout(STALLED, self.sender.send(piece));
        match self.handle.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.send(Ok(piece))
    }
}

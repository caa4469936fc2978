//! The state in one file of this host.

use crate::error::StateError;
use crate::state::{Commit, Condition, State, Transaction, Versioned, Write};
use ::redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError,
};
use async_trait::async_trait;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Values by key, each with the revision that wrote it.
const VALUES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("values");

/// Numbers about the whole: the revision, the format.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

const REVISION: &str = "revision";
const FORMAT: &str = "format";

/// The format this version reads and writes.
const KNOWN_FORMAT: u64 = 1;

/// What the database may keep in memory; the whole state of a large installation is a few tens of MiB.
const CACHE_BYTES: usize = 16 << 20;

/// The state in a `redb` file: durable, crash-safe, opened by one process at a time.
#[derive(Debug)]
pub struct RedbState {
    shared: Arc<Shared>,
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    path: PathBuf,
}

impl RedbState {
    /// Opens the state in a file, and makes it where there is none. Blocking; reads the whole file once, to be
    /// sure of it.
    ///
    /// # Errors
    /// [`StateError::InUse`] while another process has it open, [`StateError::Damaged`] when it is not what
    /// Larder wrote (an empty file included), [`StateError::Newer`] when a later version wrote it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let there = path.try_exists().map_err(|cause| failed("open", path, &cause))?;
        if !there {
            create(path)?;
        }
        let size = fs::metadata(path).map_err(|cause| failed("open", path, &cause))?.len();
        if size == 0 {
            // The database would take an empty file for a new one, and everything would seem forgotten.
            return Err(damaged(path, "the file is empty"));
        }
        // A damaged file can make the database stop with a panic; that is an answer too.
        let opened = std::panic::catch_unwind(|| open_checked(path));
        let shared = match opened {
            Ok(result) => Shared { database: result?, path: path.to_owned() },
            Err(_) => return Err(damaged(path, "its structure is inconsistent")),
        };
        let revision = shared.revision()?;
        Ok(Self { shared: Arc::new(shared), latest: watch::Sender::new(revision) })
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Shared) -> Result<T, StateError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                Err(damaged(&self.shared.path, "its structure is inconsistent"))
            }
            Err(error) => Err(failed("use", &self.shared.path, &error)),
        }
    }
}

/// Makes a new state beside its final name and gives it that name once it is whole.
fn create(path: &Path) -> Result<(), StateError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let made = (|| {
        let file = File::create_new(&temporary).map_err(|cause| failed("create", path, &cause))?;
        let database = builder().create_file(file).map_err(|error| refused("create", path, error))?;
        let transaction = database.begin_write().map_err(|cause| failed("create", path, &cause))?;
        {
            let mut numbers =
                transaction.open_table(NUMBERS).map_err(|cause| failed("create", path, &cause))?;
            numbers.insert(FORMAT, KNOWN_FORMAT).map_err(|cause| failed("create", path, &cause))?;
            numbers.insert(REVISION, 0).map_err(|cause| failed("create", path, &cause))?;
            transaction.open_table(VALUES).map_err(|cause| failed("create", path, &cause))?;
        }
        transaction.commit().map_err(|cause| failed("create", path, &cause))?;
        drop(database);
        // Unlike a rename, a link never replaces what another process made in the meantime.
        match fs::hard_link(&temporary, path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(failed("create", path, &cause))
            }
            _ => Ok(()),
        }
    })();
    let removed = fs::remove_file(&temporary);
    made?;
    removed.map_err(|cause| failed("create", path, &cause))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| failed("create", path, &cause))
}

fn builder() -> ::redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_checked(path: &Path) -> Result<Database, StateError> {
    let mut database = builder().open(path).map_err(|error| refused("open", path, error))?;
    database.check_integrity().map_err(|error| refused("open", path, error))?;
    let transaction = database.begin_read().map_err(|cause| failed("read", path, &cause))?;
    let format = match transaction.open_table(NUMBERS) {
        Ok(numbers) => {
            numbers.get(FORMAT).map_err(|cause| failed("read", path, &cause))?.map(|value| value.value())
        }
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(cause) => return Err(failed("read", path, &cause)),
    };
    match format {
        Some(KNOWN_FORMAT) => Ok(database),
        Some(found) => {
            Err(StateError::Newer { path: path.display().to_string(), found, known: KNOWN_FORMAT })
        }
        None => Err(damaged(path, "it is a database, but not one of Larder's")),
    }
}

impl Shared {
    fn failed(&self, action: &'static str, cause: &impl std::fmt::Display) -> StateError {
        failed(action, &self.path, cause)
    }

    fn revision(&self) -> Result<u64, StateError> {
        let read = |cause: &dyn std::fmt::Display| self.failed("read", &cause);
        let transaction = self.database.begin_read().map_err(|cause| read(&cause))?;
        let numbers = transaction.open_table(NUMBERS).map_err(|cause| read(&cause))?;
        let revision = numbers.get(REVISION).map_err(|cause| read(&cause))?;
        Ok(revision.map_or(0, |value| value.value()))
    }

    fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let read = |cause: &dyn std::fmt::Display| self.failed("read", &cause);
        let transaction = self.database.begin_read().map_err(|cause| read(&cause))?;
        let values = transaction.open_table(VALUES).map_err(|cause| read(&cause))?;
        let value = values.get(key).map_err(|cause| read(&cause))?;
        Ok(value.map(|value| versioned(value.value())))
    }

    fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StateError> {
        let read = |cause: &dyn std::fmt::Display| self.failed("read", &cause);
        let transaction = self.database.begin_read().map_err(|cause| read(&cause))?;
        let values = transaction.open_table(VALUES).map_err(|cause| read(&cause))?;
        let mut found = Vec::new();
        for entry in values.range(prefix..).map_err(|cause| read(&cause))? {
            let (key, value) = entry.map_err(|cause| read(&cause))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), versioned(value.value())));
        }
        Ok(found)
    }

    fn commit(&self, wanted: &Transaction) -> Result<Commit, StateError> {
        let write = |cause: &dyn std::fmt::Display| self.failed("write", &cause);
        let transaction = self.database.begin_write().map_err(|cause| write(&cause))?;
        let revision = {
            let mut values = transaction.open_table(VALUES).map_err(|cause| write(&cause))?;
            for condition in &wanted.conditions {
                let (key, expected) = match condition {
                    Condition::Absent(key) => (key, None),
                    Condition::AtRevision(key, revision) => (key, Some(*revision)),
                };
                let found =
                    values.get(key.as_str()).map_err(|cause| write(&cause))?.map(|value| value.value().0);
                if found != expected {
                    // Dropping the transaction undoes it.
                    return Ok(Commit::Conflict);
                }
            }
            let mut numbers = transaction.open_table(NUMBERS).map_err(|cause| write(&cause))?;
            let last = numbers.get(REVISION).map_err(|cause| write(&cause))?.map_or(0, |value| value.value());
            let revision = last + 1;
            numbers.insert(REVISION, revision).map_err(|cause| write(&cause))?;
            for change in &wanted.writes {
                match change {
                    Write::Put(key, value) => {
                        values
                            .insert(key.as_str(), (revision, value.as_slice()))
                            .map_err(|cause| write(&cause))?;
                    }
                    Write::Delete(key) => {
                        values.remove(key.as_str()).map_err(|cause| write(&cause))?;
                    }
                }
            }
            revision
        };
        // The default durability of the database is immediate: it returns after fsync.
        transaction.commit().map_err(|cause| write(&cause))?;
        Ok(Commit::Done(revision))
    }
}

fn versioned((revision, value): (u64, &[u8])) -> Versioned {
    Versioned { value: value.to_vec(), revision }
}

#[async_trait]
impl State for RedbState {
    async fn revision(&self) -> Result<u64, StateError> {
        self.blocking(Shared::revision).await
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let key = key.to_owned();
        self.blocking(move |shared| shared.get(&key)).await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StateError> {
        let prefix = prefix.to_owned();
        self.blocking(move |shared| shared.range(&prefix)).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Commit, StateError> {
        let commit = self.blocking(move |shared| shared.commit(&transaction)).await?;
        if let Commit::Done(revision) = commit {
            // Two commits may come back in either order; the channel only grows.
            self.latest.send_if_modified(|latest| {
                let newer = revision > *latest;
                *latest = revision.max(*latest);
                newer
            });
        }
        Ok(commit)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}

fn refused(action: &'static str, path: &Path, error: DatabaseError) -> StateError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::InUse { path: path.display().to_string() },
        DatabaseError::Storage(StorageError::Corrupted(cause)) => damaged(path, &cause),
        DatabaseError::Storage(StorageError::Io(cause))
            if matches!(
                cause.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            damaged(path, &cause.to_string())
        }
        other => failed(action, path, &other),
    }
}

fn failed(action: &'static str, path: &Path, cause: &impl std::fmt::Display) -> StateError {
    StateError::Failed { action, path: path.display().to_string(), cause: cause.to_string() }
}

fn damaged(path: &Path, cause: &str) -> StateError {
    StateError::Damaged { path: path.display().to_string(), cause: cause.trim_end_matches('.').to_owned() }
}

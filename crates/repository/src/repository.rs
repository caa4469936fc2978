//! A repository: its creation, its opening, and the reading and writing of whole objects.

use crate::blob::{BlobKind, PackedBlob};
use crate::compress::{Decompressor, compress_object, decompress_object};
use crate::config::{Config, FORMAT_VERSION};
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, IndexBuilder, Location};
use crate::index_file::IndexFile;
use crate::keys::{Credentials, KeyError, KeyFile};
use crate::layout::{CONFIG_PATH, ObjectKind};
use crate::snapshot::Snapshot;
use crate::tree::Tree;
use bytes::Bytes;
use larder_model::{BackupId, Cancel, Clock};
use larder_storage::{Storage, StorageError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How many small objects are fetched at once.
const FETCHES: usize = 8;
/// How often a waiting call looks whether it was aborted.
const LOOK: Duration = Duration::from_millis(100);
/// The first byte of a compressed object, by the format; JSON itself begins with `{` or `[`.
const COMPRESSED_MARK: u8 = 2;

/// What lies at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing, or a creation that broke off before it had made a repository.
    Empty,
    /// A repository.
    Repository,
    /// Objects that are not a repository.
    Foreign {
        /// The path of one of them.
        example: String,
    },
}

/// Looks at what lies at a destination.
///
/// # Errors
/// [`RepositoryError::Missing`] for a repository that lost its configuration; the destination's.
pub fn probe(handle: &Handle, storage: &dyn Storage) -> Result<Presence, RepositoryError> {
    handle.block_on(async {
        if storage.stat(CONFIG_PATH).await?.is_some() {
            return Ok(Presence::Repository);
        }
        let objects = storage.list("").await?;
        // Backups are written only where a configuration is.
        let is_backup = |path: &str| {
            [ObjectKind::Snapshot, ObjectKind::Index].iter().any(|kind| kind.id_of(path).is_some())
        };
        if objects.iter().any(|object| is_backup(&object.path)) {
            return Err(RepositoryError::Missing {
                object: CONFIG_PATH.to_owned(),
                destination: storage.describe(),
                remedy: "all else is there: copy 'config' from another copy of this repository".to_owned(),
            });
        }
        // The configuration is written last: a key file alone is a creation that broke off.
        let foreign = objects.into_iter().find(|object| ObjectKind::Key.id_of(&object.path).is_none());
        Ok(foreign.map_or(Presence::Empty, |object| Presence::Foreign { example: object.path }))
    })
}

/// Takes the name and content of an object.
pub type VisitObject<'a> = &'a mut dyn FnMut(&Id, Vec<u8>) -> Result<(), RepositoryError>;

/// An open repository at one destination; clones share it.
///
/// All calls block and must not be made on an async thread.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    storage: Arc<dyn Storage>,
    key: MasterKey,
    config: Config,
    id: String,
    clock: Arc<dyn Clock>,
}

impl Repository {
    /// Makes a repository with a key of its own where there is none.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] and [`RepositoryError::Foreign`] where something is there already; the destination's.
    pub fn create(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RepositoryError> {
        Self::create_with(handle, storage, credentials, clock, MasterKey::random()?)
    }

    /// Makes a repository that shares this one's master key, so that one backup to both encrypts each byte once and
    /// objects can be copied between them as they are. Its password may differ.
    ///
    /// # Errors
    /// Those of [`Repository::create`].
    pub fn create_twin(
        &self,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
    ) -> Result<Self, RepositoryError> {
        let Inner { handle, clock, key, .. } = &*self.inner;
        Self::create_with(handle, storage, credentials, clock.clone(), key.clone())
    }

    fn create_with(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
        key: MasterKey,
    ) -> Result<Self, RepositoryError> {
        let destination = storage.describe();
        match probe(handle, &*storage)? {
            Presence::Empty => {}
            Presence::Repository => return Err(RepositoryError::Exists { destination }),
            Presence::Foreign { example } => return Err(RepositoryError::Foreign { destination, example }),
        }
        let config = Config::random()?;
        let file = KeyFile::create(&key, credentials, &*clock)?;
        let file = Bytes::from(to_json(&file)?);
        let sealed = Bytes::from(key.seal_copy(&to_json(&config)?)?);
        let written = handle.block_on(async {
            storage.put(&ObjectKind::Key.path(&Id::of(&file)), file).await?;
            // Of several who make a repository here at once, the one whose configuration gets there wins.
            storage.put_new(CONFIG_PATH, sealed).await
        })?;
        if !written {
            return Err(RepositoryError::Exists { destination });
        }
        let id = config.id.to_hex();
        Ok(Self { inner: Arc::new(Inner { handle: handle.clone(), storage, key, config, id, clock }) })
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// [`RepositoryError::NotARepository`], [`RepositoryError::Foreign`], [`RepositoryError::WrongKey`],
    /// [`RepositoryError::Unsupported`]; the destination's.
    pub fn open(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RepositoryError> {
        let destination = storage.describe();
        let sealed = match handle.block_on(storage.get(CONFIG_PATH)) {
            Ok(sealed) => sealed,
            Err(error) if error.is_not_found() => {
                return Err(match probe(handle, &*storage)? {
                    Presence::Foreign { example } => RepositoryError::Foreign { destination, example },
                    _ => RepositoryError::NotARepository { destination },
                });
            }
            Err(error) => return Err(error.into()),
        };
        let (key, config) = unlock(handle, &*storage, credentials, &sealed)?;
        let config: Config = serde_json::from_slice(&config).map_err(|cause| RepositoryError::Damaged {
            object: CONFIG_PATH.to_owned(),
            destination: destination.clone(),
            cause: cause.to_string(),
        })?;
        if config.version != FORMAT_VERSION {
            return Err(RepositoryError::Unsupported { destination, version: config.version });
        }
        let id = config.id.to_hex();
        Ok(Self { inner: Arc::new(Inner { handle: handle.clone(), storage, key, config, id, clock }) })
    }

    /// Returns the random name of the repository, in hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Names the destination for messages, without secrets.
    #[must_use]
    pub fn describe(&self) -> String {
        self.inner.storage.describe()
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.inner.storage
    }

    pub(crate) fn key(&self) -> &MasterKey {
        &self.inner.key
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Makes the error for an object that does not hold what it must.
    pub(crate) fn damaged(&self, object: impl Into<String>, cause: impl Into<String>) -> RepositoryError {
        RepositoryError::Damaged { object: object.into(), destination: self.describe(), cause: cause.into() }
    }

    /// Lists the names of all objects of a kind, sorted, with their sizes in bytes; other files in the folder are ignored
    /// as restic does.
    ///
    /// # Errors
    /// The destination's: the answer is complete or an error.
    pub fn list(&self, kind: ObjectKind) -> Result<Vec<(Id, u64)>, RepositoryError> {
        let objects = self.handle().block_on(self.storage().list(kind.folder()))?;
        let mut names: Vec<_> =
            objects.iter().filter_map(|o| Some((kind.id_of(&o.path)?, o.size_bytes))).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads an index, snapshot or lock: checks its name, decrypts and decompresses it.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming it; the destination's.
    pub fn read_object(&self, kind: ObjectKind, id: &Id) -> Result<Vec<u8>, RepositoryError> {
        let sealed = self.handle().block_on(self.storage().get(&kind.path(id)))?;
        self.open_object(kind, id, &sealed)
    }

    pub(crate) fn open_object(
        &self,
        kind: ObjectKind,
        id: &Id,
        sealed: &[u8],
    ) -> Result<Vec<u8>, RepositoryError> {
        let damaged = |cause: &str| self.damaged(kind.path(id), cause);
        if Id::of(sealed) != *id {
            return Err(damaged("its bytes do not have the SHA-256 that it is named by"));
        }
        let plain = self.key().open_copy(sealed).map_err(|e| damaged(&e.to_string()))?;
        match plain.first() {
            Some(b'{' | b'[') => Ok(plain),
            Some(&COMPRESSED_MARK) => decompress_object(&plain[1..]).map_err(|e| damaged(&e.to_string())),
            _ => Err(damaged("it is in no known encoding")),
        }
    }

    /// Reads all the given objects, several at once, in the given order.
    ///
    /// # Errors
    /// The first that fails; what `visit` returns; [`RepositoryError::Canceled`].
    pub fn read_objects(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        cancel: &Cancel,
        visit: VisitObject<'_>,
    ) -> Result<(), RepositoryError> {
        let mut waiting = ids.iter();
        let mut running = VecDeque::new();
        loop {
            cancel.check()?;
            while running.len() < FETCHES
                && let Some(id) = waiting.next()
            {
                let (storage, path) = (self.storage().clone(), kind.path(id));
                running.push_back((id, self.handle().spawn(async move { storage.get(&path).await })));
            }
            let Some((id, task)) = running.pop_front() else { return Ok(()) };
            let sealed = self.await_task(task, cancel)??;
            visit(id, self.open_object(kind, id, &sealed)?)?;
        }
    }

    /// Waits for a transfer, but not beyond an abort; the transfer itself goes on to its end.
    pub(crate) fn await_task<T>(
        &self,
        mut task: tokio::task::JoinHandle<T>,
        cancel: &Cancel,
    ) -> Result<T, RepositoryError> {
        loop {
            cancel.check()?;
            let wait = async { tokio::time::timeout(LOOK, &mut task).await };
            if let Ok(done) = self.handle().block_on(wait) {
                return done
                    .map_err(|e| RepositoryError::Internal { what: format!("a transfer broke off: {e}") });
            }
        }
    }

    /// Compresses and encrypts an object; returns its name and bytes.
    ///
    /// # Errors
    /// When the system has no randomness or memory.
    pub fn seal_object(&self, json: &[u8]) -> Result<(Id, Bytes), RepositoryError> {
        let mut plain = vec![COMPRESSED_MARK];
        let compressed = compress_object(json);
        plain.append(
            &mut compressed.map_err(|e| RepositoryError::Internal { what: format!("zstd failed: {e}") })?,
        );
        let sealed = self.key().seal_copy(&plain)?;
        Ok((Id::of(&sealed), Bytes::from(sealed)))
    }

    pub(crate) fn seal_value<T: serde::Serialize>(&self, value: &T) -> Result<(Id, Bytes), RepositoryError> {
        self.seal_object(&to_json(value)?)
    }

    /// Writes an index, snapshot or lock, and returns its name once it is durable.
    ///
    /// # Errors
    /// The destination's.
    pub fn write_object<T: serde::Serialize>(
        &self,
        kind: ObjectKind,
        value: &T,
    ) -> Result<Id, RepositoryError> {
        let (id, sealed) = self.seal_value(value)?;
        self.handle().block_on(self.storage().put(&kind.path(&id), sealed))?;
        Ok(id)
    }

    /// Removes an object; one that is already gone is no error.
    ///
    /// # Errors
    /// The destination's.
    pub fn delete_object(&self, kind: ObjectKind, id: &Id) -> Result<(), RepositoryError> {
        Ok(self.handle().block_on(self.storage().delete(&kind.path(id)))?)
    }

    /// Reads the index objects present now. What is in none of them is not in the repository.
    ///
    /// # Errors
    /// The first that cannot be read: with a part of the index nothing may be decided.
    pub fn load_index(&self, cancel: &Cancel) -> Result<Index, RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let mut builder = IndexBuilder::default();
        self.read_objects(ObjectKind::Index, &names, cancel, &mut |id, json| {
            let file: IndexFile = serde_json::from_slice(&json)
                .map_err(|cause| self.damaged(ObjectKind::Index.path(id), cause.to_string()))?;
            for pack in &file.packs {
                builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
            }
            Ok(())
        })?;
        Ok(builder.build())
    }

    /// Reads every backup, oldest first.
    ///
    /// # Errors
    /// The first that cannot be read, naming it.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
        let mut snapshots = Vec::with_capacity(names.len());
        self.read_objects(ObjectKind::Snapshot, &names, &Cancel::new(), &mut |id, json| {
            let snapshot = Snapshot::from_json(id, &json);
            snapshots.push(snapshot.map_err(|cause| self.damaged(ObjectKind::Snapshot.path(id), cause))?);
            Ok(())
        })?;
        snapshots.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        Ok(snapshots)
    }

    /// Removes backups; their data stays until the next prune.
    ///
    /// # Errors
    /// The destination's, or a name that is none.
    pub fn remove_snapshots(&self, ids: &[BackupId]) -> Result<(), RepositoryError> {
        for id in ids {
            let name = id.0.parse().map_err(|_| RepositoryError::Missing {
                object: format!("the backup '{id}'"),
                destination: self.describe(),
                remedy: "give its full name, 64 hexadecimal digits".to_owned(),
            })?;
            self.delete_object(ObjectKind::Snapshot, &name)?;
        }
        Ok(())
    }

    /// Decrypts, decompresses and checks a sealed blob that was read from a pack; `sealed` is used up.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    pub(crate) fn open_blob(
        &self,
        blob: &PackedBlob,
        sealed: &mut [u8],
        decompressor: &mut Decompressor,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let plain = self.key().open_in_place(sealed).map_err(|e| e.to_string())?;
        match blob.uncompressed_length {
            Some(bytes) => decompressor.unpack_into(plain, bytes as usize, out).map_err(|e| e.to_string())?,
            None => {
                out.clear();
                out.extend_from_slice(plain);
            }
        }
        if Id::of(out) == blob.id { Ok(()) } else { Err("its bytes do not have its SHA-256".to_owned()) }
    }

    /// Reads one blob and checks its hash; where it lies more than once, a damaged or missing copy is passed over.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] for a blob that the index does not know; otherwise why its last copy failed.
    pub fn load_blob(&self, index: &Index, kind: BlobKind, id: &Id) -> Result<Vec<u8>, RepositoryError> {
        let mut failure = RepositoryError::Missing {
            object: format!("the {} blob {id}", kind.as_str()),
            destination: self.describe(),
            remedy: "run a check to see which backups need it".to_owned(),
        };
        for location in index.locate_all(kind, id) {
            match self.load_blob_at(&location) {
                Ok(blob) => return Ok(blob),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Reads the blob at one place and checks its hash.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming blob and pack; the destination's.
    pub fn load_blob_at(&self, location: &Location) -> Result<Vec<u8>, RepositoryError> {
        let sealed = self.handle().block_on(self.read_sealed(location))?;
        let mut sealed = Vec::from(sealed);
        let mut blob = Vec::new();
        let opened = Decompressor::new().map_err(|e| e.to_string()).and_then(|mut decompressor| {
            self.open_blob(&location.blob, &mut sealed, &mut decompressor, &mut blob)
        });
        match opened {
            Ok(()) => Ok(blob),
            Err(cause) => {
                let what = format!("the {} blob {} in", location.blob.kind.as_str(), location.blob.id);
                Err(self.damaged(format!("{what} {}", ObjectKind::Pack.path(&location.pack)), cause))
            }
        }
    }

    async fn read_sealed(&self, location: &Location) -> Result<Bytes, StorageError> {
        let from = u64::from(location.blob.offset);
        let range = from..from + u64::from(location.blob.length);
        self.storage().get_range(&ObjectKind::Pack.path(&location.pack), range).await
    }

    /// Reads the tree of a directory.
    ///
    /// # Errors
    /// Those of [`Repository::load_blob`], and [`RepositoryError::Damaged`] for one that makes no sense.
    pub fn load_tree(&self, index: &Index, id: &Id) -> Result<Tree, RepositoryError> {
        let json = self.load_blob(index, BlobKind::Tree, id)?;
        Tree::from_json(&json).map_err(|cause| self.damaged(format!("the tree {id}"), cause))
    }
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, RepositoryError> {
    serde_json::to_vec(value)
        .map_err(|e| RepositoryError::Internal { what: format!("JSON could not be written: {e}") })
}

/// Finds the master key: of the key files that open with the credentials, the one that also opens the configuration; one
/// left over from a creation that broke off does not.
fn unlock(
    handle: &Handle,
    storage: &dyn Storage,
    credentials: &Credentials,
    sealed_config: &[u8],
) -> Result<(MasterKey, Vec<u8>), RepositoryError> {
    let destination = storage.describe();
    let mut failure = None;
    let mut opened = false;
    let mut keys = 0;
    for object in handle.block_on(storage.list(ObjectKind::Key.folder()))? {
        let Some(id) = ObjectKind::Key.id_of(&object.path) else { continue };
        keys += 1;
        let bytes = handle.block_on(storage.get(&object.path))?;
        let key = serde_json::from_slice::<KeyFile>(&bytes)
            .map_err(|e| KeyError::Malformed(e.to_string()))
            .and_then(|file| file.open(credentials));
        match key {
            Ok(key) => {
                if let Ok(config) = key.open_copy(sealed_config) {
                    return Ok((key, config));
                }
                opened = true;
            }
            Err(KeyError::WrongPassword) if Id::of(&bytes) == id => {}
            Err(error) => {
                let cause = match error {
                    KeyError::Malformed(cause) => cause,
                    KeyError::WrongPassword => "its bytes do not have its SHA-256".to_owned(),
                };
                failure = Some(RepositoryError::Damaged {
                    object: object.path,
                    destination: destination.clone(),
                    cause,
                });
            }
        }
    }
    if opened {
        let cause = "it cannot be decrypted although the key is right".to_owned();
        return Err(RepositoryError::Damaged { object: CONFIG_PATH.to_owned(), destination, cause });
    }
    if keys == 0 {
        let remedy = "without it nothing can be decrypted: copy it from another copy of this repository";
        let object = "its key file, which belongs below 'keys',".to_owned();
        return Err(RepositoryError::Missing { object, destination, remedy: remedy.to_owned() });
    }
    Err(failure.unwrap_or(RepositoryError::WrongKey { destination }))
}

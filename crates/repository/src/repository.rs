//! A repository: its creation and its opening.

use crate::config::{Config, FORMAT_VERSION};
use crate::credentials::Credentials;
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::key_ring::KeyRing;
use crate::keys::{KeyFile, KeyLabel};
use crate::layout::{CONFIG_PATH, ObjectKind};
pub(crate) use crate::objects::to_json;
use crate::presence::{Presence, among, probe};
use crate::unlock::{Unlocked, unlock};
use bytes::Bytes;
use larder_model::Clock;
use larder_storage::Storage;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

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
    /// The key file that opened it; another one once the key was changed.
    key_id: Mutex<Id>,
    ring: KeyRing,
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
        Self::create_with(handle, storage, credentials, &KeyRing::new(), clock)
    }

    /// Makes a repository as [`Repository::create`] does; what was derived from the password is in the ring afterwards.
    ///
    /// # Errors
    /// Those of [`Repository::create`].
    pub fn create_with(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RepositoryError> {
        refuse_what_lies_there(handle, &*storage)?;
        Self::make(handle, storage, credentials, ring, clock, MasterKey::random()?)
    }

    /// Makes a repository as [`Repository::create_with`] does, for whoever was just told that there is none
    /// ([`RepositoryError::NotARepository`]): nobody looks once more.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] where somebody made one meanwhile; the destination's.
    pub fn create_where_none_is(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RepositoryError> {
        Self::make(handle, storage, credentials, ring, clock, MasterKey::random()?)
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
        refuse_what_lies_there(self.handle(), &*storage)?;
        self.create_twin_where_none_is(storage, credentials)
    }

    /// Makes a repository as [`Repository::create_twin`] does, for whoever was just told that there is none.
    ///
    /// # Errors
    /// Those of [`Repository::create_where_none_is`].
    pub fn create_twin_where_none_is(
        &self,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
    ) -> Result<Self, RepositoryError> {
        let Inner { handle, clock, key, ring, .. } = &*self.inner;
        Self::make(handle, storage, credentials, ring, clock.clone(), key.clone())
    }

    fn make(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
        key: MasterKey,
    ) -> Result<Self, RepositoryError> {
        let destination = storage.describe();
        let config = Config::random()?;
        let file = KeyFile::create_with(&key, credentials, &KeyLabel::default(), ring, &*clock)?;
        let file = Bytes::from(to_json(&file)?);
        let key_id = Id::of(&file);
        let sealed = Bytes::from(key.seal_copy(&to_json(&config)?)?);
        let written = handle.block_on(async {
            storage.put(&ObjectKind::Key.path(&key_id), file).await?;
            // Of several who make a repository here at once, the one whose configuration gets there wins.
            storage.put_new(CONFIG_PATH, sealed).await
        })?;
        if !written {
            return Err(RepositoryError::Exists { destination });
        }
        let unlocked = Unlocked { key_id, key };
        let made = Self::assemble(handle, storage, unlocked, config, ring, clock);
        if made.storage().capabilities().object_lock {
            made.note_locked(made.clock().now())?;
        }
        Ok(made)
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
        Self::open_with(handle, storage, credentials, &KeyRing::new(), clock)
    }

    /// Opens a repository as [`Repository::open`] does, in some milliseconds where the ring knows its key file: the
    /// configuration and the key file are read from the destination every time, scrypt is not run again.
    ///
    /// # Errors
    /// Those of [`Repository::open`].
    pub fn open_with(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        credentials: &Credentials,
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RepositoryError> {
        let destination = storage.describe();
        // Asked for together: what is far away is soon open.
        let (sealed, key_files) = handle.block_on(async {
            tokio::join!(storage.get(CONFIG_PATH), storage.list(ObjectKind::Key.folder()))
        });
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) if error.is_not_found() => {
                return Err(match handle.block_on(among(&*storage))? {
                    Presence::Foreign { example } => RepositoryError::Foreign { destination, example },
                    _ => RepositoryError::NotARepository { destination },
                });
            }
            Err(error) => return Err(error.into()),
        };
        let (unlocked, config) = unlock(handle, &*storage, credentials, ring, (&sealed, key_files?))?;
        let config: Config = serde_json::from_slice(&config).map_err(|cause| RepositoryError::Damaged {
            object: CONFIG_PATH.to_owned(),
            destination: destination.clone(),
            cause: cause.to_string(),
        })?;
        if config.version != FORMAT_VERSION {
            return Err(RepositoryError::Unsupported { destination, version: config.version });
        }
        Ok(Self::assemble(handle, storage, unlocked, config, ring, clock))
    }

    pub(crate) fn assemble(
        handle: &Handle,
        storage: Arc<dyn Storage>,
        unlocked: Unlocked,
        config: Config,
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let id = config.id.to_hex();
        let Unlocked { key_id, key } = unlocked;
        let (handle, ring, key_id) = (handle.clone(), ring.clone(), Mutex::new(key_id));
        Self { inner: Arc::new(Inner { handle, storage, key, key_id, ring, config, id, clock }) }
    }

    /// Returns the same repository as it is seen through another storage.
    pub(crate) fn at(&self, storage: Arc<dyn Storage>) -> Self {
        let Inner { handle, key, ring, config, clock, .. } = &*self.inner;
        let unlocked = Unlocked { key_id: *self.key_id(), key: key.clone() };
        Self::assemble(handle, storage, unlocked, config.clone(), ring, clock.clone())
    }

    /// Says whether objects can be copied between this repository and another as they are: both have the same master key.
    #[must_use]
    pub fn is_twin_of(&self, other: &Self) -> bool {
        self.key() == other.key()
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

    pub(crate) fn key_id(&self) -> MutexGuard<'_, Id> {
        self.inner.key_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) -> &KeyRing {
        &self.inner.ring
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Makes the error for an object that does not hold what it must.
    pub(crate) fn damaged(&self, object: impl Into<String>, cause: impl Into<String>) -> RepositoryError {
        RepositoryError::Damaged { object: object.into(), destination: self.describe(), cause: cause.into() }
    }
}

fn refuse_what_lies_there(handle: &Handle, storage: &dyn Storage) -> Result<(), RepositoryError> {
    let destination = storage.describe();
    match probe(handle, storage)? {
        Presence::Empty => Ok(()),
        Presence::Repository => Err(RepositoryError::Exists { destination }),
        Presence::Foreign { example } => Err(RepositoryError::Foreign { destination, example }),
    }
}

//! The keys of a repository: listed, added, removed, changed. The master key behind them never changes.

use crate::credentials::Credentials;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::keys::{KeyFile, KeyLabel};
use crate::layout::{CONFIG_PATH, ObjectKind};
use crate::lock::Lock;
use crate::objects::to_json;
use crate::repository::Repository;
use bytes::Bytes;
use larder_model::Cancel;
use std::time::Duration;

/// How long a change of keys waits for others to be done.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// One key of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The name of its file.
    pub id: Id,
    /// When it was made, as its file has it.
    pub created: String,
    /// Who it is for.
    pub label: KeyLabel,
    /// Whether it is the one by which the repository was opened.
    pub is_current: bool,
}

impl Repository {
    /// Lists the keys, in the order of their names. A file below `keys/` that is no key is an error, not left out.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming the first that cannot be read; the destination's.
    pub fn keys(&self, cancel: &Cancel) -> Result<Vec<KeyInfo>, RepositoryError> {
        let current = *self.key_id();
        let mut keys = Vec::new();
        for (id, _) in self.list(ObjectKind::Key)? {
            let KeyFile { created, username, hostname, .. } = self.read_key(&id, cancel)?;
            let label = KeyLabel { username, hostname };
            keys.push(KeyInfo { id, created, label, is_current: id == current });
        }
        Ok(keys)
    }

    fn read_key(&self, id: &Id, cancel: &Cancel) -> Result<KeyFile, RepositoryError> {
        let path = ObjectKind::Key.path(id);
        let bytes = self.fetch(&path, cancel)?;
        if Id::of(&bytes) != *id {
            return Err(self.damaged(path, "its bytes do not have the SHA-256 that it is named by"));
        }
        serde_json::from_slice(&bytes).map_err(|cause| self.damaged(path, cause.to_string()))
    }

    /// Adds a key: from now on these credentials open the repository too. Returns the name of its file.
    ///
    /// The new key is read back from the destination, opened, and tried on the configuration.
    ///
    /// # Errors
    /// [`RepositoryError::Doubtful`] where what comes back does not open the repository, which is then as before;
    /// [`RepositoryError::Locked`]; the destination's; [`RepositoryError::Canceled`].
    pub fn add_key(
        &self,
        credentials: &Credentials,
        label: &KeyLabel,
        cancel: &Cancel,
    ) -> Result<Id, RepositoryError> {
        let _lock = Lock::shared(self, LOCK_WAIT, cancel)?;
        self.put_key(credentials, label, cancel)
    }

    pub(crate) fn put_key(
        &self,
        credentials: &Credentials,
        label: &KeyLabel,
        cancel: &Cancel,
    ) -> Result<Id, RepositoryError> {
        let file = KeyFile::create_with(self.key(), credentials, label, self.ring(), &**self.clock())?;
        let bytes = Bytes::from(to_json(&file)?);
        let id = Id::of(&bytes);
        self.wait_for(cancel, self.storage().put(&ObjectKind::Key.path(&id), bytes))?;
        match self.try_key(&id, credentials, cancel) {
            Ok(()) => Ok(id),
            Err(error) => {
                // One that opens nothing is of no use to anybody.
                let _ = self.delete_object(ObjectKind::Key, &id);
                Err(error)
            }
        }
    }

    /// Opens a key from what the destination gives back, and the configuration with it.
    fn try_key(&self, id: &Id, credentials: &Credentials, cancel: &Cancel) -> Result<(), RepositoryError> {
        let doubtful = |cause: String| RepositoryError::Doubtful { destination: self.describe(), cause };
        let path = ObjectKind::Key.path(id);
        let key = self.read_key(id, cancel)?.open_with(credentials, self.ring());
        let key =
            key.map_err(|cause| doubtful(format!("the new key {path} does not open again: {cause}")))?;
        let config = self.fetch(CONFIG_PATH, cancel)?;
        if key == *self.key() && key.open_copy(&config).is_ok() {
            return Ok(());
        }
        Err(doubtful(format!("the new key {path} does not open the configuration")))
    }

    /// Removes a key. The one by which the repository was opened stays, so that the last never goes; use
    /// [`Repository::change_key`] for that one.
    ///
    /// # Errors
    /// [`RepositoryError::KeyInUse`] for the current key, and where the current one is there no more;
    /// [`RepositoryError::Missing`] for a key that is not there; [`RepositoryError::Locked`] while anybody else works there:
    /// of two who remove each other's key, one has to see the other; the destination's; [`RepositoryError::Canceled`].
    pub fn remove_key(&self, id: &Id, cancel: &Cancel) -> Result<(), RepositoryError> {
        let lock = Lock::exclusive(self, LOCK_WAIT, cancel)?;
        self.take_key(id, &lock, cancel)
    }

    fn take_key(&self, id: &Id, lock: &Lock, cancel: &Cancel) -> Result<(), RepositoryError> {
        let current = *self.key_id();
        let listed = self.list(ObjectKind::Key)?;
        let is_there = |id: &Id| listed.iter().any(|(listed, _)| listed == id);
        if !is_there(id) {
            return Err(RepositoryError::Missing {
                object: ObjectKind::Key.path(id),
                destination: self.describe(),
                remedy: "list the keys to see those that are".to_owned(),
            });
        }
        if *id == current || !is_there(&current) {
            return Err(RepositoryError::KeyInUse { destination: self.describe() });
        }
        cancel.check()?;
        lock.check()?;
        self.delete_object(ObjectKind::Key, id)
    }

    /// Changes the key by which the repository was opened: adds the new one, tries it, then removes the old one. A crash
    /// in between leaves both. Returns the name of the new file.
    ///
    /// Whoever knew the old password and kept a copy of the old key file can still decrypt a copy of the repository:
    /// the master key stays. Where that matters, a new repository is needed.
    ///
    /// # Errors
    /// Those of [`Repository::add_key`] and [`Repository::remove_key`]; the old key is there unless this succeeds.
    pub fn change_key(
        &self,
        credentials: &Credentials,
        label: &KeyLabel,
        cancel: &Cancel,
    ) -> Result<Id, RepositoryError> {
        let lock = Lock::exclusive(self, LOCK_WAIT, cancel)?;
        let new = self.put_key(credentials, label, cancel)?;
        let old = std::mem::replace(&mut *self.key_id(), new);
        if let Err(error) = self.take_key(&old, &lock, cancel) {
            *self.key_id() = old;
            return Err(error);
        }
        Ok(new)
    }
}

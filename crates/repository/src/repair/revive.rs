//! What opens a repository, made anew: its configuration and a key file.
//!
//! Neither can be fetched as a pack can, for each destination has its own. But nothing was encrypted or named by what the
//! configuration says, and what a key file keeps is the master key, which twins share. Whether a master key is the
//! right one, what was written with it tells.

use super::{Remedy, Repaired};
use crate::config::{Config, FORMAT_VERSION};
use crate::credentials::Credentials;
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::key_ring::KeyRing;
use crate::keys::{KeyError, KeyFile, KeyLabel};
use crate::layout::{CONFIG_PATH, ObjectKind};
use crate::lock::Lock;
use crate::pack::read_pack;
use crate::repository::{Repository, to_json};
use crate::unlock::Unlocked;
use bytes::Bytes;
use larder_model::{Cancel, Clock};
use larder_storage::{Storage, StorageErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long others are waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);
const WRONG_HASH: &str = "its bytes do not have the SHA-256 that it is named by";
const NO_KEY: &str = "there was none that opens with this key";

impl Repository {
    /// Opens a repository whose configuration or key file is damaged or gone, and makes anew what is lacking; returns it, and
    /// what was made. Where nothing is lacking, nothing is written. A damaged key file that is of no use to anybody goes.
    ///
    /// The master key comes from a key file that opens with any of the credentials, or from one of the `twins`; it is taken
    /// for the right one only where something that was written with it opens. A new key file is sealed with the first
    /// of the credentials, and only where one is gone or damaged: nobody gets a key to a repository that has another password.
    ///
    /// # Errors
    /// [`RepositoryError::NotARepository`] where there is nothing of one; [`RepositoryError::WrongKey`];
    /// [`RepositoryError::NotTwins`]; [`RepositoryError::Missing`] where nobody has the master key any more;
    /// [`RepositoryError::Unsupported`]; [`RepositoryError::Doubtful`] where what was written does not come back;
    /// [`RepositoryError::Locked`]; the destination's; [`RepositoryError::Canceled`].
    pub fn revive(
        (handle, storage): (&Handle, Arc<dyn Storage>),
        credentials: &[Credentials],
        ring: &KeyRing,
        clock: Arc<dyn Clock>,
        twins: &[Self],
        cancel: &Cancel,
    ) -> Result<(Self, Vec<Repaired>), RepositoryError> {
        let place = Place { handle, storage: &*storage, cancel };
        let (found, unreadable) = place.read(CONFIG_PATH)?;
        let mut keys = place.keys(credentials, ring)?;
        // A key file that is as it was written is better than one that only opens.
        keys.opened.sort_by_key(|(id, _)| id.is_none());
        let opened = keys.opened.iter().cloned();
        let candidates: Vec<_> = opened.chain(twins.iter().map(|twin| (None, twin.key().clone()))).collect();
        let by_config = found.as_ref().and_then(|sealed| {
            let opens = |(_, key): &&(Option<Id>, MasterKey)| key.open_copy(sealed).is_ok();
            let (id, key) = candidates.iter().find(opens)?;
            Some((*id, key.clone(), key.open_copy(sealed).ok()?))
        });
        let (key_id, key, config, config_cause) = match by_config {
            Some((id, key, json)) => (id, key, place.config(&json)?, None),
            None => {
                let witness = place.witness()?;
                let right = candidates.into_iter().find(|(_, key)| witness.opens(key));
                let (id, key) = right.ok_or_else(|| keys.hopeless(&*storage, twins))?;
                let twin = twins.iter().find(|twin| *twin.key() == key);
                let config = Config::random()?;
                let polynomial = twin.map(|twin| twin.config().chunker_polynomial.clone());
                let chunker_polynomial = polynomial.unwrap_or_else(|| config.chunker_polynomial.clone());
                let cause = unreadable.unwrap_or_else(|| "it cannot be decrypted".to_owned());
                (id, key, Config { chunker_polynomial, ..config }, Some(cause))
            }
        };
        if key_id.is_none() && keys.are_all_sound() {
            return Err(RepositoryError::WrongKey { destination: storage.describe() });
        }
        let unlocked = Unlocked { key_id: key_id.unwrap_or(Id::from_bytes([0; 32])), key };
        let revived = Self::assemble(handle, Arc::clone(&storage), unlocked, config, ring, clock);
        let mut made = Vec::new();
        if key_id.is_some() && config_cause.is_none() && keys.damaged.is_empty() {
            return Ok((revived, made));
        }
        let _lock = Lock::exclusive(&revived, LOCK_WAIT, cancel)?;
        if let Some(cause) = config_cause {
            revived.put_config(cancel)?;
            made.push(Repaired { object: CONFIG_PATH.to_owned(), cause, remedy: Remedy::Remade });
        }
        let mut new = None;
        if key_id.is_none() {
            let first = credentials.first();
            let first = first.ok_or_else(|| RepositoryError::WrongKey { destination: storage.describe() })?;
            let id = revived.put_key(first, &KeyLabel::default(), cancel)?;
            *revived.key_id() = id;
            new = Some(id);
        }
        made.extend(revived.replace_keys(new, keys)?);
        Ok((revived, made))
    }

    /// Writes the configuration, and reads it back.
    fn put_config(&self, cancel: &Cancel) -> Result<(), RepositoryError> {
        let sealed = Bytes::from(self.key().seal_copy(&to_json(self.config())?)?);
        self.wait_for(cancel, self.storage().put(CONFIG_PATH, sealed.clone()))?;
        if self.fetch(CONFIG_PATH, cancel)? == sealed {
            return Ok(());
        }
        let cause = "the new configuration does not come back as it was written".to_owned();
        Err(RepositoryError::Doubtful { destination: self.describe(), cause })
    }

    /// Removes the damaged key files in whose place there is a sound one, which may be new, and says what was done. One that
    /// may still be of use to somebody else, who has another password, stays.
    fn replace_keys(&self, new: Option<Id>, keys: Keys) -> Result<Vec<Repaired>, RepositoryError> {
        let path = |id: &Id| ObjectKind::Key.path(id);
        let replaced = if new.is_some() { Remedy::Remade } else { Remedy::Removed };
        let mut made = Vec::new();
        for damaged in keys.damaged {
            let remedy = if damaged.may_serve_others { Remedy::None } else { replaced.clone() };
            if !damaged.may_serve_others {
                // Stock restic stops at a key file that it cannot read.
                self.delete_object(ObjectKind::Key, &damaged.id)?;
            }
            made.push(Repaired { object: path(&damaged.id), cause: damaged.cause, remedy });
        }
        if let Some(new) = new
            && made.iter().all(|one| one.remedy == Remedy::None)
        {
            made.push(Repaired { object: path(&new), cause: NO_KEY.to_owned(), remedy: Remedy::Remade });
        }
        Ok(made)
    }
}

/// A repository that does not open.
struct Place<'a> {
    handle: &'a Handle,
    storage: &'a dyn Storage,
    cancel: &'a Cancel,
}

/// The key files that lie there.
#[derive(Default)]
struct Keys {
    /// Master keys of those that open; the name of such a file where its bytes are right, too.
    opened: Vec<(Option<Id>, MasterKey)>,
    damaged: Vec<DamagedKey>,
    /// How many are as they were written.
    sound: usize,
}

struct DamagedKey {
    id: Id,
    cause: String,
    /// Whether somebody with another password may still open it: it is well formed and names its owner.
    may_serve_others: bool,
}

/// Something that was written with the master key and is as it was written.
enum Witness {
    Object(Bytes),
    Pack(Bytes),
}

impl Witness {
    fn opens(&self, key: &MasterKey) -> bool {
        match self {
            Self::Object(sealed) => key.open_copy(sealed).is_ok(),
            Self::Pack(pack) => read_pack(key, pack).is_ok(),
        }
    }
}

impl Place<'_> {
    /// Reads an object; where it is gone or damaged in a way that the destination notices, says so.
    fn read(&self, path: &str) -> Result<(Option<Bytes>, Option<String>), RepositoryError> {
        self.cancel.check()?;
        match self.handle.block_on(self.storage.get(path)) {
            Ok(bytes) => Ok((Some(bytes), None)),
            Err(error) if error.kind == StorageErrorKind::NotFound => {
                Ok((None, Some("it is missing".to_owned())))
            }
            Err(error) if error.kind == StorageErrorKind::Damaged => Ok((None, Some(error.to_string()))),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<Id>, RepositoryError> {
        self.cancel.check()?;
        let objects = self.handle.block_on(self.storage.list(kind.folder()))?;
        Ok(objects.iter().filter_map(|object| kind.id_of(&object.path)).collect())
    }

    fn keys(&self, credentials: &[Credentials], ring: &KeyRing) -> Result<Keys, RepositoryError> {
        let mut keys = Keys::default();
        for id in self.list(ObjectKind::Key)? {
            let (bytes, cause) = self.read(&ObjectKind::Key.path(&id))?;
            let bytes = bytes.unwrap_or_default();
            let is_sound = Id::of(&bytes) == id;
            let file = serde_json::from_slice::<KeyFile>(&bytes).map_err(|error| error.to_string());
            let outcome = file.and_then(|file| {
                for credentials in credentials {
                    match file.open_with(credentials, ring) {
                        Ok(key) => return Ok((Some(key), file)),
                        Err(KeyError::WrongPassword) => {}
                        Err(KeyError::Malformed(cause)) => return Err(cause),
                    }
                }
                Ok((None, file))
            });
            let mut may_serve_others = false;
            if let Ok((key, file)) = &outcome {
                may_serve_others = key.is_none() && !(file.username.is_empty() && file.hostname.is_empty());
                keys.opened.extend(key.iter().map(|key| (is_sound.then_some(id), key.clone())));
            }
            if is_sound {
                keys.sound += 1;
            } else {
                let cause = cause.or_else(|| outcome.err()).unwrap_or_else(|| WRONG_HASH.to_owned());
                keys.damaged.push(DamagedKey { id, cause, may_serve_others });
            }
        }
        Ok(keys)
    }

    fn config(&self, json: &[u8]) -> Result<Config, RepositoryError> {
        let destination = || self.storage.describe();
        let config: Config = serde_json::from_slice(json).map_err(|cause| RepositoryError::Damaged {
            object: CONFIG_PATH.to_owned(),
            destination: destination(),
            cause: cause.to_string(),
        })?;
        if config.version != FORMAT_VERSION {
            return Err(RepositoryError::Unsupported { destination: destination(), version: config.version });
        }
        Ok(config)
    }

    /// Finds something that is as it was written: its bytes have the hash that it is named by.
    fn witness(&self) -> Result<Witness, RepositoryError> {
        for kind in [ObjectKind::Snapshot, ObjectKind::Index, ObjectKind::Pack] {
            for id in self.list(kind)? {
                let (bytes, _) = self.read(&kind.path(&id))?;
                if let Some(bytes) = bytes.filter(|bytes| Id::of(bytes) == id) {
                    return Ok(if kind == ObjectKind::Pack {
                        Witness::Pack(bytes)
                    } else {
                        Witness::Object(bytes)
                    });
                }
            }
        }
        Err(RepositoryError::NotARepository { destination: self.storage.describe() })
    }
}

impl Keys {
    /// Says whether there are key files and all are as they were written: then whoever cannot open any has another password.
    const fn are_all_sound(&self) -> bool {
        self.sound > 0 && self.damaged.is_empty()
    }

    /// Says why nothing opens the repository.
    fn hopeless(&self, storage: &dyn Storage, twins: &[Repository]) -> RepositoryError {
        let destination = storage.describe();
        if self.are_all_sound() && self.opened.is_empty() {
            return RepositoryError::WrongKey { destination };
        }
        match twins.first() {
            Some(twin) => RepositoryError::NotTwins { destination, other: twin.describe() },
            None => RepositoryError::Missing {
                object: "a key file that opens it".to_owned(),
                destination,
                remedy: "name another destination of the same backups, too: its master key is the same"
                    .to_owned(),
            },
        }
    }
}

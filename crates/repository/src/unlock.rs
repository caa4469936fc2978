//! From credentials to the master key.

use crate::credentials::Credentials;
use crate::crypto::MasterKey;
use crate::error::{KEY_FILE, RepositoryError};
use crate::id::Id;
use crate::key_ring::KeyRing;
use crate::keys::{KeyError, KeyFile};
use crate::layout::{CONFIG_PATH, ObjectKind};
use larder_storage::{ObjectInfo, Storage, StorageError};
use tokio::runtime::Handle;

/// A master key, and the key file that it came from.
pub(crate) struct Unlocked {
    pub(crate) key_id: Id,
    pub(crate) key: MasterKey,
}

/// Why a key file gave no master key.
enum Refusal {
    OtherPassword,
    Unusable(RepositoryError),
}

/// Finds the master key: of the key files that open with the credentials, the one that also opens the configuration,
/// which is returned too; one left over from a creation that broke off does not.
///
/// # Errors
/// Where no key file does: the first that could not be used, or [`RepositoryError::WrongKey`].
pub(crate) fn unlock(
    handle: &Handle,
    storage: &dyn Storage,
    credentials: &Credentials,
    ring: &KeyRing,
    (sealed_config, key_files): (&[u8], Vec<ObjectInfo>),
) -> Result<(Unlocked, Vec<u8>), RepositoryError> {
    let destination = storage.describe();
    let mut failure = None;
    let mut opened = false;
    let mut keys = 0;
    for object in key_files {
        let Some(key_id) = ObjectKind::Key.id_of(&object.path) else { continue };
        keys += 1;
        let bytes = handle.block_on(storage.get(&object.path));
        match read(storage, (&object.path, &key_id), bytes, credentials, ring) {
            Ok(key) => {
                if let Ok(config) = key.open_copy(sealed_config) {
                    return Ok((Unlocked { key_id, key }, config));
                }
                opened = true;
            }
            Err(Refusal::OtherPassword) => {}
            // Another one may do.
            Err(Refusal::Unusable(error)) => failure = failure.or(Some(error)),
        }
    }
    if opened {
        let cause = "it cannot be decrypted although the key is right".to_owned();
        return Err(RepositoryError::Damaged { object: CONFIG_PATH.to_owned(), destination, cause });
    }
    if keys == 0 {
        let remedy = "without it nothing can be decrypted: repair the repository together with another destination of the same backups";
        let object = KEY_FILE.to_owned();
        return Err(RepositoryError::Missing { object, destination, remedy: remedy.to_owned() });
    }
    Err(failure.unwrap_or(RepositoryError::WrongKey { destination }))
}

fn read(
    storage: &dyn Storage,
    (path, id): (&str, &Id),
    bytes: Result<bytes::Bytes, StorageError>,
    credentials: &Credentials,
    ring: &KeyRing,
) -> Result<MasterKey, Refusal> {
    let damaged = |cause| {
        let destination = storage.describe();
        Refusal::Unusable(RepositoryError::Damaged { object: path.to_owned(), destination, cause })
    };
    let bytes = bytes.map_err(|error| Refusal::Unusable(error.into()))?;
    let file: KeyFile = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    file.open_with(credentials, ring).map_err(|error| match error {
        KeyError::WrongPassword if Id::of(&bytes) == *id => Refusal::OtherPassword,
        // A damaged key file looks as if the password were wrong.
        KeyError::WrongPassword => damaged("its bytes do not have its SHA-256".to_owned()),
        KeyError::Malformed(cause) => damaged(cause),
    })
}

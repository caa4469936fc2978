//! What lies at a destination: a repository, nothing, or something else.

use crate::error::RepositoryError;
use crate::layout::{CONFIG_PATH, ObjectKind};
use larder_storage::Storage;
use tokio::runtime::Handle;

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
        among(storage).await
    })
}

/// Says what lies at a destination that has no configuration.
///
/// # Errors
/// Those of [`probe`].
pub(crate) async fn among(storage: &dyn Storage) -> Result<Presence, RepositoryError> {
    let objects = storage.list("").await?;
    // Backups are written only where a configuration is.
    let is_backup =
        |path: &str| [ObjectKind::Snapshot, ObjectKind::Index].iter().any(|kind| kind.id_of(path).is_some());
    if objects.iter().any(|object| is_backup(&object.path)) {
        return Err(RepositoryError::Missing {
            object: CONFIG_PATH.to_owned(),
            destination: storage.describe(),
            remedy: "all else is there: repair the repository, which makes 'config' anew".to_owned(),
        });
    }
    // The configuration is written last: a key file alone is a creation that broke off.
    let foreign = objects.into_iter().find(|object| ObjectKind::Key.id_of(&object.path).is_none());
    Ok(foreign.map_or(Presence::Empty, |object| Presence::Foreign { example: object.path }))
}

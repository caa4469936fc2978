//! Removing backups by name.

use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use larder_model::{BackupId, Cancel};
use std::collections::HashSet;
use std::time::Duration;

/// How long [`Repository::remove_snapshots`] waits for a prune.
const WAIT: Duration = Duration::from_secs(60);

impl Repository {
    /// Removes backups; their data stays until a prune. Strict: unless every name is that of a backup that is listed,
    /// none is removed. One that cannot be read can be removed too.
    ///
    /// Waits up to `wait` for a prune; backups, restores and other removals may go on meanwhile, for what they need
    /// stays. An abort leaves some removed and the others as they are.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] for a name that is none or not there; [`RepositoryError::Doubtful`] where a removed
    /// one is still listed; [`RepositoryError::Locked`]; [`RepositoryError::LockLost`]; the destination's;
    /// [`RepositoryError::Canceled`].
    pub fn forget(&self, ids: &[BackupId], wait: Duration, cancel: &Cancel) -> Result<(), RepositoryError> {
        if ids.is_empty() {
            return Ok(());
        }
        let lock = Lock::shared(self, wait, cancel)?;
        let listed = self.listed_snapshots()?;
        let mut wanted = Vec::with_capacity(ids.len());
        for id in ids {
            let missing = |remedy: &str| RepositoryError::Missing {
                object: format!("the backup '{id}'"),
                destination: self.describe(),
                remedy: format!("{remedy}; no backup was removed"),
            };
            let name: Id = id.0.parse().map_err(|_| missing("give its full name, 64 hexadecimal digits"))?;
            if !listed.contains(&name) {
                return Err(missing("list the backups to see those that are"));
            }
            wanted.push(name);
        }
        for name in &wanted {
            cancel.check()?;
            lock.check()?;
            self.delete_object(ObjectKind::Snapshot, name)?;
        }
        let left = self.listed_snapshots()?;
        match wanted.iter().find(|name| left.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(RepositoryError::Doubtful {
                destination: self.describe(),
                cause: format!("{} is still listed although it was removed", ObjectKind::Snapshot.path(name)),
            }),
        }
    }

    fn listed_snapshots(&self) -> Result<HashSet<Id>, RepositoryError> {
        Ok(self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect())
    }

    /// Removes backups as [`Repository::forget`] does, with nobody to abort it.
    ///
    /// # Errors
    /// Those of [`Repository::forget`].
    pub fn remove_snapshots(&self, ids: &[BackupId]) -> Result<(), RepositoryError> {
        self.forget(ids, WAIT, &Cancel::new())
    }
}

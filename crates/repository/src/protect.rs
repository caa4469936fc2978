//! Locks of what is still needed, extended before they end.
//!
//! A destination with object lock locks what is written for so many days from then on. Deduplication means that a backup
//! of today rests on data of last year, whose lock has ended. So everything that backups need is locked anew, at once, and the
//! moment of that is kept beside the repository, sealed with its key. Until a period after that moment nothing needs another
//! call: what was written since is locked for longer. That is one call for each object and period, and no fewer would do.

use crate::error::RepositoryError;
use crate::layout::{CONFIG_PATH, ObjectKind};
use crate::lock::Lock;
use crate::repository::{Repository, to_json};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use larder_model::{Cancel, Counters};
use larder_storage::{Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Where the moment is kept; stock restic looks at no folder of this name.
const MOMENT: &str = "larder/locked";
/// How many locks are extended at once.
const AT_ONCE: usize = 16;
/// How long a prune is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// What became of the locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Until when everything that backups need is locked at least; nothing where the destination locks nothing.
    pub until: Option<Timestamp>,
    /// How many locks were extended.
    pub extended: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Moment {
    since: Timestamp,
}

impl Repository {
    /// Extends the locks of everything that backups need, where one of them may end before this is asked again, which is
    /// at the latest after `next`: packs that the index names, the index, backups, keys, the configuration.
    ///
    /// Where nothing may end so soon, it costs one small reading.
    ///
    /// # Errors
    /// [`RepositoryError::Locked`] while a prune goes on; the destination's; [`RepositoryError::Canceled`]. The next call
    /// begins again.
    pub fn protect(
        &self,
        next: Duration,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<Protection, RepositoryError> {
        let capabilities = self.storage().capabilities();
        if !capabilities.object_lock {
            return Ok(Protection::default());
        }
        let period = SignedDuration::from_hours(i64::from(capabilities.lock_days) * 24);
        let next = SignedDuration::try_from(next).unwrap_or(SignedDuration::MAX);
        let now = self.clock().now();
        // A clock that was ahead once must not put it off for years.
        let since = self.moment(cancel)?.filter(|since| *since <= now);
        let ends = since.and_then(|since| since.checked_add(period).ok());
        let lasts = |ends: &Timestamp| now.checked_add(next).is_ok_and(|again| again < *ends);
        if let Some(until) = ends.filter(lasts) {
            return Ok(Protection { until: Some(until), extended: 0 });
        }
        let lock = Lock::shared(self, WAIT, cancel)?;
        let paths = self.needed(cancel)?;
        counters.items_total.store(paths.len() as u64, Ordering::Relaxed);
        counters.set_current("extending the locks of what backups need");
        let extended = self.extend(paths, &lock, cancel, counters)?;
        self.note_locked(now)?;
        Ok(Protection { until: now.checked_add(period).ok(), extended })
    }

    /// Lists the paths of everything that backups need.
    fn needed(&self, cancel: &Cancel) -> Result<Vec<String>, RepositoryError> {
        let index = self.load_index(cancel)?;
        let packs: HashSet<_> = index.packs().iter().map(|pack| pack.id).collect();
        let objects = self.wait_for(cancel, self.storage().list(""))?;
        let is_needed = |path: &str| {
            let kinds = [ObjectKind::Index, ObjectKind::Key, ObjectKind::Snapshot];
            path == CONFIG_PATH
                || kinds.iter().any(|kind| kind.id_of(path).is_some())
                || ObjectKind::Pack.id_of(path).is_some_and(|id| packs.contains(&id))
        };
        Ok(objects.into_iter().map(|object| object.path).filter(|path| is_needed(path)).collect())
    }

    fn extend(
        &self,
        paths: Vec<String>,
        lock: &Lock,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<u64, RepositoryError> {
        let mut waiting = paths.into_iter();
        let mut extended = 0;
        self.handle().block_on(async {
            let mut running: JoinSet<Result<bool, StorageError>> = JoinSet::new();
            loop {
                cancel.check()?;
                lock.check()?;
                while running.len() < AT_ONCE
                    && let Some(path) = waiting.next()
                {
                    let storage = Arc::clone(self.storage());
                    running.spawn(async move { extend_one(&*storage, &path).await });
                }
                let Some(done) = running.join_next().await else { return Ok(extended) };
                let done = done.map_err(|cause| RepositoryError::Internal { what: cause.to_string() })?;
                extended += u64::from(done?);
                Counters::add(&counters.items_done, 1);
            }
        })
    }

    /// Keeps the moment since which everything is locked for a period at least; before anything is written, that is now.
    pub(crate) fn note_locked(&self, since: Timestamp) -> Result<(), RepositoryError> {
        let sealed = Bytes::from(self.key().seal_copy(&to_json(&Moment { since })?)?);
        Ok(self.handle().block_on(self.storage().put(MOMENT, sealed))?)
    }

    /// Reads the moment. One that cannot be understood is none: then everything is locked anew.
    fn moment(&self, cancel: &Cancel) -> Result<Option<Timestamp>, RepositoryError> {
        let sealed = match self.fetch(MOMENT, cancel) {
            Ok(sealed) => sealed,
            Err(RepositoryError::Storage(error)) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let plain = self.key().open_copy(&sealed).ok();
        Ok(plain.and_then(|plain| serde_json::from_slice::<Moment>(&plain).ok()).map(|moment| moment.since))
    }
}

/// Extends one lock; says whether there was something to lock, for a removal may have been faster.
async fn extend_one(storage: &dyn Storage, path: &str) -> Result<bool, StorageError> {
    match storage.protect(path).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

//! Healing: a destination that missed runs gets what it lacks from another one, without another look at the source.
//!
//! All destinations of a database share a master key, so packs and snapshots are copied as they are, under the names
//! they have; what comes is believed once its hash is its name. Index objects are not copied, since two destinations
//! may have arranged their packs differently: new ones are written for the packs that were copied. Order as in a backup:
//! packs, then index, then snapshots, so that an interruption leaves nothing to repair, and the next healing goes on
//! from there. Shared locks at both ends: backups may run meanwhile, a prune may not.

mod lack;
mod packs;
mod plan;

pub use lack::Lacking;

use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::Index;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::walk_blobs::mark;
use larder_model::{BackupId, Cancel, Counters};
use plan::{Held, Plan};
use std::time::Duration;

/// How a healing is to be made.
#[derive(Clone, Debug)]
pub struct HealOptions {
    /// The backups to copy, by their names at the sources; `None` means all that are lacking. A name that is none of
    /// theirs, or of one that is not lacking, is passed over.
    pub backups: Option<Vec<BackupId>>,
    /// How long to wait for a prune to end.
    pub wait: Duration,
}

impl Default for HealOptions {
    fn default() -> Self {
        Self { backups: None, wait: Duration::from_secs(60) }
    }
}

/// What a healing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealSummary {
    /// The backups that are there now and were not before, oldest first for each source.
    pub backups: Vec<BackupId>,
    /// Backups that could not be copied, because no source holds all they need.
    pub failures: Vec<HealFailure>,
    /// Packs copied whole.
    pub packs_copied: u64,
    /// Packs that were there already, left by a healing or backup that broke off, and proved sound.
    pub packs_found: u64,
    /// New packs, of blobs copied out of packs that otherwise hold little of use here.
    pub packs_written: u64,
    /// Bytes of the packs that were copied or written.
    pub bytes_copied: u64,
}

/// A backup that could not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealFailure {
    /// Its name at the source.
    pub backup: BackupId,
    /// Why, with the object that is lacking.
    pub cause: String,
}

/// Says whether two snapshots are the same backup at two destinations: there they have names of their own.
fn is_same_backup(one: &Snapshot, other: &Snapshot) -> bool {
    (one.id == other.id)
        || (one.time == other.time
            && one.tree == other.tree
            && one.hostname == other.hostname
            && one.paths == other.paths)
}

impl Repository {
    /// Copies the backups that this repository lacks from others that share its master key.
    ///
    /// The sources are taken in turn, each for what the ones before it did not have; a pack that is damaged or missing
    /// at one is taken from another. A backup appears only when everything it needs is here and every directory of it
    /// was read here. An abort or failure leaves a sound repository, and what was copied is not copied again.
    ///
    /// # Errors
    /// [`RepositoryError::NotTwins`]; [`RepositoryError::Damaged`] where this repository's index cannot be read (repair it
    /// first); [`RepositoryError::Locked`]; [`RepositoryError::LockLost`]; [`RepositoryError::Doubtful`] where something
    /// just written is not listed; the destinations'; [`RepositoryError::Canceled`].
    pub fn heal_from(
        &self,
        sources: &[Self],
        options: &HealOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<HealSummary, RepositoryError> {
        self.expect_twins(sources)?;
        let guarded = Guarded::new(self, Lock::shared(self, options.wait, cancel)?, cancel);
        let mut healing = Healing::begin(guarded, sources, options.wait, counters)?;
        for source in sources {
            healing.take_from(source, options)?;
        }
        Ok(healing.into_summary())
    }

    /// Makes sure that objects can be copied from these repositories as they are.
    pub(crate) fn expect_twins(&self, others: &[Self]) -> Result<(), RepositoryError> {
        match others.iter().find(|other| other.key() != self.key()) {
            None => Ok(()),
            Some(other) => {
                Err(RepositoryError::NotTwins { destination: self.describe(), other: other.describe() })
            }
        }
    }
}

/// A healing under way.
pub(crate) struct Healing<'a> {
    guarded: Guarded,
    sources: &'a [Repository],
    locks: Vec<Option<Lock>>,
    counters: &'a Counters,
    summary: HealSummary,
    healed: Vec<Snapshot>,
    failed: Vec<(Snapshot, String)>,
}

impl<'a> Healing<'a> {
    /// Begins to copy into a repository under a lock; the sources are locked too, so that nothing is pruned there.
    pub(crate) fn begin(
        guarded: Guarded,
        sources: &'a [Repository],
        wait: Duration,
        counters: &'a Counters,
    ) -> Result<Self, RepositoryError> {
        let mut locks = Vec::with_capacity(sources.len());
        for source in sources {
            locks.push(Lock::shared_if_writable(source, wait, &guarded.cancel)?);
        }
        let summary = HealSummary::default();
        let (healed, failed) = (Vec::new(), Vec::new());
        Ok(Self { guarded, sources, locks, counters, summary, healed, failed })
    }

    fn into_summary(self) -> HealSummary {
        let Self { mut summary, healed, failed, .. } = self;
        let mut named: Vec<Snapshot> = Vec::new();
        for (backup, cause) in failed {
            // What one source could not give another one may have given.
            if !healed.iter().chain(&named).any(|other| is_same_backup(other, &backup)) {
                summary.failures.push(HealFailure { backup: backup.id.clone(), cause });
                named.push(backup);
            }
        }
        summary.backups = healed.into_iter().map(|backup| backup.id).collect();
        summary
    }

    pub(crate) const fn sources(&self) -> &'a [Repository] {
        self.sources
    }

    /// Says how many packs were copied or written so far.
    pub(crate) const fn packs(&self) -> u64 {
        self.summary.packs_copied + self.summary.packs_written
    }

    /// Returns an error once the work is aborted or a lock is lost.
    fn check(&self) -> Result<(), RepositoryError> {
        self.guarded.check()?;
        self.locks.iter().flatten().try_for_each(Lock::check)
    }

    fn take_from(&mut self, source: &Repository, options: &HealOptions) -> Result<(), RepositoryError> {
        self.counters.set_current("looking for what is lacking");
        let here = &self.guarded.repository;
        let present = here.snapshots_but_damaged(&self.guarded.cancel)?;
        let wanted = |backup: &Snapshot| {
            options.backups.as_ref().is_none_or(|wanted| wanted.contains(&backup.id))
                && !present.iter().any(|other| is_same_backup(other, backup))
        };
        let mut lacking: Vec<Snapshot> =
            source.snapshots_but_damaged(&self.guarded.cancel)?.into_iter().filter(wanted).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        lacking.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        let lacking = self.bring(source, lacking)?;
        if lacking.is_empty() {
            return Ok(());
        }
        self.counters.set_current("looking whether everything is there");
        let held = Held::load(&self.guarded)?;
        let lacking = self.complete(&self.guarded.repository.clone(), &held.index, lacking)?;
        for backup in lacking {
            self.copy_snapshot(source, backup)?;
        }
        Ok(())
    }

    /// Copies what is lacking of the data of backups, and returns those of which the source has everything.
    pub(crate) fn bring(
        &mut self,
        source: &Repository,
        backups: Vec<Snapshot>,
    ) -> Result<Vec<Snapshot>, RepositoryError> {
        let index = source.load_index(&self.guarded.cancel)?;
        let backups = self.complete(source, &index, backups)?;
        if !backups.is_empty() {
            let held = Held::load(&self.guarded)?;
            let plan = Plan::make(source, &index, &held, &backups, &self.guarded.cancel)?;
            drop(held);
            packs::copy(self, source, &index, plan)?;
        }
        Ok(backups)
    }

    /// Returns those of the backups of which a repository holds everything; the others are failures.
    fn complete(
        &mut self,
        repository: &Repository,
        index: &Index,
        backups: Vec<Snapshot>,
    ) -> Result<Vec<Snapshot>, RepositoryError> {
        let cancel = self.guarded.cancel.clone();
        if mark(repository, index, &backups, &cancel).is_ok() {
            return Ok(backups);
        }
        let mut complete = Vec::new();
        for backup in backups {
            self.check()?;
            match mark(repository, index, std::slice::from_ref(&backup), &cancel) {
                Ok(_) => complete.push(backup),
                Err(error) if !error.proves_damage() => return Err(error),
                Err(error) => self.failed.push((backup, error.to_string())),
            }
        }
        Ok(complete)
    }

    fn copy_snapshot(&mut self, source: &Repository, backup: Snapshot) -> Result<(), RepositoryError> {
        self.check()?;
        let Ok(id) = backup.id.0.parse::<Id>() else { return Ok(()) };
        let sealed = source.fetch(&ObjectKind::Snapshot.path(&id), &self.guarded.cancel)?;
        // Its name and seal are looked at once more: it is about to be the proof that all else is there.
        source.open_object(ObjectKind::Snapshot, &id, &sealed)?;
        self.guarded.put(ObjectKind::Snapshot, &id, sealed)?;
        self.healed.push(backup);
        Ok(())
    }
}

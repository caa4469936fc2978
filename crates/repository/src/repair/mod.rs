//! Repairing: what is damaged or missing comes back from where it is intact, the index is made anew from the packs,
//! and what is truly lost is named, file by file.
//!
//! Under an exclusive lock, in this order: packs are fetched again or, blob by blob, saved into new ones; new index
//! objects are written; the outdated ones are removed. Whatever stops this between two steps leaves nothing that was not
//! broken before, and the next repair goes on from there. No pack and no backup is removed: a pack that stays damaged
//! is left where it is, named by no index, for the next prune; a backup that lost files is replaced only on request.

mod lost;
mod missing;
mod packs;
mod rebuild;
mod refetch;
mod rehearsal;
mod revive;
mod rewrite;
mod survey;

pub use rehearsal::staged;

use crate::check::Loss;
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::heal::Healing;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use larder_model::{BackupId, Cancel, Counters};
use std::time::Duration;
use survey::Survey;

/// What is done with backups of which something is lost for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DamagedBackups {
    /// They stay as they are: all that is not lost can be restored from them. A prune refuses to work meanwhile.
    #[default]
    Keep,
    /// Of each, a second backup is written without the files and directories that are lost. It has the tag `incomplete`,
    /// the time of the first, and names that as its original. A shortened file is never kept: it would pass for whole.
    Supplement,
    /// As [`DamagedBackups::Supplement`], and then the damaged one is removed. One of which nothing is left is removed too.
    Replace,
}

/// How a repair is to be made.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Whether every pack is read whole and compared with its name, to find damage that sizes do not show. Packs of
    /// directories, which every backup needs, are read in any case.
    pub read_data: bool,
    /// What is done with backups of which something is lost for good.
    pub damaged_backups: DamagedBackups,
    /// How long to wait for others to finish.
    pub wait: Duration,
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self { read_data: false, damaged_backups: DamagedBackups::Keep, wait: Duration::from_secs(60) }
    }
}

/// What became of a damaged object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It was fetched from another destination and is intact again.
    Refetched {
        /// The destination.
        from: String,
    },
    /// A pack: its sound blobs, here or elsewhere, were copied into new packs; the object itself stays for the next prune.
    Salvaged {
        /// Blobs that were saved, or that lie in another pack as well.
        kept_blobs: u64,
        /// Blobs that are lost.
        lost_blobs: u64,
    },
    /// An index object: what it said was read from the packs, and it was removed.
    Rebuilt,
    /// The configuration or a key file: it was made anew.
    Remade,
    /// A key file: nobody could open anything with it, another one opens the repository, and it was removed.
    Removed,
    /// Nobody has it intact; it stays as it is.
    None,
}

/// A damaged object and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Its path.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What became of it.
    pub remedy: Remedy,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Every damaged object.
    pub objects: Vec<Repaired>,
    /// Packs that no index named any more, and that a twin has.
    pub packs_fetched: u64,
    /// Packs that no index named and that are named again.
    pub packs_found: u64,
    /// New packs of saved blobs.
    pub packs_written: u64,
    /// New index objects.
    pub indexes_written: u64,
    /// Index objects that were removed because the new ones take their place.
    pub indexes_removed: u64,
    /// Files and directories that are lost, counted once for each backup that has them.
    pub losses: u64,
    /// Backups that lost something.
    pub damaged_backups: Vec<BackupId>,
    /// Backups written in place of or besides damaged ones: the damaged one's name, then the new one's.
    pub rewritten: Vec<(BackupId, BackupId)>,
    /// Damaged backups that were removed, as was asked for.
    pub removed: Vec<BackupId>,
}

/// Takes each file or directory that is lost, with the backup that has it.
pub type VisitLoss<'a> = &'a mut dyn FnMut(Loss);

impl Repository {
    /// Repairs the repository as far as it can be repaired; `twins` are destinations of the same backups, from which
    /// intact objects are taken. Each file that is lost nevertheless is given to `on_loss`.
    ///
    /// What cannot be read for another reason than damage (a destination out of reach, missing rights) ends the repair:
    /// that is no proof of loss.
    ///
    /// # Errors
    /// [`RepositoryError::NotTwins`]; [`RepositoryError::Locked`]; [`RepositoryError::LockLost`];
    /// [`RepositoryError::Doubtful`] where something does not come back as it was written; the destinations';
    /// [`RepositoryError::Canceled`]. After each of them nothing is lost that was not lost before.
    pub fn repair(
        &self,
        twins: &[Self],
        options: &RepairOptions,
        on_loss: VisitLoss<'_>,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<RepairReport, RepositoryError> {
        self.expect_twins(twins)?;
        let guarded = Guarded::new(self, Lock::exclusive(self, options.wait, cancel)?, cancel);
        let twins = Healing::begin(guarded.clone(), twins, options.wait, counters)?;
        let mut repair = Repair { guarded, twins, options, counters };
        let mut report = RepairReport::default();
        counters.set_current("looking for damage");
        let mut survey = Survey::load(&repair.guarded)?;
        packs::read_all(&repair, &mut survey)?;
        counters.set_current("fetching what is damaged");
        let (mut found, strays) = packs::examine(&repair, &mut survey, &mut report)?;
        counters.set_current("saving what is left of damaged packs");
        found.extend(packs::salvage(&repair, &survey, &found, &strays, &mut report)?);
        counters.set_current("writing the index");
        rebuild::rebuild(&repair, &survey, found, &mut report)?;
        drop(survey);
        refetch::snapshots(&repair, &mut report)?;
        missing::fetch(&mut repair, &mut report)?;
        counters.set_current("looking for what is lost");
        lost::find(&repair, on_loss, &mut report)?;
        Ok(report)
    }
}

/// A repair under way.
struct Repair<'a> {
    guarded: Guarded,
    /// Locked, so that nothing is pruned there meanwhile.
    twins: Healing<'a>,
    options: &'a RepairOptions,
    counters: &'a Counters,
}

impl RepairReport {
    fn note(&mut self, kind: ObjectKind, id: &Id, cause: String, remedy: Remedy) {
        self.objects.push(Repaired { object: kind.path(id), cause, remedy });
    }
}

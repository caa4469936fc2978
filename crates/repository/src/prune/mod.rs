//! Removing what no backup needs.
//!
//! Under an exclusive lock, from a complete listing: mark what the backups need; copy what is needed out of wasteful packs
//! into new ones; write the new index; look again whether all that is needed is there; remove the old index objects, and
//! see that they are gone; remove the packs. Whatever stops this between two steps leaves every blob findable and no
//! index object that names a pack which is not there; what is left over is removed next time.

mod copies;
mod guarded;
mod plan;
mod present;
mod repack;
mod replace;

pub use plan::PruneSummary;
pub(crate) use present::pack_bytes;

use crate::error::RepositoryError;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::walk_blobs::mark;
use guarded::Guarded;
use larder_model::{Cancel, Counters};
use plan::Plan;
use present::Present;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Blobs of one index object at the most, as the write path has it.
const INDEX_BLOBS: usize = 50_000;

/// How a prune is to be made.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// How much of the repository may stay although no backup needs it, in percent; packs are rewritten above that.
    pub max_unused_percent: f64,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// How long to wait for others to finish.
    pub wait: Duration,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { max_unused_percent: 5.0, dry_run: false, wait: Duration::from_secs(10) }
    }
}

impl Repository {
    /// Removes what no backup needs.
    ///
    /// A dry run shares the repository with backups; what it says holds for the moment when it began. What only
    /// [`Repository::remove_snapshots`] has orphaned is removed; where no backup is left at all, nothing is, because
    /// a listing that shows none is more often wrong than right.
    ///
    /// # Errors
    /// [`RepositoryError::Locked`] while somebody else works there; [`RepositoryError::Damaged`] and
    /// [`RepositoryError::Missing`] where anything a backup needs is not as it must be, before anything is removed;
    /// [`RepositoryError::Doubtful`] where what the destination says cannot be trusted; [`RepositoryError::LockLost`];
    /// the destination's; [`RepositoryError::Canceled`]. After each of them the repository is whole.
    pub fn prune(
        &self,
        options: &PruneOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<PruneSummary, RepositoryError> {
        let take = if options.dry_run { Lock::shared } else { Lock::exclusive };
        let guarded = Guarded::new(self, take(self, options.wait, cancel)?, cancel);
        counters.set_current("looking for what backups need");
        let present = Present::load(&guarded)?;
        if present.snapshots.is_empty() && !present.packs.is_empty() {
            return Err(guarded.doubtful("it lists no backup at all, yet holds data of some".to_owned()));
        }
        let used = mark(self, &present.index, &present.snapshots, cancel)?;
        let mut plan = Plan::make(self, &present, &used, options)?;
        drop(used);
        if options.dry_run || plan.is_empty() {
            return Ok(plan.summary);
        }
        counters.items_total.store(plan.steps(), Ordering::Relaxed);
        counters.set_current("copying what backups need out of wasteful packs");
        let new_packs = repack::repack(&guarded, &present, &plan, counters)?;
        plan.summary.packs_written = new_packs.len() as u64;
        replace::replace_index(&guarded, &present, &mut plan, new_packs)?;
        // From here on nothing that is removed can be found any more.
        counters.set_current("removing packs");
        guarded.remove(ObjectKind::Pack, &plan.delete_packs, || Counters::add(&counters.items_done, 1))?;
        Ok(plan.summary)
    }
}

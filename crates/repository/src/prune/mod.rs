//! Removing what no backup needs.
//!
//! Under an exclusive lock, from a complete listing: mark what the backups need; copy what is needed out of wasteful packs
//! into new ones; write the new index; look again whether all that is needed is there; remove the old index objects, and
//! see that they are gone; remove the packs. Whatever stops this between two steps leaves every blob findable and no
//! index object that names a pack which is not there; what is left over is removed next time.
//!
//! Two phases, where a grace period is asked for: the first ends with the new index, which names the packs no more but
//! says since when they are retired; a later prune removes those that were retired for long enough. Index objects must
//! change under the exclusive lock, lest a backup that read the old ones relies on a pack that is named no more.
//! Copying need not: where it is much, it is done under a shared lock beforehand.
//!
//! What the destination protects from removal stays, and is told; a later prune finds it as what is left over. Where that
//! is an index object, the packs stay, too.

mod copies;
mod plan;
mod present;
mod repack;
mod replace;

pub use plan::PruneSummary;
pub(crate) use present::pack_bytes;

use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::index_writer::IndexWriter;
use crate::layout::ObjectKind;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::walk_blobs::mark;
use larder_model::{Cancel, Counters};
use plan::Plan;
use present::{Present, Retired};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How a prune is to be made.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// How much of the repository may stay although no backup needs it, in percent; packs are rewritten above that.
    pub max_unused_percent: f64,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// How long packs stay that are needed no more: those who read without a lock, from an index they have read before,
    /// still find them. Zero removes them at once. Whatever the period, a pack is removed only while nobody else works
    /// on the repository, and once no index object names it.
    pub grace: Duration,
    /// Up to so many bytes are copied out of wasteful packs while everybody else has to wait; more than that is copied
    /// while backups and restores go on.
    pub copy_excluding_bytes: u64,
    /// How long to wait for others to finish.
    pub wait: Duration,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            max_unused_percent: 5.0,
            dry_run: false,
            grace: Duration::ZERO,
            copy_excluding_bytes: 256 << 20,
            wait: Duration::from_secs(10),
        }
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
        if options.dry_run {
            let guarded = Guarded::new(self, Lock::shared(self, options.wait, cancel)?, cancel);
            return Ok(survey(&guarded, options, counters)?.1.summary);
        }
        let mut ahead = None;
        loop {
            let guarded = Guarded::new(self, Lock::exclusive(self, options.wait, cancel)?, cancel);
            let (present, mut plan) = survey(&guarded, options, counters)?;
            if plan.is_empty() {
                return Ok(plan.summary.after(ahead.as_ref()));
            }
            if plan.summary.repacked_bytes > options.copy_excluding_bytes && ahead.is_none() {
                drop((present, plan, guarded));
                ahead = Some(self.copy_ahead(options, cancel, counters)?);
                continue;
            }
            let done = counters.items_done.load(Ordering::Relaxed);
            counters.items_total.store(done + plan.steps(), Ordering::Relaxed);
            counters.set_current("copying what backups need out of wasteful packs");
            let new_packs = repack::repack(&guarded, &present, &plan, counters)?;
            plan.summary.packs_written = new_packs.len() as u64;
            let kept = replace::replace_index(&guarded, &present, &mut plan, new_packs)?;
            if !kept.is_empty() {
                // What an index object names must stay as long as that stays.
                let PruneSummary { before_bytes, repacked_bytes, packs_repacked, packs_written, .. } =
                    plan.summary;
                let nothing = PruneSummary {
                    before_bytes,
                    repacked_bytes,
                    packs_repacked,
                    packs_written,
                    ..PruneSummary::default()
                };
                return Ok(nothing.without(&kept, &present.listed).after(ahead.as_ref()));
            }
            // From here on nothing that is removed can be found any more.
            counters.set_current("removing packs");
            let removed = || Counters::add(&counters.items_done, 1);
            let kept = guarded.remove_unlocked(ObjectKind::Pack, &plan.delete_packs, removed)?;
            return Ok(plan.summary.without(&kept, &present.listed).after(ahead.as_ref()));
        }
    }

    /// Copies what backups need out of wasteful packs while others go on working, and names the new packs. The old
    /// ones are then mere duplicates, which the prune that follows removes without copying much.
    fn copy_ahead(
        &self,
        options: &PruneOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<PruneSummary, RepositoryError> {
        let guarded = Guarded::new(self, Lock::shared(self, options.wait, cancel)?, cancel);
        let (present, plan) = survey(&guarded, options, counters)?;
        counters.items_total.store(plan.summary.packs_repacked, Ordering::Relaxed);
        counters.set_current("copying what backups need out of wasteful packs");
        let new_packs = repack::repack(&guarded, &present, &plan, counters)?;
        let PruneSummary { before_bytes, repacked_bytes, packs_repacked, .. } = plan.summary;
        let packs_written = new_packs.len() as u64;
        let mut writer = IndexWriter::new(&guarded);
        new_packs.into_iter().try_for_each(|pack| writer.add(pack))?;
        writer.finish()?;
        Ok(PruneSummary {
            before_bytes,
            repacked_bytes,
            packs_repacked,
            packs_written,
            ..PruneSummary::default()
        })
    }
}

/// Reads everything, marks what backups need, and decides.
fn survey(
    guarded: &Guarded,
    options: &PruneOptions,
    counters: &Counters,
) -> Result<(Present, Plan), RepositoryError> {
    let (repository, cancel) = (&guarded.repository, &guarded.cancel);
    counters.set_current("looking for what backups need");
    let mut present = Present::load(guarded, Retired::Aside)?;
    if present.snapshots.is_empty() && !present.packs.is_empty() {
        return Err(guarded.doubtful("it lists no backup at all, yet holds data of some".to_owned()));
    }
    let used = match mark(repository, &present.index, &present.snapshots, cancel) {
        // A program without locks may have gone on using what was retired meanwhile.
        Err(RepositoryError::Missing { .. }) if !present.retired.is_empty() => {
            present = Present::load(guarded, Retired::Revived)?;
            mark(repository, &present.index, &present.snapshots, cancel)?
        }
        used => used?,
    };
    let plan = Plan::make(repository, &present, &used, options, cancel)?;
    Ok((present, plan))
}

//! What a prune is going to do: which packs stay, which are rewritten, which go.

use super::PruneOptions;
use super::copies::{Copies, choose_copies};
use super::present::{NamedIndex, Present};
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index_writer::INDEX_BLOBS;
use crate::layout::ObjectKind;
use crate::pack::PACK_BYTES;
use crate::repository::Repository;
use crate::walk_blobs::BlobSet;
use jiff::Timestamp;
use larder_model::Cancel;
use larder_storage::{Availability, StorageError};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A pack smaller than this is small.
const SMALL_BYTES: u64 = PACK_BYTES as u64 / 4;
/// So many small packs of a kind are put together.
const SMALL_PACKS: usize = 12;
/// An index object with fewer blobs than this is small.
const SMALL_INDEX_BLOBS: usize = INDEX_BLOBS / 4;
/// So many small index objects are put together.
const SMALL_INDEXES: usize = 32;
/// Programs that take restic's locks, by how their backups begin to name them; restic named itself only from 0.16 on.
const LOCKING_PROGRAMS: [&str; 2] = ["larder", "restic"];

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneSummary {
    /// Bytes of packs before.
    pub before_bytes: u64,
    /// Bytes of packs that are or would be removed, including those whose needed part is kept in new packs.
    pub removed_bytes: u64,
    /// Bytes of packs that are named no more and stay for the grace period; a later prune removes them.
    pub retired_bytes: u64,
    /// Bytes that are or would be copied into new packs.
    pub repacked_bytes: u64,
    /// Bytes that no backup needs and that stay.
    pub unused_bytes: u64,
    /// Packs that stay.
    pub packs_kept: u64,
    /// Packs removed because no backup needs anything in them, or no index knows them.
    pub packs_removed: u64,
    /// Packs among them that no index knew.
    pub leftover_packs_removed: u64,
    /// Packs that no index knows and that stay, because a program that takes no locks writes here too.
    pub leftover_packs_kept: u64,
    /// Packs that are named no more since this prune, and stay for the grace period.
    pub packs_retired: u64,
    /// Packs that an earlier prune retired, and whose grace period is not over.
    pub packs_waiting: u64,
    /// Packs rewritten.
    pub packs_repacked: u64,
    /// New packs; 0 in a dry run.
    pub packs_written: u64,
    /// Blobs that backups need.
    pub blobs_used: u64,
    /// Copies of blobs that no backup needs, those that stay for now included.
    pub blobs_unused: u64,
    /// Index objects that are replaced.
    pub indexes_removed: u64,
    /// Objects that should go and that the destination protects; a later prune removes them.
    pub protected: u64,
    /// The destination's words for the first of them, which often say until when.
    pub protected_because: Option<String>,
}

impl PruneSummary {
    /// Takes back what could not be removed, given the sizes of packs.
    pub(super) fn without(mut self, protected: &[(Id, StorageError)], listed: &HashMap<Id, u64>) -> Self {
        self.protected += protected.len() as u64;
        self.protected_because =
            self.protected_because.or_else(|| protected.first().map(|(_, error)| error.to_string()));
        for bytes in protected.iter().filter_map(|(id, _)| listed.get(id)) {
            self.removed_bytes = self.removed_bytes.saturating_sub(*bytes);
            self.packs_removed = self.packs_removed.saturating_sub(1);
        }
        self
    }

    /// Adds what was copied ahead.
    pub(super) fn after(mut self, ahead: Option<&Self>) -> Self {
        if let Some(ahead) = ahead {
            self.before_bytes = ahead.before_bytes;
            self.repacked_bytes += ahead.repacked_bytes;
            self.packs_repacked += ahead.packs_repacked;
            self.packs_written += ahead.packs_written;
        }
        self
    }
}

/// What becomes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays as it is.
    Keep,
    /// What is needed of it is copied, then it goes.
    Repack,
    /// It goes; or it is not there, and the index has to forget it.
    Drop,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) summary: PruneSummary,
    /// What becomes of each pack, by its number in the index.
    pub(super) fates: Vec<Fate>,
    pub(super) copies: Copies,
    pub(super) delete_packs: Vec<Id>,
    /// Packs that are named no more and stay for the grace period.
    pub(super) retire: HashSet<Id>,
    /// Packs that were retired before; those whose grace period is over are among `delete_packs`.
    pub(super) waiting: HashSet<Id>,
    /// Those among them that were retired by a clock that was ahead.
    ahead: HashSet<Id>,
    pub(super) delete_indexes: Vec<Id>,
    /// Of each pack, whether an index object that stays names it.
    pub(super) covered: Vec<bool>,
}

impl Plan {
    pub(super) fn make(
        repository: &Repository,
        present: &Present,
        used: &BlobSet,
        options: &PruneOptions,
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        let copies = choose_copies(repository, present, used)?;
        let is_ready = |number: usize| {
            let pack = &present.index.packs()[number].id;
            let state = repository.availability(ObjectKind::Pack, pack, cancel)?;
            Ok(state == Availability::Ready)
        };
        let fates = choose_fates(present, &copies, options.max_unused_percent, &is_ready)?;
        let summary = PruneSummary {
            before_bytes: present.listed.values().sum(),
            blobs_used: copies.packs.iter().map(|pack| u64::from(pack.kept_blobs)).sum(),
            blobs_unused: copies.packs.iter().map(|pack| u64::from(pack.unused_blobs)).sum(),
            ..PruneSummary::default()
        };
        let covered = vec![false; fates.len()];
        let (delete_packs, delete_indexes) = (Vec::new(), Vec::new());
        let (retire, waiting, ahead) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut plan =
            Self { summary, fates, copies, delete_packs, retire, waiting, ahead, delete_indexes, covered };
        plan.count_packs(present, options.grace);
        plan.choose_retired(present, options.grace, repository.clock().now());
        plan.choose_leftovers(present);
        plan.choose_indexes(present);
        Ok(plan)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.delete_packs.is_empty() && self.delete_indexes.is_empty()
    }

    /// Returns how many packs are read or removed.
    pub(super) fn steps(&self) -> u64 {
        self.summary.packs_repacked + self.delete_packs.len() as u64
    }

    fn count_packs(&mut self, present: &Present, grace: Duration) {
        let summary = &mut self.summary;
        for (number, pack) in present.index.packs().iter().enumerate() {
            let bytes = present.listed.get(&pack.id).copied();
            let share = &self.copies.packs[number];
            match self.fates[number] {
                Fate::Keep => {
                    summary.packs_kept += 1;
                    summary.unused_bytes += share.unused_bytes;
                    continue;
                }
                Fate::Repack => {
                    summary.packs_repacked += 1;
                    summary.repacked_bytes += share.kept_bytes;
                }
                Fate::Drop if grace.is_zero() => summary.packs_removed += u64::from(bytes.is_some()),
                Fate::Drop => {}
            }
            let Some(bytes) = bytes else { continue };
            if grace.is_zero() {
                summary.removed_bytes += bytes;
                self.delete_packs.push(pack.id);
            } else {
                summary.packs_retired += 1;
                summary.retired_bytes += bytes;
                self.retire.insert(pack.id);
            }
        }
    }

    /// Chooses what becomes of packs that an earlier prune retired.
    fn choose_retired(&mut self, present: &Present, grace: Duration, now: Timestamp) {
        let mut retired: Vec<_> = present.retired.iter().collect();
        retired.sort_unstable();
        for (id, since) in retired {
            let Some(bytes) = present.listed.get(id).filter(|_| !present.numbers.contains_key(id)) else {
                continue;
            };
            if *since > now {
                // It begins to wait anew, or it might stay for ever.
                self.ahead.insert(*id);
            }
            if now.duration_since(*since).unsigned_abs() >= grace && *since <= now {
                self.summary.packs_removed += 1;
                self.summary.removed_bytes += bytes;
                self.delete_packs.push(*id);
            } else {
                self.summary.packs_waiting += 1;
                self.waiting.insert(*id);
            }
        }
    }

    /// Chooses what becomes of packs that no index knows.
    ///
    /// Whoever writes packs before their index holds a shared lock, so under the exclusive one they were left by a run
    /// that broke off. A program without locks (rustic) may be writing them right now: where one has ever made a
    /// backup here, they stay.
    fn choose_leftovers(&mut self, present: &Present) {
        let locks =
            |program: &str| program.is_empty() || LOCKING_PROGRAMS.iter().any(|p| program.starts_with(p));
        let all_lock = present.snapshots.iter().all(|snapshot| locks(&snapshot.program_version));
        let mut leftovers: Vec<_> = present.listed.iter().filter(|(id, _)| !present.is_known(id)).collect();
        leftovers.sort_unstable();
        for (id, bytes) in leftovers {
            if all_lock {
                self.summary.packs_removed += 1;
                self.summary.leftover_packs_removed += 1;
                self.summary.removed_bytes += bytes;
                self.delete_packs.push(*id);
            } else {
                self.summary.leftover_packs_kept += 1;
            }
        }
    }

    /// Chooses the index objects that go: those that name a pack which goes or is gone, and small ones where there are many.
    fn choose_indexes(&mut self, present: &Present) {
        let is_small = |index: &NamedIndex| index.blobs < SMALL_INDEX_BLOBS;
        let many_small = present.indexes.iter().filter(|index| is_small(index)).count() >= SMALL_INDEXES;
        for index in &present.indexes {
            let outdated = index.packs.iter().any(|pack| self.fates[*pack as usize] != Fate::Keep)
                || index.retired.iter().any(|pack| !self.waiting.contains(pack) || self.ahead.contains(pack));
            let is_empty = index.packs.is_empty() && index.retired.is_empty();
            if outdated || is_empty || (many_small && is_small(index)) {
                self.delete_indexes.push(index.id);
                continue;
            }
            for pack in &index.packs {
                self.covered[*pack as usize] = true;
            }
        }
        self.summary.indexes_removed = self.delete_indexes.len() as u64;
    }
}

/// Chooses what becomes of each pack: the most wasteful are rewritten first, until little enough is wasted, then small ones
/// where there are many. One that cannot be read at once, because it lies in a cold class, is never rewritten: getting it
/// back costs time and money, and more than the space is worth.
fn choose_fates(
    present: &Present,
    copies: &Copies,
    max_unused_percent: f64,
    is_ready: &dyn Fn(usize) -> Result<bool, RepositoryError>,
) -> Result<Vec<Fate>, RepositoryError> {
    let shares = &copies.packs;
    let mut fates: Vec<Fate> =
        shares.iter().map(|share| if share.kept_blobs == 0 { Fate::Drop } else { Fate::Keep }).collect();
    let needed: Vec<usize> = (0..fates.len()).filter(|number| fates[*number] == Fate::Keep).collect();
    let used: u64 = needed.iter().map(|number| shares[*number].kept_bytes).sum();
    let mut unused: u64 = needed.iter().map(|number| shares[*number].unused_bytes).sum();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let limit = (used as f64 * max_unused_percent.clamp(0.0, 100.0) / 100.0) as u64;
    let mut wasteful: Vec<usize> = needed.iter().copied().filter(|n| shares[*n].unused_bytes > 0).collect();
    wasteful.sort_by_key(|number| {
        let share = &shares[*number];
        let all = u128::from(share.kept_bytes + share.unused_bytes).max(1);
        (Reverse((u128::from(share.unused_bytes) << 32) / all), *number)
    });
    for number in wasteful {
        if unused <= limit {
            break;
        }
        if !is_ready(number)? {
            continue;
        }
        unused -= shares[number].unused_bytes;
        fates[number] = Fate::Repack;
    }
    for kind in BlobKind::ALL {
        let is_small = |number: &usize| {
            present.index.packs()[*number].kind == kind && present.packs[*number].bytes < SMALL_BYTES
        };
        let small: Vec<usize> = needed.iter().copied().filter(is_small).collect();
        if small.len() < SMALL_PACKS {
            continue;
        }
        let mut ready = Vec::new();
        for number in small {
            if fates[number] == Fate::Repack || is_ready(number)? {
                ready.push(number);
            }
        }
        if ready.len() >= SMALL_PACKS {
            ready.into_iter().for_each(|number| fates[number] = Fate::Repack);
        }
    }
    Ok(fates)
}

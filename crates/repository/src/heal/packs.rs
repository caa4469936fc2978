//! Copying packs, several at once, and naming them in the index once they are there.

use super::Healing;
use super::plan::Plan;
use crate::blob::BlobKind;
use crate::copy_blobs::{BlobCopier, OnLoss, Origin};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::index_file::{IndexedBlob, IndexedPack};
use crate::index_writer::{INDEX_BLOBS, IndexWriter};
use crate::layout::ObjectKind;
use crate::pack::read_pack;
use crate::prune::pack_bytes;
use crate::repository::Repository;
use bytes::Bytes;
use larder_model::Counters;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Packs that are on their way at once; each is in memory while it is.
const TRANSFERS: usize = 3;
/// So many packs are copied before the index names them, at the most: what is named is not copied again.
const BATCH: usize = 256;

/// Copies what a plan says, and writes the index for it.
pub(super) fn copy(
    healing: &mut Healing<'_>,
    source: &Repository,
    index: &Index,
    plan: Plan,
) -> Result<(), RepositoryError> {
    let counters = healing.counters;
    let blobs: usize = plan.parts.values().flatten().map(|_| 1).sum();
    Counters::add(&counters.items_total, (plan.whole.len() + blobs) as u64);
    counters.set_current("copying packs");
    for batch in plan.whole.chunks(BATCH) {
        let listed = healing.guarded.list(ObjectKind::Pack)?;
        let packs = copy_whole(healing, source, batch, &listed)?;
        name(healing, packs)?;
    }
    for (kind, jobs) in plan.parts {
        copy_parts(healing, source, index, kind, jobs.into())?;
    }
    Ok(())
}

/// What became of one pack.
enum Fetched {
    Found(IndexedPack),
    Copied(IndexedPack, u64),
    /// No source has it sound. What needs it will be found incomplete.
    Lost,
}

/// Copies packs as they are; returns those that are there now.
fn copy_whole(
    healing: &mut Healing<'_>,
    source: &Repository,
    batch: &[Id],
    listed: &HashMap<Id, u64>,
) -> Result<Vec<IndexedPack>, RepositoryError> {
    let next = AtomicUsize::new(0);
    let (fetched, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    let this = &*healing;
    let run = || -> Result<(), RepositoryError> {
        while let Some(id) = batch.get(next.fetch_add(1, Ordering::Relaxed)) {
            this.check()?;
            let one = copy_one(this, source, id, listed.contains_key(id))?;
            Counters::add(&this.counters.items_done, 1);
            fetched.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..TRANSFERS.min(batch.len()) {
            scope.spawn(|| {
                if let Err(error) = run() {
                    next.store(batch.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut packs = Vec::new();
    for one in fetched.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match one {
            Fetched::Lost => continue,
            Fetched::Found(pack) => {
                healing.summary.packs_found += 1;
                packs.push(pack);
            }
            Fetched::Copied(pack, bytes) => {
                healing.summary.packs_copied += 1;
                healing.summary.bytes_copied += bytes;
                packs.push(pack);
            }
        }
    }
    match failure {
        None => Ok(packs),
        // What did arrive is named all the same, so that it need not come again.
        Some(error) => name(healing, packs).and(Err(error)),
    }
}

fn copy_one(
    healing: &Healing<'_>,
    source: &Repository,
    id: &Id,
    is_listed: bool,
) -> Result<Fetched, RepositoryError> {
    let (here, cancel) = (&healing.guarded.repository, &healing.guarded.cancel);
    let path = ObjectKind::Pack.path(id);
    if is_listed
        && let Ok(bytes) = here.fetch(&path, cancel)
        && let Some(pack) = read_sound(here, id, &bytes)
    {
        return Ok(Fetched::Found(pack));
    }
    let mut doubt = None;
    let others = healing.sources.iter().filter(|other| !std::ptr::eq(*other, source));
    for from in std::iter::once(source).chain(others) {
        match from.fetch(&path, cancel) {
            Err(error) if error.is_canceled() => return Err(error),
            Err(error) => doubt = doubt.or(Some(error).filter(|error| !error.proves_damage())),
            Ok(bytes) => {
                let Some(pack) = read_sound(here, id, &bytes) else { continue };
                let size = bytes.len() as u64;
                healing.guarded.write(ObjectKind::Pack, id, bytes)?;
                Counters::add(&healing.counters.bytes_stored, size);
                return Ok(Fetched::Copied(pack, size));
            }
        }
    }
    doubt.map_or(Ok(Fetched::Lost), Err)
}

/// Returns what a pack holds, by its own header, where it is the pack of this name.
pub(crate) fn read_sound(repository: &Repository, id: &Id, bytes: &Bytes) -> Option<IndexedPack> {
    if Id::of(bytes) != *id {
        return None;
    }
    let blobs = read_pack(repository.key(), bytes).ok()?;
    Some(IndexedPack { id: *id, blobs: blobs.iter().map(IndexedBlob::from).collect() })
}

fn copy_parts(
    healing: &mut Healing<'_>,
    source: &Repository,
    index: &Index,
    kind: BlobKind,
    mut jobs: VecDeque<(Id, Vec<crate::blob::PackedBlob>)>,
) -> Result<(), RepositoryError> {
    let origins = [Origin { repository: source, index }];
    while !jobs.is_empty() {
        // As many as fill an index object: what is named is not copied again.
        let (mut some, mut blobs) = (VecDeque::new(), 0);
        while blobs < INDEX_BLOBS
            && let Some(job) = jobs.pop_front()
        {
            blobs += job.1.len();
            some.push_back(job);
        }
        let mut copier = BlobCopier::new(&healing.guarded, &origins, kind, OnLoss::Note, healing.counters);
        copier.run(some)?;
        let packs = copier.finish()?.packs;
        healing.summary.packs_written += packs.len() as u64;
        healing.summary.bytes_copied += packs.iter().map(|pack| pack_bytes(&pack.blobs)).sum::<u64>();
        name(healing, packs)?;
    }
    Ok(())
}

/// Looks whether packs are there in their full size, and writes the index for them.
fn name(healing: &Healing<'_>, packs: Vec<IndexedPack>) -> Result<(), RepositoryError> {
    if packs.is_empty() {
        return Ok(());
    }
    healing.check()?;
    let listed = healing.guarded.list(ObjectKind::Pack)?;
    let mut writer = IndexWriter::new(&healing.guarded);
    for pack in packs {
        if listed.get(&pack.id) != Some(&pack_bytes(&pack.blobs)) {
            let path = ObjectKind::Pack.path(&pack.id);
            return Err(healing
                .guarded
                .doubtful(format!("{path} was just written and is not listed in full")));
        }
        writer.add(pack)?;
    }
    writer.finish()?;
    Ok(())
}

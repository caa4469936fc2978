//! Copying what is needed out of packs that go: as it is sealed, but never unverified.

use super::guarded::Guarded;
use super::plan::{Fate, Plan};
use super::present::Present;
use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::index_file::{IndexedBlob, IndexedPack};
use crate::layout::ObjectKind;
use crate::pack::{PACK_BYTES, PackBuilder};
use crate::unseal::Unsealer;
use bytes::Bytes;
use larder_model::Counters;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that is fetched at once, unless a single blob is longer.
const FETCH_BYTES: u32 = 2 << 20;
/// Threads, each with one pack to read from and at times one to write: with the pack that is being filled
/// 3 x 16 MiB, with what they read and unpack less than 64 MiB.
const THREADS: usize = 2;
/// So many blobs are chosen at once; their list takes 64 bytes each.
const BATCH_BLOBS: usize = 100_000;

/// The blobs that are copied out of one pack.
type Job = (Id, Vec<PackedBlob>);

struct Repacker<'a> {
    guarded: &'a Guarded,
    index: &'a Index,
    counters: &'a Counters,
    kind: BlobKind,
    jobs: Mutex<VecDeque<Job>>,
    builder: Mutex<PackBuilder>,
    written: Mutex<Vec<IndexedPack>>,
    failure: Mutex<Option<RepositoryError>>,
    stopped: AtomicBool,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty_builder(kind: BlobKind) -> PackBuilder {
    PackBuilder::new(kind, Vec::with_capacity(PACK_BYTES))
}

/// Writes new packs with what is needed of the old ones; returns them once they are durable.
pub(super) fn repack(
    guarded: &Guarded,
    present: &Present,
    plan: &Plan,
    counters: &Counters,
) -> Result<Vec<IndexedPack>, RepositoryError> {
    let mut written = Vec::new();
    for kind in BlobKind::ALL {
        let mut repacker = Repacker {
            guarded,
            index: &present.index,
            counters,
            kind,
            jobs: Mutex::default(),
            builder: Mutex::new(empty_builder(kind)),
            written: Mutex::default(),
            failure: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        for batch in batches(plan) {
            let blobs = plan.copies.in_packs(&present.index, kind, |pack| {
                batch.contains(&pack) && plan.fates[pack as usize] == Fate::Repack
            });
            let job = |blobs: &[(u32, PackedBlob)]| {
                let pack = present.index.packs()[blobs[0].0 as usize].id;
                (pack, blobs.iter().map(|(_, blob)| *blob).collect())
            };
            *guard(&repacker.jobs) = blobs.chunk_by(|a, b| a.0 == b.0).map(job).collect();
            drop(blobs);
            repacker.run()?;
        }
        repacker.finish()?;
        written.append(&mut guard(&repacker.written));
    }
    let blobs: usize = written.iter().map(|pack| pack.blobs.len()).sum();
    let planned = plan.copies.packs.iter().zip(&plan.fates).filter(|(_, fate)| **fate == Fate::Repack);
    if blobs != planned.map(|(share, _)| share.kept_blobs as usize).sum::<usize>() {
        let what = "prune copied another number of blobs than it had to, so nothing was removed".to_owned();
        return Err(RepositoryError::Internal { what });
    }
    Ok(written)
}

/// Parts the packs into ranges of numbers in each of which not too many blobs are copied.
fn batches(plan: &Plan) -> Vec<std::ops::Range<u32>> {
    let mut ranges = Vec::new();
    let (mut from, mut blobs) = (0, 0);
    let mut end = 0;
    for (share, fate) in plan.copies.packs.iter().zip(&plan.fates) {
        end += 1;
        blobs += if *fate == Fate::Repack { share.kept_blobs as usize } else { 0 };
        if blobs >= BATCH_BLOBS {
            ranges.push(from..end);
            (from, blobs) = (end, 0);
        }
    }
    if blobs > 0 {
        ranges.push(from..end);
    }
    ranges
}

impl Repacker<'_> {
    fn run(&mut self) -> Result<(), RepositoryError> {
        let this = &*self;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    if let Err(error) = this.work() {
                        this.stopped.store(true, Ordering::Release);
                        guard(&this.failure).get_or_insert(error);
                    }
                });
            }
        });
        guard(&self.failure).take().map_or(Ok(()), Err)
    }

    fn work(&self) -> Result<(), RepositoryError> {
        let mut unsealer = Unsealer::new(self.guarded.repository.key())?;
        let mut trial = Vec::new();
        loop {
            let job = guard(&self.jobs).pop_front();
            let Some((pack, blobs)) = job else { return Ok(()) };
            self.copy(&pack, &blobs, &mut unsealer, &mut trial)?;
            Counters::add(&self.counters.items_done, 1);
        }
    }

    /// Copies blobs of one pack, which come in the order in which they lie there.
    fn copy(
        &self,
        pack: &Id,
        blobs: &[PackedBlob],
        unsealer: &mut Unsealer,
        trial: &mut Vec<u8>,
    ) -> Result<(), RepositoryError> {
        let path = ObjectKind::Pack.path(pack);
        let end = |blob: &PackedBlob| blob.offset.saturating_add(blob.length);
        let mut rest = blobs;
        while let Some(first) = rest.first() {
            self.guarded.check()?;
            if self.stopped.load(Ordering::Acquire) {
                return Ok(());
            }
            let together =
                rest.iter().take_while(|blob| end(blob).saturating_sub(first.offset) <= FETCH_BYTES).count();
            let (group, others) = rest.split_at(together.max(1));
            let until = group.iter().map(end).max().unwrap_or(first.offset);
            let range = u64::from(first.offset)..u64::from(until);
            let bytes = self.guarded.repository.fetch_range(&path, range, &self.guarded.cancel)?;
            for blob in group {
                let from = (blob.offset - first.offset) as usize;
                let sealed = bytes.get(from..from + blob.length as usize).unwrap_or_default();
                match verify(unsealer, trial, blob, sealed) {
                    Ok(()) => self.push(blob, sealed)?,
                    Err(cause) => self.push_another_copy(&path, blob, &cause, unsealer, trial)?,
                }
            }
            rest = others;
        }
        Ok(())
    }

    /// Takes another copy of a damaged blob, where there is one.
    fn push_another_copy(
        &self,
        path: &str,
        blob: &PackedBlob,
        cause: &str,
        unsealer: &mut Unsealer,
        trial: &mut Vec<u8>,
    ) -> Result<(), RepositoryError> {
        let (repository, cancel) = (&self.guarded.repository, &self.guarded.cancel);
        for place in self.index.locate_all(blob.kind, &blob.id) {
            let from = u64::from(place.blob.offset);
            let range = from..from + u64::from(place.blob.length);
            let other = ObjectKind::Pack.path(&place.pack);
            let sealed = match repository.fetch_range(&other, range, cancel) {
                Err(error) if error.is_canceled() => return Err(error),
                Err(_) => continue,
                Ok(sealed) => sealed,
            };
            if verify(unsealer, trial, &place.blob, &sealed).is_ok() {
                return self.push(&place.blob, &sealed);
            }
        }
        let object = format!("the {} blob {} in {path}", blob.kind.as_str(), blob.id);
        Err(repository.damaged(object, format!("{cause}; nothing was removed")))
    }

    fn push(&self, blob: &PackedBlob, sealed: &[u8]) -> Result<(), RepositoryError> {
        let mut builder = guard(&self.builder);
        let full =
            (!builder.fits(sealed.len())).then(|| std::mem::replace(&mut *builder, empty_builder(self.kind)));
        builder.add(blob.id, sealed, blob.uncompressed_length);
        drop(builder);
        full.map_or(Ok(()), |full| self.write(full))
    }

    /// Writes the last pack, which is not full.
    fn finish(&mut self) -> Result<(), RepositoryError> {
        let last = std::mem::replace(&mut *guard(&self.builder), empty_builder(self.kind));
        if last.is_empty() { Ok(()) } else { self.write(last) }
    }

    fn write(&self, builder: PackBuilder) -> Result<(), RepositoryError> {
        let pack = builder.finish(self.guarded.repository.key())?;
        let size = pack.bytes.len() as u64;
        self.guarded.put(ObjectKind::Pack, &pack.id, Bytes::from(pack.bytes))?;
        Counters::add(&self.counters.bytes_stored, size);
        let blobs = pack.blobs.iter().map(IndexedBlob::from).collect();
        guard(&self.written).push(IndexedPack { id: pack.id, blobs });
        Ok(())
    }
}

/// Opens a copy of a sealed blob and compares its hash.
fn verify(
    unsealer: &mut Unsealer,
    trial: &mut Vec<u8>,
    blob: &PackedBlob,
    sealed: &[u8],
) -> Result<(), String> {
    trial.clear();
    trial.extend_from_slice(sealed);
    unsealer.open(blob, trial).map(|_| ())
}

//! Copying blobs into new packs: as they are sealed, but never unverified.

use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::Index;
use crate::index_file::{IndexedBlob, IndexedPack};
use crate::layout::ObjectKind;
use crate::pack::{PACK_BYTES, PackBuilder};
use crate::repository::Repository;
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

/// The blobs that are copied out of one pack, in the order in which they lie there.
pub(crate) type Job = (Id, Vec<PackedBlob>);

/// Where blobs may be copied from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) index: &'a Index,
}

/// What is done about a blob of which no origin has a sound copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnLoss {
    /// The work ends with an error.
    Stop,
    /// It is noted, and the work goes on.
    Note,
}

/// Copies blobs of one kind into new packs at a repository under a lock. All origins share its master key.
pub(crate) struct BlobCopier<'a> {
    guarded: &'a Guarded,
    /// The packs of the jobs lie in the first; other copies are looked for in all.
    origins: &'a [Origin<'a>],
    on_loss: OnLoss,
    counters: &'a Counters,
    kind: BlobKind,
    jobs: Mutex<VecDeque<Job>>,
    builder: Mutex<PackBuilder>,
    written: Mutex<Vec<IndexedPack>>,
    lost: Mutex<Vec<PackedBlob>>,
    failure: Mutex<Option<RepositoryError>>,
    stopped: AtomicBool,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty_builder(kind: BlobKind) -> PackBuilder {
    PackBuilder::new(kind, Vec::with_capacity(PACK_BYTES))
}

/// What a copier did.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// The new packs, durable.
    pub(crate) packs: Vec<IndexedPack>,
    /// Blobs of which no origin has a sound copy.
    pub(crate) lost: Vec<PackedBlob>,
}

impl<'a> BlobCopier<'a> {
    pub(crate) fn new(
        guarded: &'a Guarded,
        origins: &'a [Origin<'a>],
        kind: BlobKind,
        on_loss: OnLoss,
        counters: &'a Counters,
    ) -> Self {
        Self {
            guarded,
            origins,
            on_loss,
            counters,
            kind,
            jobs: Mutex::default(),
            builder: Mutex::new(empty_builder(kind)),
            written: Mutex::default(),
            lost: Mutex::default(),
            failure: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Copies the blobs of these jobs; the last pack stays open for more.
    pub(crate) fn run(&mut self, jobs: VecDeque<Job>) -> Result<(), RepositoryError> {
        *guard(&self.jobs) = jobs;
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

    /// Writes the last pack, which is not full, and returns what was done.
    pub(crate) fn finish(self) -> Result<Copied, RepositoryError> {
        let last = std::mem::replace(&mut *guard(&self.builder), empty_builder(self.kind));
        if !last.is_empty() {
            self.write(last)?;
        }
        let (packs, lost) =
            (std::mem::take(&mut *guard(&self.written)), std::mem::take(&mut *guard(&self.lost)));
        Ok(Copied { packs, lost })
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
        let Some(Origin { repository, .. }) = self.origins.first() else { return Ok(()) };
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
            let bytes = match repository.fetch_range(&path, range, &self.guarded.cancel) {
                // Each blob is then looked for by itself.
                Err(error) if self.on_loss == OnLoss::Note && !error.is_canceled() => Bytes::new(),
                bytes => bytes?,
            };
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
        let places = self.origins.iter().flat_map(|origin| {
            origin.index.locate_all(blob.kind, &blob.id).map(|place| (origin.repository, place))
        });
        let mut doubt = None;
        for (repository, place) in places {
            let from = u64::from(place.blob.offset);
            let range = from..from + u64::from(place.blob.length);
            let other = ObjectKind::Pack.path(&place.pack);
            let sealed = match repository.fetch_range(&other, range, &self.guarded.cancel) {
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => {
                    doubt = doubt.or(Some(error).filter(|error| !error.proves_damage()));
                    continue;
                }
                Ok(sealed) => sealed,
            };
            if verify(unsealer, trial, &place.blob, &sealed).is_ok() {
                return self.push(&place.blob, &sealed);
            }
        }
        if self.on_loss == OnLoss::Note {
            // What could not be looked at is not lost.
            if let Some(error) = doubt {
                return Err(error);
            }
            guard(&self.lost).push(*blob);
            return Ok(());
        }
        let object = format!("the {} blob {} in {path}", blob.kind.as_str(), blob.id);
        Err(self.guarded.repository.damaged(object, format!("{cause}; nothing was removed")))
    }

    fn push(&self, blob: &PackedBlob, sealed: &[u8]) -> Result<(), RepositoryError> {
        let mut builder = guard(&self.builder);
        let full =
            (!builder.fits(sealed.len())).then(|| std::mem::replace(&mut *builder, empty_builder(self.kind)));
        builder.add(blob.id, sealed, blob.uncompressed_length);
        drop(builder);
        full.map_or(Ok(()), |full| self.write(full))
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

//! Packs: are they there in the right size, and is every byte of them right?

use super::CheckOptions;
use super::report::Findings;
use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, IndexBuilder};
use crate::index_file::IndexFile;
use crate::layout::ObjectKind;
use crate::pack::read_pack;
use crate::prune::pack_bytes;
use crate::repository::Repository;
use crate::unseal::{Unsealer, writable};
use larder_model::{Cancel, Counters};
use larder_storage::Availability;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

const REMEDY: &str = "fetch the object from another destination that has it; what is named as lost cannot be \
                      restored from here, all else can, and the next backup stores anew what the source still has";

/// The packs that index objects name.
#[derive(Default)]
pub(super) struct Packs {
    builder: IndexBuilder,
    sizes: HashMap<Id, u64>,
    order: Vec<Id>,
    listed: HashMap<Id, u64>,
    pub(super) unindexed: u64,
}

/// The blobs of an index in the order of packs, as positions; eight bytes a blob.
struct ByPack<'a> {
    index: &'a Index,
    positions: Vec<(u32, u32)>,
}

impl Packs {
    pub(super) fn add(&mut self, file: &IndexFile) {
        for pack in &file.packs {
            if self.sizes.insert(pack.id, pack_bytes(&pack.blobs)).is_none() {
                self.builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
                self.order.push(pack.id);
            }
        }
    }

    pub(super) fn present(&self) -> usize {
        self.listed.len()
    }

    /// Compares the index with the packs that are there, and notes the blobs of those that are not.
    pub(super) fn compare(&mut self, listed: Vec<(Id, u64)>, findings: &mut Findings) -> Index {
        self.listed = listed.into_iter().collect();
        self.unindexed = self.listed.keys().filter(|id| !self.sizes.contains_key(id)).count() as u64;
        let index = std::mem::take(&mut self.builder).build();
        let mut gone = HashMap::new();
        for (number, id) in self.order.iter().enumerate() {
            let cause = match self.listed.get(id) {
                None => "it is missing".to_owned(),
                Some(bytes) if *bytes != self.sizes[id] => {
                    format!("it has {bytes} bytes instead of {}", self.sizes[id])
                }
                Some(_) => continue,
            };
            let problem = findings.add(ObjectKind::Pack.path(id), cause, REMEDY);
            gone.insert(u32::try_from(number).unwrap_or(u32::MAX), problem);
        }
        spoil_all(&index, &gone, findings);
        index
    }
}

/// Notes every blob all of whose copies lie in bad packs.
fn spoil_all(index: &Index, gone: &HashMap<u32, usize>, findings: &mut Findings) {
    if gone.is_empty() {
        return;
    }
    for kind in BlobKind::ALL {
        for place in index.blobs(kind) {
            let Some(problem) = gone.get(&place.pack_number) else { continue };
            if index.locate_all(kind, &place.blob.id).all(|copy| gone.contains_key(&copy.pack_number)) {
                findings.spoil(kind, place.blob.id, *problem);
            }
        }
    }
}

impl<'a> ByPack<'a> {
    fn new(index: &'a Index) -> Self {
        let mut positions = Vec::new();
        for kind in BlobKind::ALL {
            // The lowest bit says which table the position is in.
            let tree = u32::from(kind == BlobKind::Tree);
            let places = index.blobs(kind).enumerate();
            positions.extend(places.map(|(at, place)| {
                (place.pack_number, (u32::try_from(at).unwrap_or(u32::MAX >> 1) << 1) | tree)
            }));
        }
        positions.sort_unstable();
        Self { index, positions }
    }

    fn blobs(&self, pack: u32) -> Vec<PackedBlob> {
        let from = self.positions.partition_point(|(number, _)| *number < pack);
        let here = self.positions[from..].iter().take_while(|(number, _)| *number == pack);
        let mut blobs: Vec<_> = here
            .filter_map(|(_, position)| {
                let kind = if position & 1 == 1 { BlobKind::Tree } else { BlobKind::Data };
                self.index.at(kind, (position >> 1) as usize).map(|place| place.blob)
            })
            .collect();
        blobs.sort_unstable_by_key(|blob| blob.offset);
        blobs
    }
}

/// What reading one pack showed.
struct Verdict {
    pack: Id,
    cause: String,
    bad: Vec<PackedBlob>,
}

/// Reads packs whole, several at once.
pub(super) fn read_all(
    repository: &Repository,
    index: &Index,
    packs: &Packs,
    options: &CheckOptions,
    findings: &mut Findings,
    cancel: &Cancel,
    counters: &Counters,
) -> Result<(), RepositoryError> {
    let wanted: Vec<u32> = (0..index.packs().len())
        .filter(|number| packs.listed.get(&packs.order[*number]) == packs.sizes.get(&packs.order[*number]))
        .filter(|number| options.part.is_none_or(|part| part.contains(&packs.order[*number])))
        .filter_map(|number| u32::try_from(number).ok())
        .collect();
    let total = wanted.iter().filter_map(|number| packs.sizes.get(&packs.order[*number as usize]));
    counters.bytes_total.store(total.sum(), Ordering::Relaxed);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Each holds a pack in memory.
    let threads = if options.threads == 0 { cores.min(4) } else { options.threads };
    let by_pack = ByPack::new(index);
    let (next, verified) = (AtomicUsize::new(0), AtomicU64::new(0));
    let (read, cold) = (AtomicU64::new(0), AtomicU64::new(0));
    let (verdicts, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    let run = || -> Result<(), RepositoryError> {
        let mut unsealer = Unsealer::new(repository.key())?;
        while let Some(number) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            cancel.check()?;
            let id = packs.order[*number as usize];
            let bytes = packs.sizes[&id];
            Counters::add(&counters.bytes_done, bytes);
            if repository.availability(ObjectKind::Pack, &id, cancel)? != Availability::Ready {
                Counters::add(&cold, 1);
                continue;
            }
            match read_one(repository, &by_pack, *number, &id, &mut unsealer, cancel)? {
                Some(verdict) => verdicts.lock().unwrap_or_else(PoisonError::into_inner).push(verdict),
                None => Counters::add(&verified, bytes),
            }
            Counters::add(&read, 1);
            Counters::add(&counters.bytes_read, bytes);
        }
        Ok(())
    };
    let guarded = || {
        if let Err(error) = run() {
            next.store(wanted.len(), Ordering::Relaxed);
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(wanted.len()) {
            scope.spawn(guarded);
        }
        guarded();
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    findings.read_packs = read.into_inner();
    findings.cold_packs = cold.into_inner();
    findings.verified_bytes = verified.into_inner();
    for verdict in verdicts.into_inner().unwrap_or_else(PoisonError::into_inner) {
        note(repository, index, verdict, findings);
    }
    Ok(())
}

fn note(repository: &Repository, index: &Index, verdict: Verdict, findings: &mut Findings) {
    let problem = findings.add(ObjectKind::Pack.path(&verdict.pack), verdict.cause, REMEDY);
    for blob in verdict.bad {
        // Another copy may be right; only such a blob is not lost.
        let mut others = index.locate_all(blob.kind, &blob.id).filter(|place| place.pack != verdict.pack);
        if !others.any(|place| repository.load_blob_at(&place).is_ok()) {
            findings.spoil(blob.kind, blob.id, problem);
        }
    }
}

/// Returns what is wrong with a pack; every blob of it is looked at, even when its name or header is wrong already.
fn read_one(
    repository: &Repository,
    by_pack: &ByPack<'_>,
    number: u32,
    id: &Id,
    unsealer: &mut Unsealer,
    cancel: &Cancel,
) -> Result<Option<Verdict>, RepositoryError> {
    let blobs = by_pack.blobs(number);
    let bytes = match repository.fetch(&ObjectKind::Pack.path(id), cancel) {
        Err(RepositoryError::Storage(error)) => {
            return Ok(Some(Verdict { pack: *id, cause: error.to_string(), bad: blobs }));
        }
        bytes => bytes?,
    };
    let mut causes = Vec::new();
    match read_pack(repository.key(), &bytes) {
        Err(error) => causes.push(error.to_string()),
        Ok(mut header) => {
            header.sort_unstable_by_key(|blob| blob.offset);
            if header != blobs {
                causes.push("its header lists other blobs than the index".to_owned());
            }
        }
    }
    let mut bad = Vec::new();
    let named = unsealer.open_pack(&mut writable(bytes), &blobs, &mut |number, outcome| {
        if let (Err(cause), Some(blob)) = (outcome, blobs.get(number)) {
            causes.push(format!("the {} blob {}: {cause}", blob.kind.as_str(), blob.id));
            bad.push(*blob);
        }
        cancel.check()
    })?;
    if named != *id {
        causes.insert(0, "its bytes do not have the SHA-256 it is named by".to_owned());
    }
    Ok((!causes.is_empty()).then(|| Verdict { pack: *id, cause: causes.join("; "), bad }))
}

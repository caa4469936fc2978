//! Packs that are at fault or that no index names: looked at, fetched anew, or saved blob by blob.

use super::survey::Survey;
use super::{Remedy, Repair, RepairReport};
use crate::blob::{BlobKind, PackedBlob};
use crate::copy_blobs::{BlobCopier, OnLoss, Origin};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::index_file::{IndexedBlob, IndexedPack};
use crate::layout::ObjectKind;
use crate::pack::{LENGTH_BYTES, header_bytes, read_header, read_pack};
use crate::repository::Repository;
use larder_model::Counters;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that read packs.
const THREADS: usize = 2;

/// Packs that the new index has to name, by their names.
pub(super) type Found = HashMap<Id, IndexedPack>;

fn listing(id: &Id, blobs: &[PackedBlob]) -> IndexedPack {
    IndexedPack { id: *id, blobs: blobs.iter().map(IndexedBlob::from).collect() }
}

/// A pack that no index names and that is damaged: what is sound in it is saved, and it is named no more.
pub(super) struct Stray {
    id: Id,
    cause: String,
    blobs: Vec<PackedBlob>,
}

/// Says whether packs of this kind are read whole.
fn reads(repair: &Repair<'_>, kind: BlobKind) -> bool {
    repair.options.read_data || kind == BlobKind::Tree
}

/// Reads packs whole, and notes those whose bytes do not have the hash that they are named by.
pub(super) fn read_all(repair: &Repair<'_>, survey: &mut Survey) -> Result<(), RepositoryError> {
    let (repository, guarded) = (&repair.guarded.repository, &repair.guarded);
    let next = AtomicUsize::new(0);
    let (faults, failure) = (Mutex::new(Vec::new()), Mutex::new(None));
    let (packs, survey_index) = (&survey.packs, &survey.index);
    let run = || -> Result<(), RepositoryError> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(pack) = packs.get(number) else { return Ok(()) };
            guarded.check()?;
            let kind = survey_index.packs().get(number).map_or(BlobKind::Data, |pack| pack.kind);
            if pack.fault.is_some() || !reads(repair, kind) {
                continue;
            }
            let fault = match repository.fetch(&ObjectKind::Pack.path(&pack.id), &guarded.cancel) {
                Ok(bytes) if Id::of(&bytes) == pack.id => None,
                Ok(_) => Some("its bytes do not have the SHA-256 that it is named by".to_owned()),
                Err(error) if error.proves_damage() => Some(error.to_string()),
                Err(error) => return Err(error),
            };
            Counters::add(&repair.counters.bytes_read, pack.bytes);
            if let Some(fault) = fault {
                faults.lock().unwrap_or_else(PoisonError::into_inner).push((number, fault));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                if let Err(error) = run() {
                    next.store(packs.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    for (number, fault) in faults.into_inner().unwrap_or_else(PoisonError::into_inner) {
        survey.packs[number].fault = Some(fault);
    }
    Ok(())
}

/// Looks at packs at fault and at those that no index names, and fetches anew what is not right. Returns what is right
/// now, by the packs' own headers, and the packs that no index names and that are damaged; named packs that are not right
/// stay at fault.
pub(super) fn examine(
    repair: &Repair<'_>,
    survey: &mut Survey,
    report: &mut RepairReport,
) -> Result<(Found, Vec<Stray>), RepositoryError> {
    let (repository, cancel) = (&repair.guarded.repository, &repair.guarded.cancel);
    let (mut found, mut damaged) = (Found::new(), Vec::new());
    for pack in survey.packs.iter().filter(|pack| pack.fault.is_some()) {
        repair.guarded.check()?;
        let cause = pack.fault.clone().unwrap_or_default();
        let is_listed = survey.listed.contains_key(&pack.id);
        let here =
            if is_listed { Some(repository.fetch(&ObjectKind::Pack.path(&pack.id), cancel)) } else { None };
        match here {
            Some(Ok(bytes)) if Id::of(&bytes) == pack.id => {
                // The index was wrong, not the pack.
                if let Ok(blobs) = read_pack(repository.key(), &bytes) {
                    found.insert(pack.id, listing(&pack.id, &blobs));
                    continue;
                }
            }
            Some(Err(error)) if !error.proves_damage() => return Err(error),
            _ => {}
        }
        if let Some((bytes, from)) = repair.refetch(ObjectKind::Pack, &pack.id)?
            && let Ok(blobs) = read_pack(repository.key(), &bytes)
        {
            found.insert(pack.id, listing(&pack.id, &blobs));
            report.note(ObjectKind::Pack, &pack.id, cause, Remedy::Refetched { from });
        }
    }
    let mut strays: Vec<(Id, u64)> = survey
        .listed
        .iter()
        .filter(|(id, _)| !survey.numbers.contains_key(*id))
        .map(|(id, n)| (*id, *n))
        .collect();
    strays.sort_unstable();
    for (id, bytes) in strays {
        repair.guarded.check()?;
        match blobs_of(repair, &id, bytes).and_then(|blobs| Ok((is_right(repair, &id, &blobs)?, blobs))) {
            Ok((true, blobs)) => {
                report.packs_found += 1;
                found.insert(id, listing(&id, &blobs));
            }
            Ok((false, blobs)) => {
                let cause = "its bytes do not have the SHA-256 that it is named by".to_owned();
                match repair.refetch(ObjectKind::Pack, &id)? {
                    Some((_, from)) => {
                        report.note(ObjectKind::Pack, &id, cause, Remedy::Refetched { from });
                        found.insert(id, listing(&id, &blobs));
                    }
                    // Named, it would make what is lost in it look as if it were there.
                    None => damaged.push(Stray { id, cause, blobs }),
                }
            }
            Err(error) if !error.proves_damage() => return Err(error),
            Err(error) => {
                let refetched = repair.refetch(ObjectKind::Pack, &id)?;
                let blobs = refetched.as_ref().and_then(|(bytes, _)| read_pack(repository.key(), bytes).ok());
                let remedy = match (refetched, blobs) {
                    (Some((_, from)), Some(blobs)) => {
                        found.insert(id, listing(&id, &blobs));
                        Remedy::Refetched { from }
                    }
                    // No index knew it: most likely a backup that broke off left it so.
                    _ => Remedy::None,
                };
                report.note(ObjectKind::Pack, &id, error.to_string(), remedy);
            }
        }
    }
    Ok((found, damaged))
}

/// Says whether a pack with these blobs has the hash that it is named by, where packs of its kind are read whole.
fn is_right(repair: &Repair<'_>, id: &Id, blobs: &[PackedBlob]) -> Result<bool, RepositoryError> {
    if !blobs.iter().any(|blob| reads(repair, blob.kind)) {
        return Ok(true);
    }
    let path = ObjectKind::Pack.path(id);
    Ok(Id::of(&repair.guarded.repository.fetch(&path, &repair.guarded.cancel)?) == *id)
}

/// Reads the header of a pack: two short reads.
fn blobs_of(repair: &Repair<'_>, id: &Id, size: u64) -> Result<Vec<PackedBlob>, RepositoryError> {
    let (repository, cancel) = (&repair.guarded.repository, &repair.guarded.cancel);
    let path = ObjectKind::Pack.path(id);
    let damaged = |cause: String| repository.damaged(path.clone(), cause);
    let Some(before_length) = size.checked_sub(LENGTH_BYTES as u64) else {
        return Err(damaged("it is too short for a pack".to_owned()));
    };
    let tail = repository.fetch_range(&path, before_length..size, cancel)?;
    let tail = tail.as_ref().try_into().map_err(|_| damaged("it is too short".to_owned()))?;
    let header = header_bytes(tail, size).map_err(|error| damaged(error.to_string()))? as u64;
    let begin = before_length.saturating_sub(header);
    let sealed = repository.fetch_range(&path, begin..before_length, cancel)?;
    read_header(repository.key(), &sealed, begin).map_err(|error| damaged(error.to_string()))
}

/// Copies what is left of packs that stay at fault into new packs: from the damaged pack itself, or from twins that hold
/// the same blobs in other packs. Returns the new packs.
pub(super) fn salvage(
    repair: &Repair<'_>,
    survey: &Survey,
    found: &Found,
    strays: &[Stray],
    report: &mut RepairReport,
) -> Result<Found, RepositoryError> {
    let is_lost =
        |number: u32| !survey.is_sound(number) && !found.contains_key(&survey.packs[number as usize].id);
    let any_lost = (0..survey.packs.len()).any(|number| is_lost(u32::try_from(number).unwrap_or(u32::MAX)));
    if !any_lost && strays.is_empty() {
        return Ok(Found::new());
    }
    let again: HashSet<(BlobKind, Id)> =
        found.values().flat_map(|pack| pack.blobs.iter().map(|blob| (blob.kind, blob.id))).collect();
    let mut of_packs: BTreeMap<u32, Vec<PackedBlob>> = BTreeMap::new();
    let mut elsewhere: HashMap<u32, u64> = HashMap::new();
    for kind in BlobKind::ALL {
        let mut taken = None;
        for place in survey.index.blobs(kind).filter(|place| is_lost(place.pack_number)) {
            let id = place.blob.id;
            let has_another = |copy: crate::index::Location| survey.is_sound(copy.pack_number);
            if again.contains(&(kind, id)) || survey.index.locate_all(kind, &id).any(has_another) {
                *elsewhere.entry(place.pack_number).or_default() += 1;
            } else if taken != Some(id) {
                of_packs.entry(place.pack_number).or_default().push(place.blob);
            }
            taken = Some(id);
        }
    }
    // Several may hold the same blob; it is saved once.
    let mut meant: HashSet<(BlobKind, Id)> =
        of_packs.values().flatten().map(|blob| (blob.kind, blob.id)).collect();
    let of_strays: Vec<Vec<PackedBlob>> = strays
        .iter()
        .map(|stray| {
            let is_had = |blob: &PackedBlob| {
                let has_another = |copy: crate::index::Location| survey.is_sound(copy.pack_number);
                again.contains(&(blob.kind, blob.id))
                    || survey.index.locate_all(blob.kind, &blob.id).any(has_another)
            };
            let own = stray.blobs.iter().filter(|blob| !is_had(blob) && meant.insert((blob.kind, blob.id)));
            own.copied().collect()
        })
        .collect();
    let indexes: Vec<(&Repository, Index)> = if meant.is_empty() {
        Vec::new()
    } else {
        let load = |twin| Repository::load_index(twin, &repair.guarded.cancel).map(|index| (twin, index));
        repair.twins.sources().iter().map(load).collect::<Result<_, _>>()?
    };
    let mut origins = vec![Origin { repository: &repair.guarded.repository, index: &survey.index }];
    origins.extend(indexes.iter().map(|(repository, index)| Origin { repository, index }));
    let (mut saved, mut lost) = (Found::new(), HashSet::new());
    for kind in BlobKind::ALL {
        let named = of_packs.iter().map(|(number, blobs)| (survey.packs[*number as usize].id, blobs));
        let unnamed = strays.iter().map(|stray| stray.id).zip(&of_strays);
        let jobs = named.chain(unnamed).filter_map(|(id, blobs)| {
            let mut blobs: Vec<PackedBlob> = blobs.iter().filter(|blob| blob.kind == kind).copied().collect();
            blobs.sort_unstable_by_key(|blob| blob.offset);
            (!blobs.is_empty()).then_some((id, blobs))
        });
        let mut copier = BlobCopier::new(&repair.guarded, &origins, kind, OnLoss::Note, repair.counters);
        copier.run(jobs.collect())?;
        let copied = copier.finish()?;
        lost.extend(copied.lost.iter().map(|blob| (kind, blob.id)));
        report.packs_written += copied.packs.len() as u64;
        saved.extend(copied.packs.into_iter().map(|pack| (pack.id, pack)));
    }
    for (number, pack) in survey.packs.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if !is_lost(number) {
            continue;
        }
        let own = of_packs.get(&number).map_or(&[][..], Vec::as_slice);
        let lost_blobs = own.iter().filter(|blob| lost.contains(&(blob.kind, blob.id))).count() as u64;
        let kept_blobs = own.len() as u64 - lost_blobs + elsewhere.get(&number).copied().unwrap_or(0);
        let remedy = Remedy::Salvaged { kept_blobs, lost_blobs };
        report.note(ObjectKind::Pack, &pack.id, pack.fault.clone().unwrap_or_default(), remedy);
    }
    for (stray, own) in strays.iter().zip(&of_strays) {
        let lost_blobs = own.iter().filter(|blob| lost.contains(&(blob.kind, blob.id))).count() as u64;
        let kept_blobs = stray.blobs.len() as u64 - lost_blobs;
        let remedy = Remedy::Salvaged { kept_blobs, lost_blobs };
        report.note(ObjectKind::Pack, &stray.id, stray.cause.clone(), remedy);
    }
    Ok(saved)
}

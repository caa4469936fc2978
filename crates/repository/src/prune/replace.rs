//! The turning point of a prune: the new index is written, everything is looked at once more, the old index goes.

use super::plan::{Fate, Plan};
use super::present::{Present, pack_bytes};
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index_file::{IndexFile, IndexedPack, RetiredPack};
use crate::index_writer::IndexWriter;
use crate::layout::ObjectKind;
use larder_storage::StorageError;
use std::collections::{HashMap, HashSet};

/// Writes the new index, makes sure of everything, and removes the old index objects. Returns those that the destination
/// protects.
pub(super) fn replace_index(
    guarded: &Guarded,
    present: &Present,
    plan: &mut Plan,
    new_packs: Vec<IndexedPack>,
) -> Result<Vec<(Id, StorageError)>, RepositoryError> {
    let new_sizes: HashMap<Id, u64> =
        new_packs.iter().map(|pack| (pack.id, pack_bytes(&pack.blobs))).collect();
    let new_indexes = write_index(guarded, present, plan, new_packs)?;
    look_again(guarded, present, plan, &new_sizes, &new_indexes)?;
    let kept = guarded.remove_unlocked(ObjectKind::Index, &plan.delete_indexes, || {})?;
    let is_kept = |id: &Id| kept.iter().any(|(other, _)| other == id);
    let gone: Vec<Id> = plan.delete_indexes.iter().copied().filter(|id| !is_kept(id)).collect();
    if !gone.is_empty() {
        guarded.see_gone(ObjectKind::Index, &gone)?;
    }
    Ok(kept)
}

/// Writes index objects for all packs that stay and would be in none any more, and for the new ones.
fn write_index(
    guarded: &Guarded,
    present: &Present,
    plan: &mut Plan,
    new_packs: Vec<IndexedPack>,
) -> Result<HashSet<Id>, RepositoryError> {
    let repository = &guarded.repository;
    let mut writer = IndexWriter::new(guarded);
    let Plan { covered, fates, delete_indexes, retire, waiting, .. } = plan;
    let now = repository.clock().now();
    let mut retired = HashSet::new();
    // Read a second time rather than kept: an index object in memory is many times as large as the compact index.
    repository.read_objects(ObjectKind::Index, delete_indexes, &guarded.cancel, &mut |id, json| {
        let file: IndexFile = serde_json::from_slice(&json)
            .map_err(|cause| repository.damaged(ObjectKind::Index.path(id), cause.to_string()))?;
        let before =
            file.packs_to_delete.into_iter().map(|pack| IndexedPack { id: pack.id, blobs: pack.blobs });
        for pack in file.packs.into_iter().chain(before) {
            let number = present.numbers.get(&pack.id).map(|number| *number as usize);
            let is_kept = number.is_some_and(|number| fates[number] == Fate::Keep);
            if let Some(number) = number.filter(|_| is_kept) {
                if !std::mem::replace(&mut covered[number], true) {
                    writer.add(pack)?;
                }
            } else if (retire.contains(&pack.id) || waiting.contains(&pack.id)) && retired.insert(pack.id) {
                let since = present.retired.get(&pack.id).copied().unwrap_or(now).min(now);
                writer.retire(RetiredPack {
                    id: pack.id,
                    blobs: pack.blobs,
                    time: Some(since.to_string()),
                })?;
            }
        }
        Ok(())
    })?;
    if fates.iter().zip(covered.iter()).any(|(fate, covered)| *fate == Fate::Keep && !covered) {
        let what = "prune would leave a pack without an index, so nothing was removed".to_owned();
        return Err(RepositoryError::Internal { what });
    }
    for pack in new_packs {
        writer.add(pack)?;
    }
    writer.finish()
}

/// Looks once more, before anything is removed, whether all that is needed is there, and nobody else came or went.
fn look_again(
    guarded: &Guarded,
    present: &Present,
    plan: &Plan,
    new_sizes: &HashMap<Id, u64>,
    new_indexes: &HashSet<Id>,
) -> Result<(), RepositoryError> {
    let packs = guarded.list(ObjectKind::Pack)?;
    let all = present.index.packs().iter().zip(&present.packs).zip(&plan.fates);
    let kept =
        all.filter(|(_, fate)| **fate == Fate::Keep).map(|((pack, named), _)| (&pack.id, &named.bytes));
    for (id, bytes) in kept.chain(new_sizes) {
        if packs.get(id) != Some(bytes) {
            let path = ObjectKind::Pack.path(id);
            return Err(
                guarded.doubtful(format!("{path} is not listed in its full size although it is needed"))
            );
        }
    }
    if let Some(id) =
        packs.keys().find(|id| !present.listed.contains_key(*id) && !new_sizes.contains_key(*id))
    {
        let path = ObjectKind::Pack.path(id);
        return Err(
            guarded.doubtful(format!("somebody else wrote {path} while prune was the only one to work"))
        );
    }
    let mut indexes: HashSet<Id> = present.indexes.iter().map(|index| index.id).collect();
    indexes.extend(new_indexes);
    if guarded.list(ObjectKind::Index)?.into_keys().collect::<HashSet<_>>() != indexes {
        return Err(
            guarded.doubtful("its index objects are not the ones that were read and written".to_owned())
        );
    }
    let snapshots = guarded.list(ObjectKind::Snapshot)?;
    let same = snapshots.len() == present.snapshots.len()
        && snapshots.keys().all(|id| present.snapshots.iter().any(|snapshot| snapshot.id.0 == id.to_hex()));
    if same {
        return Ok(());
    }
    Err(guarded.doubtful("backups came or went while prune was the only one to work".to_owned()))
}

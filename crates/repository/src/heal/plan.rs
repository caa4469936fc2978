//! What a healing has to copy: whole packs where most of them is lacking, single blobs where little is.

use crate::blob::{BlobKind, PackedBlob};
use crate::copy_blobs::Job;
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::{Index, IndexBuilder, Location};
use crate::index_file::IndexFile;
use crate::layout::ObjectKind;
use crate::prune::pack_bytes;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::walk_blobs::mark;
use larder_model::Cancel;
use std::collections::{HashMap, HashSet};

/// What a repository holds: blobs that the index names in packs that are there in full.
pub(super) struct Held {
    pub(super) index: Index,
}

impl Held {
    pub(super) fn load(guarded: &Guarded) -> Result<Self, RepositoryError> {
        // The index before the packs: what a backup adds meanwhile is then not taken for missing.
        let names: Vec<Id> = guarded.list(ObjectKind::Index)?.into_keys().collect();
        let packs = guarded.list(ObjectKind::Pack)?;
        Self::read(&guarded.repository, &names, &packs, &guarded.cancel, &mut |_| {})
    }

    /// Reads the index and holds it against a list of the packs; `lost` is told of those that are not there in full.
    pub(super) fn read(
        repository: &Repository,
        names: &[Id],
        packs: &HashMap<Id, u64>,
        cancel: &Cancel,
        lost: &mut dyn FnMut(&Id),
    ) -> Result<Self, RepositoryError> {
        let mut builder = IndexBuilder::default();
        repository.read_objects(ObjectKind::Index, names, cancel, &mut |id, json| {
            let file: IndexFile = serde_json::from_slice(&json)
                .map_err(|cause| repository.damaged(ObjectKind::Index.path(id), cause.to_string()))?;
            for pack in file.packs {
                if packs.get(&pack.id) == Some(&pack_bytes(&pack.blobs)) {
                    builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
                } else {
                    lost(&pack.id);
                }
            }
            Ok(())
        })?;
        Ok(Self { index: builder.build() })
    }
}

/// What is to be copied.
#[derive(Default)]
pub(super) struct Plan {
    /// Packs that are copied as they are.
    pub(super) whole: Vec<Id>,
    /// Blobs that are copied into new packs.
    pub(super) parts: HashMap<BlobKind, Vec<Job>>,
}

/// How much of a pack is lacking.
#[derive(Clone, Copy, Default)]
struct Share {
    lacking_bytes: u64,
    all_bytes: u64,
}

impl Plan {
    /// Chooses what is copied from a source, so that these backups are complete.
    pub(super) fn make(
        source: &Repository,
        index: &Index,
        held: &Held,
        backups: &[Snapshot],
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        let needed = mark(source, index, backups, cancel)?;
        // Of several copies the first counts: the table is sorted by name.
        let is_lacking = |place: &Location, before: Option<Id>| {
            let PackedBlob { kind, id, .. } = place.blob;
            before != Some(id) && needed.contains(index, kind, &id) && !held.index.contains(kind, &id)
        };
        let mut shares = vec![Share::default(); index.packs().len()];
        for kind in BlobKind::ALL {
            let mut before = None;
            for place in index.blobs(kind) {
                let share = &mut shares[place.pack_number as usize];
                let bytes = u64::from(place.blob.length);
                share.all_bytes += bytes;
                share.lacking_bytes += if is_lacking(&place, before) { bytes } else { 0 };
                before = Some(place.blob.id);
            }
        }
        // A pack that is copied whole may bring what another one was chosen for; that costs little and is seldom.
        let is_whole: Vec<bool> =
            shares.iter().map(|share| share.lacking_bytes * 2 > share.all_bytes).collect();
        let mut plan = Self::default();
        let whole = index.packs().iter().zip(&is_whole).filter(|(_, whole)| **whole).map(|(pack, _)| pack.id);
        let mut seen = HashSet::new();
        plan.whole = whole.filter(|id| seen.insert(*id)).collect();
        for kind in BlobKind::ALL {
            let mut parts: HashMap<u32, Vec<PackedBlob>> = HashMap::new();
            let mut before = None;
            for place in index.blobs(kind) {
                if is_lacking(&place, before) && !is_whole[place.pack_number as usize] {
                    parts.entry(place.pack_number).or_default().push(place.blob);
                }
                before = Some(place.blob.id);
            }
            let mut parts: Vec<_> = parts.into_iter().collect();
            parts.sort_unstable_by_key(|(number, _)| *number);
            let jobs = parts.into_iter().map(|(number, mut blobs)| {
                blobs.sort_unstable_by_key(|blob| blob.offset);
                (index.packs()[number as usize].id, blobs)
            });
            plan.parts.insert(kind, jobs.collect());
        }
        Ok(plan)
    }
}

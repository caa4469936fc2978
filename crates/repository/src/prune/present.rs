//! What lies in a repository when a prune begins: one listing of everything, and what the index says of it.

use crate::blob::PackedBlob;
use crate::crypto::OVERHEAD_BYTES;
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::{Index, IndexBuilder};
use crate::index_file::{IndexFile, IndexedBlob};
use crate::layout::ObjectKind;
use crate::pack::LENGTH_BYTES;
use crate::snapshot::Snapshot;
use jiff::Timestamp;
use std::collections::HashMap;

/// Returns the size that a pack with these blobs has: blobs, header, the header's length.
pub(crate) fn pack_bytes(blobs: &[IndexedBlob]) -> u64 {
    let entry = |blob: &IndexedBlob| if blob.uncompressed_length == 0 { 37 } else { 41 };
    let blobs: u64 = blobs.iter().map(|blob| u64::from(blob.length) + entry(blob)).sum();
    blobs + (OVERHEAD_BYTES + LENGTH_BYTES) as u64
}

/// A pack that an index object names.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedPack {
    /// The size it has by the index, in bytes.
    pub(super) bytes: u64,
    /// Whether it is there in that size.
    pub(super) is_sound: bool,
    digest: u64,
}

/// An index object.
#[derive(Debug)]
pub(super) struct NamedIndex {
    pub(super) id: Id,
    pub(super) blobs: usize,
    /// The numbers of the packs that it names.
    pub(super) packs: Vec<u32>,
    /// The packs that it says are retired.
    pub(super) retired: Vec<Id>,
}

/// How packs that were retired are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retired {
    /// Nothing in them is in the repository.
    Aside,
    /// They are packs as all others: a backup needs one of them.
    Revived,
}

/// Everything that lies in a repository.
#[derive(Debug)]
pub(super) struct Present {
    /// Packs that are there, with their sizes in bytes.
    pub(super) listed: HashMap<Id, u64>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) index: Index,
    /// What the index says of each pack, by the pack's number in it.
    pub(super) packs: Vec<NamedPack>,
    pub(super) numbers: HashMap<Id, u32>,
    pub(super) indexes: Vec<NamedIndex>,
    /// Packs that were retired, and since when; one may be named again.
    pub(super) retired: HashMap<Id, Timestamp>,
    mode: Retired,
}

impl Present {
    /// Lists everything at once, then reads all backups and all index objects.
    ///
    /// # Errors
    /// The first object that cannot be read: on a part of the index or of the backups nothing may be decided.
    pub(super) fn load(guarded: &Guarded, mode: Retired) -> Result<Self, RepositoryError> {
        let (repository, cancel) = (&guarded.repository, &guarded.cancel);
        // Later each folder is listed by itself: two answers to different questions seldom lie alike.
        let objects = repository.wait_for(cancel, repository.storage().list(""))?;
        let of_kind = |kind: ObjectKind| {
            objects.iter().filter_map(move |object| Some((kind.id_of(&object.path)?, object.size_bytes)))
        };
        let mut this = Self {
            listed: of_kind(ObjectKind::Pack).collect(),
            snapshots: Vec::new(),
            index: Index::default(),
            packs: Vec::new(),
            numbers: HashMap::new(),
            indexes: Vec::new(),
            retired: HashMap::new(),
            mode,
        };
        let names: Vec<Id> = of_kind(ObjectKind::Snapshot).map(|(id, _)| id).collect();
        repository.read_objects(ObjectKind::Snapshot, &names, cancel, &mut |id, json| {
            let snapshot = Snapshot::from_json(id, &json);
            let damaged = |cause| repository.damaged(ObjectKind::Snapshot.path(id), cause);
            this.snapshots.push(snapshot.map_err(damaged)?);
            Ok(())
        })?;
        let names: Vec<Id> = of_kind(ObjectKind::Index).map(|(id, _)| id).collect();
        let mut builder = IndexBuilder::default();
        repository.read_objects(ObjectKind::Index, &names, cancel, &mut |id, json| {
            let damaged = |cause: String| repository.damaged(ObjectKind::Index.path(id), cause);
            let file: IndexFile = serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))?;
            this.add(&mut builder, id, &file).map_err(damaged)
        })?;
        this.index = builder.build();
        Ok(this)
    }

    /// Says whether an index object names a pack, or says of it that it is retired.
    pub(super) fn is_known(&self, pack: &Id) -> bool {
        self.numbers.contains_key(pack) || self.retired.contains_key(pack)
    }

    fn add(&mut self, builder: &mut IndexBuilder, id: &Id, file: &IndexFile) -> Result<(), String> {
        let blobs = file.packs.iter().map(|pack| pack.blobs.len()).sum();
        let mut packs = Vec::with_capacity(file.packs.len());
        for pack in &file.packs {
            packs.push(self.add_pack(builder, &pack.id, &pack.blobs)?);
        }
        let mut retired = Vec::with_capacity(file.packs_to_delete.len());
        for pack in &file.packs_to_delete {
            // Without a time it was retired before anybody kept one.
            let time = pack.time.as_deref().map_or(Ok(Timestamp::UNIX_EPOCH), str::parse);
            let time = time.map_err(|cause| format!("a retired pack has a malformed time: {cause}"))?;
            let since = self.retired.entry(pack.id).or_insert(time);
            *since = time.max(*since);
            retired.push(pack.id);
            if self.mode == Retired::Revived {
                self.add_pack(builder, &pack.id, &pack.blobs)?;
            }
        }
        self.indexes.push(NamedIndex { id: *id, blobs, packs, retired });
        Ok(())
    }

    /// Adds a pack, once however many index objects name it; returns its number.
    fn add_pack(
        &mut self,
        builder: &mut IndexBuilder,
        pack: &Id,
        blobs: &[IndexedBlob],
    ) -> Result<u32, String> {
        let digest = digest(blobs);
        if let Some(number) = self.numbers.get(pack) {
            if self.packs.get(*number as usize).is_some_and(|known| known.digest == digest) {
                return Ok(*number);
            }
            let other = ObjectKind::Pack.path(pack);
            return Err(format!("it lists other blobs in {other} than another index object does"));
        }
        let number = u32::try_from(self.packs.len()).map_err(|_| "it names too many packs".to_owned())?;
        let bytes = pack_bytes(blobs);
        let is_sound = self.listed.get(pack) == Some(&bytes);
        builder.add(*pack, blobs.iter().map(PackedBlob::from));
        self.packs.push(NamedPack { bytes, is_sound, digest });
        self.numbers.insert(*pack, number);
        Ok(number)
    }
}

/// Returns a number that two lists of the same blobs share, in whatever order.
fn digest(blobs: &[IndexedBlob]) -> u64 {
    let one = |blob: &IndexedBlob| {
        let place = u64::from(blob.offset) << 32 | u64::from(blob.length);
        (blob.id.prefix() ^ place.rotate_left(17)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    };
    blobs.iter().map(one).fold(blobs.len() as u64, u64::wrapping_add)
}

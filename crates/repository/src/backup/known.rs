//! Which destinations hold which blobs: by their index when the backup began, and by what it stored since.

use crate::blob::BlobKind;
use crate::id::Id;
use crate::index::Index;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

/// A set of destinations, bit i being the i-th.
pub(super) type Targets = u32;
/// The most destinations of one backup.
pub(super) const MOST_TARGETS: usize = 32;

const SHARDS: usize = 64;

/// Names are hashes already.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Shard = Mutex<HashMap<Id, Targets, BuildHasherDefault<IdHasher>>>;

/// The blobs of all destinations of a backup.
#[derive(Debug)]
pub(super) struct Known {
    indexes: Vec<Option<Index>>,
    fresh: [Vec<Shard>; 2],
}

impl Known {
    /// Begins with the index of each destination; `None` for one that is left out.
    pub(super) fn new(indexes: Vec<Option<Index>>) -> Self {
        let shards = || (0..SHARDS).map(|_| Shard::default()).collect();
        Self { indexes, fresh: [shards(), shards()] }
    }

    pub(super) fn index(&self, target: usize) -> Option<&Index> {
        self.indexes.get(target)?.as_ref()
    }

    fn indexed(&self, kind: BlobKind, id: &Id, among: Targets) -> Targets {
        let mut held = 0;
        for (target, index) in self.indexes.iter().enumerate() {
            let bit = 1 << target;
            if among & bit != 0 && index.as_ref().is_some_and(|index| index.contains(kind, id)) {
                held |= bit;
            }
        }
        held
    }

    fn shard(&self, kind: BlobKind, id: &Id) -> &Shard {
        let [data, trees] = &self.fresh;
        let shards = if kind == BlobKind::Data { data } else { trees };
        &shards[usize::from(id.as_bytes()[31]) % SHARDS]
    }

    /// Returns those of the destinations that lack a blob, and makes the caller the one who stores it there.
    pub(super) fn claim(&self, kind: BlobKind, id: &Id, live: Targets) -> Targets {
        let lacking = live & !self.indexed(kind, id, live);
        if lacking == 0 {
            return 0;
        }
        let mut shard = self.shard(kind, id).lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = shard.entry(*id).or_default();
        let mine = lacking & !*claimed;
        *claimed |= mine;
        mine
    }

    /// Says whether every one of the destinations holds a blob or is about to.
    pub(super) fn everywhere(&self, kind: BlobKind, id: &Id, live: Targets) -> bool {
        let lacking = live & !self.indexed(kind, id, live);
        if lacking == 0 {
            return true;
        }
        let shard = self.shard(kind, id).lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(id).is_some_and(|claimed| lacking & !claimed == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::PackedBlob;
    use crate::index::IndexBuilder;

    fn index_of(id: Id) -> Index {
        let mut builder = IndexBuilder::default();
        let blob = PackedBlob { id, kind: BlobKind::Data, offset: 0, length: 40, uncompressed_length: None };
        builder.add(Id::of(b"pack"), [blob]);
        builder.build()
    }

    #[test]
    fn each_blob_is_claimed_once_for_each_destination_that_lacks_it() {
        let (old, new) = (Id::of(b"old"), Id::of(b"new"));
        let known = Known::new(vec![Some(index_of(old)), Some(Index::default())]);
        assert!(!known.everywhere(BlobKind::Data, &old, 0b11));
        assert_eq!(known.claim(BlobKind::Data, &old, 0b11), 0b10);
        assert_eq!(known.claim(BlobKind::Data, &old, 0b11), 0);
        assert!(known.everywhere(BlobKind::Data, &old, 0b11));
        assert_eq!(known.claim(BlobKind::Data, &new, 0b11), 0b11);
        assert_eq!(known.claim(BlobKind::Data, &new, 0b11), 0);
        assert_eq!(known.claim(BlobKind::Tree, &new, 0b01), 0b01, "a tree is not a piece of a file");
        assert_eq!(known.claim(BlobKind::Tree, &new, 0b11), 0b10);
    }
}

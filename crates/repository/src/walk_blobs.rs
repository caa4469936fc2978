//! Which blobs a set of backups needs: each tree is visited once, however many backups hold it.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree_reader::TreeReader;
use larder_model::Cancel;

/// A set of blobs of an index, one bit for each place.
#[derive(Debug)]
pub(crate) struct BlobSet {
    data: Vec<u64>,
    trees: Vec<u64>,
}

impl BlobSet {
    pub(crate) fn new(index: &Index) -> Self {
        let words = |kind| vec![0; index.blob_count(kind).div_ceil(64)];
        Self { data: words(BlobKind::Data), trees: words(BlobKind::Tree) }
    }

    fn words(&mut self, kind: BlobKind) -> &mut Vec<u64> {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        }
    }

    /// Adds a blob; says whether it is new to the set, or `None` where the index does not know it.
    pub(crate) fn insert(&mut self, index: &Index, kind: BlobKind, id: &Id) -> Option<bool> {
        let position = index.position(kind, id)?;
        let word = self.words(kind).get_mut(position / 64)?;
        let bit = 1 << (position % 64);
        let new = *word & bit == 0;
        *word |= bit;
        Some(new)
    }

    pub(crate) fn contains(&self, index: &Index, kind: BlobKind, id: &Id) -> bool {
        let words = match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        };
        index
            .position(kind, id)
            .is_some_and(|at| words.get(at / 64).is_some_and(|w| w & (1 << (at % 64)) != 0))
    }
}

/// Marks every blob that backups need.
///
/// # Errors
/// The first tree that cannot be read and the first blob that is in no index: whoever deletes may not guess.
pub(crate) fn mark(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
    cancel: &Cancel,
) -> Result<BlobSet, RepositoryError> {
    let mut set = BlobSet::new(index);
    let mut trees = TreeReader::new(repository, index, cancel)?;
    let missing = |kind: BlobKind, id: &Id, snapshot: &Snapshot| RepositoryError::Missing {
        object: format!("the {} blob {id} of the backup {}", kind.as_str(), snapshot.id),
        destination: repository.describe(),
        remedy: "nothing was removed; run a check to see what is damaged".to_owned(),
    };
    for snapshot in snapshots {
        let mut pending = vec![snapshot.tree];
        while let Some(id) = pending.pop() {
            cancel.check()?;
            match set.insert(index, BlobKind::Tree, &id) {
                None => return Err(missing(BlobKind::Tree, &id, snapshot)),
                Some(false) => continue,
                Some(true) => {}
            }
            let tree = trees.load(index, &id)?;
            for data in tree.content() {
                set.insert(index, BlobKind::Data, data)
                    .ok_or_else(|| missing(BlobKind::Data, data, snapshot))?;
            }
            // The last is taken first: names then come in their order, as they lie in packs.
            pending.extend(tree.nodes.iter().rev().filter_map(|node| node.subtree));
        }
    }
    Ok(set)
}

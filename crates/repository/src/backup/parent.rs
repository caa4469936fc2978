//! The backup before: which one it is, and its trees, read in the order in which the walk comes to them.

use super::options::ParentRule;
use crate::blob::BlobKind;
use crate::compress::Decompressor;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::node::Node;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree::Tree;
use bytes::Bytes;
use larder_model::{Cancel, Entry, EntryKind};
use std::collections::VecDeque;
use std::time::Duration;

/// Trees that are read after each other mostly lie beside each other, so more is fetched at once than one tree.
const BLOCK_BYTES: u32 = 512 << 10;
const BLOCKS: usize = 8;

/// Finds the newest backup to which a rule applies. One that cannot be read is passed over: a parent only saves work.
pub(super) fn find_parent(
    repository: &Repository,
    rule: &ParentRule,
    cancel: &Cancel,
) -> Result<Option<Snapshot>, RepositoryError> {
    let names: Vec<Id> = repository.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
    let mut newest: Option<Snapshot> = None;
    repository.read_each_snapshot(&names, cancel, &mut |_, read| {
        let snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) if error.proves_damage() => return Ok(()),
            Err(error) => return Err(error),
        };
        let fits = rule.tags.iter().all(|tag| snapshot.tags.contains(tag))
            && rule.paths.as_ref().is_none_or(|paths| *paths == snapshot.paths)
            && rule.hostname.as_ref().is_none_or(|hostname| *hostname == snapshot.hostname);
        if fits && newest.as_ref().is_none_or(|other| other.time < snapshot.time) {
            newest = Some(snapshot);
        }
        Ok(())
    })?;
    Ok(newest)
}

/// Reads the trees of the backup before.
pub(super) struct ParentTrees {
    repository: Repository,
    root: Id,
    /// Where the last known blob of each pack ends, by the pack's number; no more than that may be asked for.
    ends: Vec<u32>,
    blocks: VecDeque<(u32, u32, Bytes)>,
    /// How long one read may take; after one that took longer nothing more is read.
    patience: Duration,
    given_up: bool,
    decompressor: Decompressor,
}

impl ParentTrees {
    pub(super) fn new(repository: Repository, index: &Index, root: Id, patience: Duration) -> Option<Self> {
        let mut ends = vec![0; index.packs().len()];
        for location in index.blobs(BlobKind::Tree) {
            if let Some(end) = ends.get_mut(location.pack_number as usize) {
                *end = location.blob.offset.saturating_add(location.blob.length).max(*end);
            }
        }
        let decompressor = Decompressor::new().ok()?;
        let blocks = VecDeque::new();
        Some(Self { repository, root, ends, blocks, patience, given_up: false, decompressor })
    }

    /// Reads the root.
    pub(super) fn root(&mut self, index: &Index) -> Option<ParentTree> {
        self.load(index, &self.root.clone())
    }

    /// Reads a tree; `None` where that fails, for its files can as well be read anew.
    pub(super) fn load(&mut self, index: &Index, id: &Id) -> Option<ParentTree> {
        let location = index.locate(BlobKind::Tree, id)?;
        let mut sealed = self.sealed(&location)?;
        let mut json = Vec::new();
        self.repository.open_blob(&location.blob, &mut sealed, &mut self.decompressor, &mut json).ok()?;
        Some(ParentTree { nodes: Tree::from_json(&json).ok()?.nodes, cursor: 0 })
    }

    fn sealed(&mut self, location: &Location) -> Option<Vec<u8>> {
        let mut from = location.blob.offset;
        let end = from.checked_add(location.blob.length)?;
        let mut sealed = Vec::with_capacity(location.blob.length as usize);
        while from < end {
            let (first, block) = self.block(location, from / BLOCK_BYTES)?;
            let until = end.min(first + u32::try_from(block.len()).ok()?);
            sealed.extend_from_slice(block.get((from - first) as usize..(until - first) as usize)?);
            if until <= from {
                return None;
            }
            from = until;
        }
        Some(sealed)
    }

    /// Returns a block of a pack and the offset at which it begins.
    fn block(&mut self, location: &Location, number: u32) -> Option<(u32, Bytes)> {
        let first = number * BLOCK_BYTES;
        let pack = location.pack_number;
        if let Some(at) = self.blocks.iter().position(|(p, n, _)| *p == pack && *n == number) {
            let block = self.blocks.remove(at)?;
            let bytes = block.2.clone();
            self.blocks.push_front(block);
            return Some((first, bytes));
        }
        let until = first.saturating_add(BLOCK_BYTES).min(*self.ends.get(pack as usize)?);
        let path = ObjectKind::Pack.path(&location.pack);
        if self.given_up {
            return None;
        }
        let read = async {
            let read = self.repository.storage().get_range(&path, u64::from(first)..u64::from(until));
            tokio::time::timeout(self.patience, read).await
        };
        let Ok(bytes) = self.repository.handle().block_on(read) else {
            self.given_up = true;
            return None;
        };
        let bytes = bytes.ok()?;
        self.blocks.truncate(BLOCKS - 1);
        self.blocks.push_front((pack, number, bytes.clone()));
        Some((first, bytes))
    }
}

/// One directory of the backup before.
#[derive(Debug)]
pub(super) struct ParentTree {
    nodes: Vec<Node>,
    cursor: usize,
}

impl ParentTree {
    /// Gives up its entries.
    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Finds an entry; quickest when asked in the order of names.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<&Node> {
        let here = self.nodes.get(self.cursor).is_some_and(|node| node.entry.name == name);
        let at = if here {
            self.cursor
        } else {
            self.nodes.binary_search_by(|node| node.entry.name.as_slice().cmp(name)).ok()?
        };
        self.cursor = at + 1;
        self.nodes.get(at)
    }
}

/// Says whether a file is as it was: size, times of change of content and of metadata, inode, and the kind itself.
pub(super) fn is_unchanged(entry: &Entry, before: &Node) -> bool {
    let (now, then) = (&entry.metadata, &before.entry.metadata);
    entry.kind == EntryKind::File
        && before.entry.kind == EntryKind::File
        && now.size == then.size
        && now.modified == then.modified
        && now.changed == then.changed
        && now.inode == then.inode
}

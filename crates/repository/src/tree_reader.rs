//! Reading many trees: neighbours in a pack come with one read.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::repository::Repository;
use crate::tree::Tree;
use crate::unseal::Unsealer;
use bytes::Bytes;
use larder_model::Cancel;
use larder_storage::StorageErrorKind;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes that are read at once; trees that were written together lie together.
const BLOCK_BYTES: u32 = 512 << 10;
/// Blocks that are kept.
const BLOCKS: usize = 12;

/// Reads trees one after another and keeps the blocks of packs that it read last.
#[derive(Debug)]
pub(crate) struct TreeReader {
    repository: Repository,
    cancel: Cancel,
    /// Where the last known tree of each pack ends, by the pack's number; no more than that may be asked for.
    ends: Vec<u32>,
    blocks: VecDeque<(u32, u32, Bytes)>,
    unsealer: Unsealer,
    limit: Option<Duration>,
}

impl TreeReader {
    pub(crate) fn new(
        repository: &Repository,
        index: &Index,
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        let mut ends = vec![0u32; index.packs().len()];
        for location in index.blobs(BlobKind::Tree) {
            if let Some(end) = ends.get_mut(location.pack_number as usize) {
                *end = location.blob.offset.saturating_add(location.blob.length).max(*end);
            }
        }
        let unsealer = Unsealer::new(repository.key())?;
        let (repository, cancel) = (repository.clone(), cancel.clone());
        Ok(Self { repository, cancel, ends, blocks: VecDeque::new(), unsealer, limit: None })
    }

    /// Makes it an error that the destination gives nothing for so long.
    pub(crate) const fn within(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Reads a tree; where it lies more than once, a damaged or missing copy is passed over.
    pub(crate) fn load(&mut self, index: &Index, id: &Id) -> Result<Tree, RepositoryError> {
        let mut failure = RepositoryError::Missing {
            object: format!("the tree {id}"),
            destination: self.repository.describe(),
            remedy: "run a check to see which backups need it".to_owned(),
        };
        for location in index.locate_all(BlobKind::Tree, id) {
            match self.load_at(&location) {
                Err(error) if !error.is_canceled() => failure = error,
                outcome => return outcome,
            }
        }
        Err(failure)
    }

    fn load_at(&mut self, location: &Location) -> Result<Tree, RepositoryError> {
        // A short read fails for the whole block although only another tree of it may be gone.
        let mut sealed = match self.sealed(location) {
            Err(RepositoryError::Damaged { .. }) => self.sealed_alone(location)?,
            Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::Damaged => {
                self.sealed_alone(location)?
            }
            outcome => outcome?,
        };
        let opened = self.unsealer.open(&location.blob, &mut sealed);
        opened.and_then(Tree::from_json).map_err(|cause| {
            let pack = ObjectKind::Pack.path(&location.pack);
            self.repository.damaged(format!("the tree {} in {pack}", location.blob.id), cause)
        })
    }

    fn sealed_alone(&self, location: &Location) -> Result<Vec<u8>, RepositoryError> {
        let from = u64::from(location.blob.offset);
        let range = from..from + u64::from(location.blob.length);
        let path = ObjectKind::Pack.path(&location.pack);
        let bytes = self.repository.fetch_range_within(&path, range, self.limit, &self.cancel)?;
        Ok(bytes.to_vec())
    }

    fn sealed(&mut self, location: &Location) -> Result<Vec<u8>, RepositoryError> {
        let mut from = location.blob.offset;
        let end = from.saturating_add(location.blob.length);
        let mut sealed = Vec::with_capacity(location.blob.length.min(BLOCK_BYTES) as usize);
        while from < end {
            let number = from / BLOCK_BYTES;
            let block = self.block(location, number)?;
            let within = (from - number * BLOCK_BYTES) as usize;
            let rest = block.get(within..).filter(|rest| !rest.is_empty());
            let rest = rest.ok_or_else(|| {
                self.repository.damaged(ObjectKind::Pack.path(&location.pack), "it is too short")
            })?;
            let part = &rest[..rest.len().min((end - from) as usize)];
            sealed.extend_from_slice(part);
            from += u32::try_from(part.len()).unwrap_or(u32::MAX);
        }
        Ok(sealed)
    }

    fn block(&mut self, location: &Location, number: u32) -> Result<Bytes, RepositoryError> {
        let pack = location.pack_number;
        let known = self.blocks.iter().position(|(p, n, _)| (*p, *n) == (pack, number));
        if let Some(block) = known.and_then(|at| self.blocks.remove(at)) {
            let bytes = block.2.clone();
            self.blocks.push_front(block);
            return Ok(bytes);
        }
        let first = number * BLOCK_BYTES;
        let last = self.ends.get(pack as usize).copied().unwrap_or(0);
        let until = first.saturating_add(BLOCK_BYTES).min(last);
        let path = ObjectKind::Pack.path(&location.pack);
        let range = u64::from(first)..u64::from(until);
        let bytes = self.repository.fetch_range_within(&path, range, self.limit, &self.cancel)?;
        self.blocks.truncate(BLOCKS - 1);
        self.blocks.push_front((pack, number, bytes.clone()));
        Ok(bytes)
    }
}

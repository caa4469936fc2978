//! Writing index objects: packs are collected, and each object is written once it is full.

use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index_file::{IndexFile, IndexedPack, RetiredPack};
use crate::layout::ObjectKind;
use std::collections::HashSet;

/// Blobs of one index object at the most, as the write path has it.
pub(crate) const INDEX_BLOBS: usize = 50_000;

/// Collects packs into index objects and writes each once it is full.
pub(crate) struct IndexWriter<'a> {
    guarded: &'a Guarded,
    file: IndexFile,
    blobs: usize,
    written: HashSet<Id>,
}

impl<'a> IndexWriter<'a> {
    pub(crate) fn new(guarded: &'a Guarded) -> Self {
        Self { guarded, file: IndexFile::default(), blobs: 0, written: HashSet::new() }
    }

    pub(crate) fn add(&mut self, pack: IndexedPack) -> Result<(), RepositoryError> {
        self.blobs += pack.blobs.len();
        self.file.packs.push(pack);
        if self.blobs >= INDEX_BLOBS { self.flush() } else { Ok(()) }
    }

    pub(crate) fn retire(&mut self, pack: RetiredPack) -> Result<(), RepositoryError> {
        self.blobs += pack.blobs.len();
        self.file.packs_to_delete.push(pack);
        if self.blobs >= INDEX_BLOBS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), RepositoryError> {
        self.blobs = 0;
        let file = std::mem::take(&mut self.file);
        if file.packs.is_empty() && file.packs_to_delete.is_empty() {
            return Ok(());
        }
        let (id, sealed) = self.guarded.repository.seal_value(&file)?;
        self.guarded.put(ObjectKind::Index, &id, sealed)?;
        self.written.insert(id);
        Ok(())
    }

    /// Writes what is left; returns the names of all objects written.
    pub(crate) fn finish(mut self) -> Result<HashSet<Id>, RepositoryError> {
        self.flush()?;
        Ok(self.written)
    }
}

//! Backups without what is lost of them: new directories, then a new snapshot object for each.

use super::{DamagedBackups, Repair, RepairReport};
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::id::Id;
use crate::index::Index;
use crate::index_file::{IndexedBlob, IndexedPack};
use crate::index_writer::IndexWriter;
use crate::layout::ObjectKind;
use crate::pack::PackBuilder;
use crate::snapshot::SnapshotFile;
use crate::tree::Tree;
use bytes::Bytes;
use larder_model::BackupId;
use std::collections::HashSet;

/// The tag of a backup that does not hold everything it should.
const INCOMPLETE: &str = "incomplete";

/// Stores directories that are not in the repository yet.
pub(super) struct NewTrees<'a> {
    guarded: &'a Guarded,
    index: &'a Index,
    builder: PackBuilder,
    stored: HashSet<Id>,
    packs: Vec<IndexedPack>,
}

impl<'a> NewTrees<'a> {
    pub(super) fn new(guarded: &'a Guarded, index: &'a Index) -> Self {
        let builder = PackBuilder::new(BlobKind::Tree, Vec::new());
        Self { guarded, index, builder, stored: HashSet::new(), packs: Vec::new() }
    }

    /// Stores a directory, once; returns its name.
    pub(super) fn store(&mut self, tree: &Tree) -> Result<Id, RepositoryError> {
        let json = tree.to_json();
        let id = Id::of(&json);
        if self.index.contains(BlobKind::Tree, &id) || !self.stored.insert(id) {
            return Ok(id);
        }
        let sealed = self.guarded.repository.key().seal_copy(&json)?;
        if !self.builder.fits(sealed.len()) {
            self.flush()?;
        }
        self.builder.add(id, &sealed, None);
        Ok(id)
    }

    fn flush(&mut self) -> Result<(), RepositoryError> {
        let full = std::mem::replace(&mut self.builder, PackBuilder::new(BlobKind::Tree, Vec::new()));
        if full.is_empty() {
            return Ok(());
        }
        let pack = full.finish(self.guarded.repository.key())?;
        self.guarded.put(ObjectKind::Pack, &pack.id, Bytes::from(pack.bytes))?;
        let blobs = pack.blobs.iter().map(IndexedBlob::from).collect();
        self.packs.push(IndexedPack { id: pack.id, blobs });
        Ok(())
    }

    /// Writes what is left, and the index for all of it; returns how many packs were written.
    pub(super) fn finish(mut self) -> Result<u64, RepositoryError> {
        self.flush()?;
        let packs = self.packs.len() as u64;
        let mut writer = IndexWriter::new(self.guarded);
        self.packs.into_iter().try_for_each(|pack| writer.add(pack))?;
        writer.finish()?;
        Ok(packs)
    }
}

/// Writes new snapshot objects for damaged backups (name, JSON, the tree of what is left), and removes the old ones where
/// that was asked for.
pub(super) fn backups(
    repair: &Repair<'_>,
    damaged: Vec<(Id, Vec<u8>, Option<Id>)>,
    report: &mut RepairReport,
) -> Result<(), RepositoryError> {
    let (guarded, kind) = (&repair.guarded, ObjectKind::Snapshot);
    let present = guarded.repository.snapshots_but_damaged(&guarded.cancel)?;
    let mut removable = Vec::new();
    for (id, json, rest) in damaged {
        removable.push(id);
        let Some(tree) = rest else { continue };
        let malformed =
            |cause: serde_json::Error| guarded.repository.damaged(kind.path(&id), cause.to_string());
        let mut file: SnapshotFile = serde_json::from_slice(&json).map_err(malformed)?;
        file.tree = tree;
        file.original = file.original.or(Some(id));
        if !file.tags.iter().any(|tag| tag == INCOMPLETE) {
            file.tags.push(INCOMPLETE.to_owned());
        }
        let original = file.original.map(|id| BackupId(id.to_hex()));
        // A repair that broke off, or that was made before, has written it already.
        if present.iter().any(|other| other.tree == tree && other.original == original) {
            continue;
        }
        let (new, sealed) = guarded.repository.seal_value(&file)?;
        guarded.put(kind, &new, sealed)?;
        report.rewritten.push((BackupId(id.to_hex()), BackupId(new.to_hex())));
    }
    if repair.options.damaged_backups == DamagedBackups::Replace {
        guarded.remove(kind, &removable, || {})?;
        report.removed = removable.iter().map(|id| BackupId(id.to_hex())).collect();
    }
    Ok(())
}

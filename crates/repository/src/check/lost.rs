//! Which files of which backups are lost when certain blobs are.

use super::trees::{Judge, trace};
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use larder_model::{BackupId, Cancel};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Blobs that cannot be had any more, by their names or by the packs that they were in.
#[derive(Clone, Debug, Default)]
pub struct LostBlobs {
    blobs: HashSet<(BlobKind, Id)>,
    packs: HashSet<Id>,
}

/// A file or directory of a backup that cannot be restored.
#[derive(Clone, Copy, Debug)]
pub struct LostEntry<'a> {
    /// The backup.
    pub snapshot: &'a BackupId,
    /// The path in it, beginning with `/`; `/` alone is all of the backup.
    pub path: &'a [u8],
    /// [`BlobKind::Data`] for a file that lacks some of its bytes, [`BlobKind::Tree`] for a directory that is lost with all
    /// that was in it, which nobody knows any more.
    pub kind: BlobKind,
    /// The first blob that it lacks.
    pub blob: Id,
}

impl LostBlobs {
    /// Makes a set of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a blob every copy of which is lost.
    pub fn add_blob(&mut self, kind: BlobKind, id: Id) {
        self.blobs.insert((kind, id));
    }

    /// Adds a pack; a blob of it is lost unless another pack of the index that is not in the set holds it, too.
    pub fn add_pack(&mut self, id: Id) {
        self.packs.insert(id);
    }

    /// Says whether a blob is lost; one that the index does not know is.
    #[must_use]
    pub fn contains(&self, index: &Index, kind: BlobKind, id: &Id) -> bool {
        self.blobs.contains(&(kind, *id))
            || index.locate_all(kind, id).all(|place| self.packs.contains(&place.pack))
    }
}

struct ByLoss<'a> {
    index: &'a Index,
    lost: &'a LostBlobs,
    visit: &'a mut dyn FnMut(LostEntry<'_>) -> ControlFlow<()>,
    stopped: bool,
}

impl Judge for ByLoss<'_> {
    type Fault = (BlobKind, Id);

    fn blob(&mut self, kind: BlobKind, id: &Id) -> Option<Self::Fault> {
        self.lost.contains(self.index, kind, id).then_some((kind, *id))
    }

    fn unreadable(&mut self, tree: &Id, _: &RepositoryError) -> Self::Fault {
        (BlobKind::Tree, *tree)
    }

    fn lose(
        &mut self,
        (kind, blob): Self::Fault,
        snapshot: &Snapshot,
        path: &[u8],
    ) -> Result<(), RepositoryError> {
        let entry = LostEntry { snapshot: &snapshot.id, path, kind, blob };
        self.stopped = (self.visit)(entry).is_break();
        if self.stopped { Err(larder_model::Canceled.into()) } else { Ok(()) }
    }
}

impl Repository {
    /// Calls `visit` with every file and directory of backups that cannot be restored when blobs are lost, until it breaks
    /// off: precisely those, each once for each backup, in the order of their paths. Blobs that the index does not know,
    /// and trees that turn out to be unreadable, count as lost, too.
    ///
    /// Memory is bounded by the index, not by the number of files.
    ///
    /// # Errors
    /// [`RepositoryError::Canceled`]; what is lost is no error.
    pub fn lost_entries(
        &self,
        index: &Index,
        snapshots: &[Snapshot],
        lost: &LostBlobs,
        cancel: &Cancel,
        visit: &mut dyn FnMut(LostEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), RepositoryError> {
        let mut judge = ByLoss { index, lost, visit, stopped: false };
        match trace(self, index, snapshots, &mut judge, cancel) {
            Err(_) if judge.stopped => Ok(()),
            traced => traced,
        }
    }
}

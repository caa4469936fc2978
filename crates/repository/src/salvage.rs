//! Going on where objects are damaged or gone: what reads a repository needs less than what changes it.
//!
//! A backup must not rely on packs that are gone; a restore can do without index objects, for each pack lists its own
//! blobs; one broken snapshot is no reason not to show the others.

use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, IndexBuilder};
use crate::index_file::IndexFile;
use crate::layout::ObjectKind;
use crate::pack::{LENGTH_BYTES, header_bytes, read_header};
use crate::prune::pack_bytes;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use larder_model::Cancel;
use std::collections::{HashMap, HashSet};

/// Bytes at the end of a pack that are read at once; longer headers take a second read.
const TAIL_BYTES: u64 = 16 << 10;

impl Repository {
    /// Reads every backup that can be read, oldest first, and why the others cannot.
    ///
    /// For showing and restoring. Whoever removes something takes [`Repository::snapshots`], which is all or an error.
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub fn readable_snapshots(
        &self,
        cancel: &Cancel,
    ) -> Result<(Vec<Snapshot>, Vec<RepositoryError>), RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
        let mut snapshots = Vec::with_capacity(names.len());
        let broken = self.read_readable(&names, cancel, &mut |_, snapshot| snapshots.push(snapshot))?;
        snapshots.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        Ok((snapshots, broken))
    }

    /// Reads those of these backups that can be read, several at once, hands over one after the other in the given order,
    /// and says why the others cannot.
    ///
    /// For those who know a part of the list already, and need not hold all of it. See
    /// [`Repository::readable_snapshots`].
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub fn read_readable(
        &self,
        ids: &[Id],
        cancel: &Cancel,
        visit: &mut dyn FnMut(&Id, Snapshot),
    ) -> Result<Vec<RepositoryError>, RepositoryError> {
        let mut broken = Vec::new();
        self.read_each_snapshot(ids, cancel, &mut |id, read| {
            match read {
                Ok(snapshot) => visit(id, snapshot),
                Err(error) if is_of_the_object(&error) => broken.push(error),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        Ok(broken)
    }

    /// Reads the index for a backup: without what lies in packs that are gone or have another size than they should, so
    /// that it is stored anew.
    ///
    /// # Errors
    /// Those of [`Repository::load_index`].
    pub(crate) fn load_index_of_present_packs(&self, cancel: &Cancel) -> Result<Index, RepositoryError> {
        let storage = self.storage().clone();
        let packs = self.handle().spawn(async move { storage.list(ObjectKind::Pack.folder()).await });
        let names: Vec<Id> = self.list(ObjectKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let packs = self.await_task(packs, cancel)??;
        let present: HashMap<Id, u64> =
            packs.iter().filter_map(|o| Some((ObjectKind::Pack.id_of(&o.path)?, o.size_bytes))).collect();
        let mut builder = IndexBuilder::default();
        let mut absent = Vec::new();
        self.read_objects(ObjectKind::Index, &names, cancel, &mut |id, json| {
            let file: IndexFile = serde_json::from_slice(&json)
                .map_err(|cause| self.damaged(ObjectKind::Index.path(id), cause.to_string()))?;
            for pack in file.packs {
                if present.get(&pack.id) == Some(&pack_bytes(&pack.blobs)) {
                    builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
                } else {
                    absent.push(pack);
                }
            }
            Ok(())
        })?;
        if !absent.is_empty() {
            // A pack is there before an index object names it, but the two lists were made at the same time.
            let present: HashMap<Id, u64> = self.list(ObjectKind::Pack)?.into_iter().collect();
            absent.retain(|pack| {
                let is_present = present.get(&pack.id) == Some(&pack_bytes(&pack.blobs));
                if is_present {
                    builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
                }
                !is_present
            });
        }
        if !absent.is_empty() {
            let (destination, absent) = (self.describe(), absent.len());
            tracing::warn!(%destination, "{absent} packs that the index names are gone or cut; what was in them is stored anew");
        }
        Ok(builder.build())
    }

    /// Reads the index for a restore. Where an index object is damaged, or the root of the backup is in none, packs that
    /// are in no index any more are asked for their own lists.
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub(crate) fn load_readable_index(&self, root: &Id, cancel: &Cancel) -> Result<Index, RepositoryError> {
        match self.load_index(cancel) {
            Ok(index) if index.contains(BlobKind::Tree, root) => Ok(index),
            Err(error) if !is_of_the_object(&error) => Err(error),
            _ => self.salvage_index(cancel),
        }
    }

    fn salvage_index(&self, cancel: &Cancel) -> Result<Index, RepositoryError> {
        let mut builder = IndexBuilder::default();
        let mut known = HashSet::new();
        for (id, _) in self.list(ObjectKind::Index)? {
            let read = self.read_alone(ObjectKind::Index, &id, cancel).and_then(|json| {
                let file = serde_json::from_slice::<IndexFile>(&json);
                file.map_err(|cause| self.damaged(ObjectKind::Index.path(&id), cause.to_string()))
            });
            match read {
                Ok(file) => {
                    for pack in &file.packs {
                        known.insert(pack.id);
                        builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
                    }
                }
                Err(error) if is_of_the_object(&error) => tracing::warn!("{error}"),
                Err(error) => return Err(error),
            }
        }
        for (id, size) in self.list(ObjectKind::Pack)? {
            if known.contains(&id) {
                continue;
            }
            match self.blobs_of_pack(&id, size, cancel) {
                Ok(blobs) => builder.add(id, blobs),
                Err(error) if is_of_the_object(&error) => tracing::warn!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(builder.build())
    }

    /// Reads which blobs a pack holds by its own header.
    fn blobs_of_pack(&self, id: &Id, size: u64, cancel: &Cancel) -> Result<Vec<PackedBlob>, RepositoryError> {
        let path = ObjectKind::Pack.path(id);
        let damaged = |cause: String| self.damaged(path.clone(), cause);
        let mut tail = self.fetch_range(&path, size - size.min(TAIL_BYTES)..size, cancel)?;
        let length = tail.last_chunk::<LENGTH_BYTES>().copied().unwrap_or_default();
        let header = header_bytes(length, size).map_err(|error| damaged(error.to_string()))?;
        if header + LENGTH_BYTES > tail.len() {
            tail = self.fetch_range(&path, size - (header + LENGTH_BYTES) as u64..size, cancel)?;
        }
        let end = tail.len() - LENGTH_BYTES;
        let sealed = tail.get(end - header..end).unwrap_or_default();
        let blobs = read_header(self.key(), sealed, size - (header + LENGTH_BYTES) as u64);
        blobs.map_err(|error| damaged(error.to_string()))
    }

    fn read_alone(&self, kind: ObjectKind, id: &Id, cancel: &Cancel) -> Result<Vec<u8>, RepositoryError> {
        let sealed = self.fetch(&kind.path(id), cancel)?;
        self.open_object(kind, id, &sealed)
    }
}

/// Says whether an error is about one object only: it is damaged or gone, and the next may be had.
fn is_of_the_object(error: &RepositoryError) -> bool {
    use larder_storage::StorageErrorKind as Kind;
    match error {
        RepositoryError::Damaged { .. } => true,
        RepositoryError::Storage(error) => matches!(error.kind, Kind::NotFound | Kind::Damaged),
        _ => false,
    }
}

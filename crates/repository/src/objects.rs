//! Reading and writing whole objects: index, snapshots, locks.

use crate::blob::PackedBlob;
use crate::compress::{compress_object, decompress_object};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, IndexBuilder};
use crate::index_file::IndexFile;
use crate::layout::ObjectKind;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use larder_model::Cancel;
use std::collections::VecDeque;
use std::time::Duration;

/// How many small objects are fetched at once.
const FETCHES: usize = 8;
/// How many snapshots are: there may be thousands, each of some hundred bytes, at a destination where each answer takes long.
const SNAPSHOT_FETCHES: usize = 32;
/// How often a waiting call looks whether it was aborted.
const LOOK: Duration = Duration::from_millis(100);
/// The first byte of a compressed object, by the format; JSON itself begins with `{` or `[`.
const COMPRESSED_MARK: u8 = 2;

/// Takes the name and content of an object.
pub type VisitObject<'a> = &'a mut dyn FnMut(&Id, Vec<u8>) -> Result<(), RepositoryError>;

/// Takes the name of an object and what came of reading it.
pub(crate) type VisitRead<'a, T> =
    &'a mut dyn FnMut(&Id, Result<T, RepositoryError>) -> Result<(), RepositoryError>;

impl Repository {
    /// Lists the names of all objects of a kind, sorted, with their sizes in bytes; other files in the folder are ignored
    /// as restic does.
    ///
    /// # Errors
    /// The destination's: the answer is complete or an error.
    pub fn list(&self, kind: ObjectKind) -> Result<Vec<(Id, u64)>, RepositoryError> {
        let objects = self.handle().block_on(self.storage().list(kind.folder()))?;
        let mut names: Vec<_> =
            objects.iter().filter_map(|o| Some((kind.id_of(&o.path)?, o.size_bytes))).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads an index, snapshot or lock: checks its name, decrypts and decompresses it.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming it; the destination's.
    pub fn read_object(&self, kind: ObjectKind, id: &Id) -> Result<Vec<u8>, RepositoryError> {
        let sealed = self.handle().block_on(self.storage().get(&kind.path(id)))?;
        self.open_object(kind, id, &sealed)
    }

    pub(crate) fn open_object(
        &self,
        kind: ObjectKind,
        id: &Id,
        sealed: &[u8],
    ) -> Result<Vec<u8>, RepositoryError> {
        let damaged = |cause: &str| self.damaged(kind.path(id), cause);
        if Id::of(sealed) != *id {
            return Err(damaged("its bytes do not have the SHA-256 that it is named by"));
        }
        let plain = self.key().open_copy(sealed).map_err(|e| damaged(&e.to_string()))?;
        match plain.first() {
            Some(b'{' | b'[') => Ok(plain),
            Some(&COMPRESSED_MARK) => decompress_object(&plain[1..]).map_err(|e| damaged(&e.to_string())),
            _ => Err(damaged("it is in no known encoding")),
        }
    }

    /// Reads all the given objects, several at once, in the given order.
    ///
    /// # Errors
    /// The first that fails; what `visit` returns; [`RepositoryError::Canceled`].
    pub fn read_objects(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        cancel: &Cancel,
        visit: VisitObject<'_>,
    ) -> Result<(), RepositoryError> {
        self.read_each(kind, ids, cancel, &mut |id, read| visit(id, read?))
    }

    /// Reads all the given objects, several at once, in the given order, and hands over what came of each.
    ///
    /// # Errors
    /// What `visit` returns; [`RepositoryError::Canceled`].
    fn read_each(
        &self,
        kind: ObjectKind,
        ids: &[Id],
        cancel: &Cancel,
        visit: VisitRead<'_, Vec<u8>>,
    ) -> Result<(), RepositoryError> {
        let at_once = if kind == ObjectKind::Snapshot { SNAPSHOT_FETCHES } else { FETCHES };
        let mut waiting = ids.iter();
        let mut running = VecDeque::new();
        loop {
            cancel.check()?;
            while running.len() < at_once
                && let Some(id) = waiting.next()
            {
                let (storage, path) = (self.storage().clone(), kind.path(id));
                running.push_back((id, self.handle().spawn(async move { storage.get(&path).await })));
            }
            let Some((id, task)) = running.pop_front() else { return Ok(()) };
            let sealed = self.await_task(task, cancel)?.map_err(RepositoryError::from);
            visit(id, sealed.and_then(|sealed| self.open_object(kind, id, &sealed)))?;
        }
    }

    /// Waits for a transfer, but not beyond an abort; the transfer itself goes on to its end.
    pub(crate) fn await_task<T>(
        &self,
        mut task: tokio::task::JoinHandle<T>,
        cancel: &Cancel,
    ) -> Result<T, RepositoryError> {
        loop {
            cancel.check()?;
            let wait = async { tokio::time::timeout(LOOK, &mut task).await };
            if let Ok(done) = self.handle().block_on(wait) {
                return done
                    .map_err(|e| RepositoryError::Internal { what: format!("a transfer broke off: {e}") });
            }
        }
    }

    /// Compresses and encrypts an object; returns its name and bytes.
    ///
    /// # Errors
    /// When the system has no randomness or memory.
    pub fn seal_object(&self, json: &[u8]) -> Result<(Id, Bytes), RepositoryError> {
        let mut plain = vec![COMPRESSED_MARK];
        let compressed = compress_object(json);
        plain.append(
            &mut compressed.map_err(|e| RepositoryError::Internal { what: format!("zstd failed: {e}") })?,
        );
        let sealed = self.key().seal_copy(&plain)?;
        Ok((Id::of(&sealed), Bytes::from(sealed)))
    }

    pub(crate) fn seal_value<T: serde::Serialize>(&self, value: &T) -> Result<(Id, Bytes), RepositoryError> {
        self.seal_object(&to_json(value)?)
    }

    /// Writes an index, snapshot or lock, and returns its name once it is durable.
    ///
    /// # Errors
    /// The destination's.
    pub fn write_object<T: serde::Serialize>(
        &self,
        kind: ObjectKind,
        value: &T,
    ) -> Result<Id, RepositoryError> {
        let (id, sealed) = self.seal_value(value)?;
        self.handle().block_on(self.storage().put(&kind.path(&id), sealed))?;
        Ok(id)
    }

    /// Removes an object; one that is already gone is no error.
    ///
    /// # Errors
    /// The destination's.
    pub fn delete_object(&self, kind: ObjectKind, id: &Id) -> Result<(), RepositoryError> {
        Ok(self.handle().block_on(self.storage().delete(&kind.path(id)))?)
    }

    /// Reads the index objects present now. What is in none of them is not in the repository.
    ///
    /// # Errors
    /// The first that cannot be read: with a part of the index nothing may be decided.
    pub fn load_index(&self, cancel: &Cancel) -> Result<Index, RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let mut builder = IndexBuilder::default();
        self.read_objects(ObjectKind::Index, &names, cancel, &mut |id, json| {
            let file: IndexFile = serde_json::from_slice(&json)
                .map_err(|cause| self.damaged(ObjectKind::Index.path(id), cause.to_string()))?;
            for pack in &file.packs {
                builder.add(pack.id, pack.blobs.iter().map(PackedBlob::from));
            }
            Ok(())
        })?;
        Ok(builder.build())
    }

    /// Reads every backup, oldest first.
    ///
    /// # Errors
    /// The first that cannot be read, naming it.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
        let mut snapshots = Vec::with_capacity(names.len());
        self.read_objects(ObjectKind::Snapshot, &names, &Cancel::new(), &mut |id, json| {
            snapshots.push(self.snapshot_of(id, &json)?);
            Ok(())
        })?;
        snapshots.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        Ok(snapshots)
    }

    /// Reads the backups of these names, several at once, and hands over what came of each. One that a destination could
    /// not give at first is asked for again.
    ///
    /// # Errors
    /// What `visit` returns; [`RepositoryError::Canceled`].
    pub(crate) fn read_each_snapshot(
        &self,
        ids: &[Id],
        cancel: &Cancel,
        visit: VisitRead<'_, Snapshot>,
    ) -> Result<(), RepositoryError> {
        self.read_each(ObjectKind::Snapshot, ids, cancel, &mut |id, read| match read {
            Err(RepositoryError::Storage(error)) if error.is_retryable() => {
                visit(id, self.read_snapshot(id, cancel))
            }
            read => visit(id, read.and_then(|json| self.snapshot_of(id, &json))),
        })
    }

    /// Reads every backup but those whose objects are damaged, in the order of their names.
    ///
    /// # Errors
    /// A failure that is no proof of damage.
    pub(crate) fn snapshots_but_damaged(&self, cancel: &Cancel) -> Result<Vec<Snapshot>, RepositoryError> {
        let names: Vec<Id> = self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id).collect();
        let mut snapshots = Vec::with_capacity(names.len());
        self.read_each_snapshot(&names, cancel, &mut |_, read| match read {
            Ok(snapshot) => {
                snapshots.push(snapshot);
                Ok(())
            }
            Err(error) if error.proves_damage() => Ok(()),
            Err(error) => Err(error),
        })?;
        Ok(snapshots)
    }

    /// Reads one backup.
    ///
    /// # Errors
    /// [`RepositoryError::Damaged`] naming it; the destination's; [`RepositoryError::Canceled`].
    pub(crate) fn read_snapshot(&self, id: &Id, cancel: &Cancel) -> Result<Snapshot, RepositoryError> {
        let sealed = self.fetch(&ObjectKind::Snapshot.path(id), cancel)?;
        self.snapshot_of(id, &self.open_object(ObjectKind::Snapshot, id, &sealed)?)
    }

    fn snapshot_of(&self, id: &Id, json: &[u8]) -> Result<Snapshot, RepositoryError> {
        Snapshot::from_json(id, json).map_err(|cause| self.damaged(ObjectKind::Snapshot.path(id), cause))
    }
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, RepositoryError> {
    serde_json::to_vec(value)
        .map_err(|e| RepositoryError::Internal { what: format!("JSON could not be written: {e}") })
}

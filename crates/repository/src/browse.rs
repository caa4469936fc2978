//! Looking into a backup: its entries one after another, and the bytes of single files.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::lock::Lock;
use crate::node::Node;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree_reader::TreeReader;
use larder_model::{Cancel, Entry, EntryKind};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock of somebody else is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// An open backup. While it lives, nobody removes what it needs.
#[derive(Debug)]
pub struct Browser {
    repository: Repository,
    snapshot: Snapshot,
    index: Arc<Index>,
    cancel: Cancel,
    _lock: Option<Lock>,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    nodes: std::vec::IntoIter<Node>,
    path_bytes: usize,
}

impl Repository {
    /// Opens a backup to look into it.
    ///
    /// # Errors
    /// [`RepositoryError::Locked`]; those of reading the index; [`RepositoryError::Canceled`].
    pub fn browse(&self, snapshot: &Snapshot, cancel: &Cancel) -> Result<Browser, RepositoryError> {
        let lock = Lock::shared_if_writable(self, LOCK_WAIT, cancel)?;
        let index = Arc::new(self.load_readable_index(&snapshot.tree, cancel)?);
        Ok(Browser {
            repository: self.clone(),
            snapshot: snapshot.clone(),
            index,
            cancel: cancel.clone(),
            _lock: lock,
        })
    }
}

impl Browser {
    /// Calls `visit` with the path and the entry of everything in the backup, each directory before what is in it, until
    /// it breaks off.
    ///
    /// # Errors
    /// A tree that cannot be read; [`RepositoryError::Canceled`].
    pub fn for_each_entry(
        &self,
        visit: &mut dyn FnMut(&[u8], &Entry) -> ControlFlow<()>,
    ) -> Result<(), RepositoryError> {
        let mut trees = TreeReader::new(&self.repository, &self.index, &self.cancel)?;
        let mut path = Vec::new();
        let root = trees.load(&self.index, &self.snapshot.tree)?;
        let mut levels = vec![Level { nodes: root.nodes.into_iter(), path_bytes: 0 }];
        while let Some(level) = levels.last_mut() {
            self.cancel.check()?;
            path.truncate(level.path_bytes);
            let Some(node) = level.nodes.next() else {
                levels.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&node.entry.name);
            if visit(&path, &node.entry).is_break() {
                return Ok(());
            }
            if let Some(subtree) = &node.subtree {
                let tree = trees.load(&self.index, subtree)?;
                levels.push(Level { nodes: tree.nodes.into_iter(), path_bytes: path.len() });
            }
        }
        Ok(())
    }

    /// Opens a file of the backup for reading; every byte is checked against its hash before it is given out.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where there is no such file; a tree that cannot be read.
    pub fn open_file(&self, path: &[u8]) -> Result<FileReader, RepositoryError> {
        let mut trees = TreeReader::new(&self.repository, &self.index, &self.cancel)?;
        let nodes = self.repository.find_nodes(&mut trees, &self.index, &self.snapshot, Some(path))?;
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let file =
            nodes.into_iter().find(|node| node.entry.kind == EntryKind::File && node.entry.name == name);
        let Some(node) = file else {
            return Err(RepositoryError::Missing {
                object: format!(
                    "the file '{}' of the backup {}",
                    String::from_utf8_lossy(path),
                    self.snapshot.id
                ),
                destination: self.repository.describe(),
                remedy: "list the backup to see what is in it".to_owned(),
            });
        };
        Ok(FileReader {
            repository: self.repository.clone(),
            index: Arc::clone(&self.index),
            cancel: self.cancel.clone(),
            content: node.content.into(),
            blob: Vec::new(),
            at: 0,
        })
    }
}

/// Reads one file of a backup, a blob at a time.
#[derive(Debug)]
pub struct FileReader {
    repository: Repository,
    index: Arc<Index>,
    cancel: Cancel,
    content: VecDeque<Id>,
    blob: Vec<u8>,
    at: usize,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.blob.len() {
            let Some(id) = self.content.pop_front() else { return Ok(0) };
            self.cancel.check().map_err(io::Error::other)?;
            self.blob =
                self.repository.load_blob(&self.index, BlobKind::Data, &id).map_err(io::Error::other)?;
            self.at = 0;
        }
        let rest = self.blob.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

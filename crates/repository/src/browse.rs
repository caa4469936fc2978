//! Looking into a backup: its entries one after another, and the bytes of single files.

use crate::blob::BlobKind;
use crate::blob_stream::BlobStream;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::node::Node;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::sources::{SourceFault, Sources};
use crate::trees::{Found, Trees};
use bytes::Bytes;
use larder_model::{Cancel, Entry, EntryKind};
use std::collections::HashSet;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock of somebody else is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// An open backup. While it lives, nobody removes what it needs.
#[derive(Debug)]
pub struct Browser {
    sources: Arc<Sources>,
    snapshot: Snapshot,
}

/// What lies at a path of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A directory, with all that is in it.
    Directory(Vec<Entry>),
    /// Anything else.
    Other(Box<Entry>),
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
        Browser::open(std::slice::from_ref(self), snapshot, cancel)
    }

    /// Reads the backups whose names begin so, without reading the others.
    ///
    /// # Errors
    /// One of them is damaged; the destination's; [`RepositoryError::Canceled`].
    pub fn snapshots_called(
        &self,
        beginning: &str,
        cancel: &Cancel,
    ) -> Result<Vec<Snapshot>, RepositoryError> {
        let names = self.list(ObjectKind::Snapshot)?.into_iter().map(|(id, _)| id);
        let called = names.filter(|id| id.to_hex().starts_with(beginning));
        called.map(|id| self.read_snapshot(&id, cancel)).collect()
    }
}

impl Browser {
    /// Opens a backup at destinations that hold the same backups, the best first: what one of them has lost, has damaged
    /// or cannot give now comes from another.
    ///
    /// # Errors
    /// Those of the first destination where none can be opened; [`RepositoryError::Canceled`].
    pub fn open(
        destinations: &[Repository],
        snapshot: &Snapshot,
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        let sources = Arc::new(Sources::open(destinations, snapshot.tree, LOCK_WAIT, cancel)?);
        Ok(Self { sources, snapshot: snapshot.clone() })
    }

    /// Opens another backup of the same destinations, without reading their indexes again.
    #[must_use]
    pub fn beside(&self, snapshot: &Snapshot) -> Self {
        Self { sources: Arc::clone(&self.sources), snapshot: snapshot.clone() }
    }

    /// Returns the entries of a directory of the backup, or the one thing at the path; `None` where nothing is there.
    ///
    /// # Errors
    /// A tree that cannot be read; [`RepositoryError::Canceled`].
    pub fn entries(&self, path: &[u8]) -> Result<Option<Listed>, RepositoryError> {
        let mut trees = Trees::new(&self.sources);
        let mut tree = trees.load(&self.snapshot.tree)?;
        let parts = path.split(|byte| *byte == b'/');
        let mut parts = parts.filter(|part| !part.is_empty() && *part != b".").peekable();
        while let Some(part) = parts.next() {
            match tree.find(part) {
                Some(Node { subtree: Some(subtree), .. }) => {
                    let below = *subtree;
                    tree = trees.load(&below)?;
                }
                Some(node) if parts.peek().is_none() => {
                    return Ok(Some(Listed::Other(Box::new(node.entry.clone()))));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Listed::Directory(tree.nodes.into_iter().map(|node| node.entry).collect())))
    }

    /// Sets how often it is looked whether packs that were asked for from cold storage can be read; every minute otherwise.
    pub fn poll_cold_every(&self, interval: Duration) {
        self.sources.thaw().poll_every(interval);
    }

    /// Returns what destinations should have given and did not so far, whether another had it or not; the first thousand.
    #[must_use]
    pub fn faults(&self) -> Vec<SourceFault> {
        self.sources.faults()
    }

    /// Calls `visit` with the path and the entry of everything in the backup, each directory before what is in it, until
    /// it breaks off.
    ///
    /// # Errors
    /// A tree that cannot be read; [`RepositoryError::Canceled`].
    pub fn for_each_entry(
        &self,
        visit: &mut dyn FnMut(&[u8], &Entry) -> ControlFlow<()>,
    ) -> Result<(), RepositoryError> {
        let mut trees = Trees::new(&self.sources);
        let mut path = Vec::new();
        let root = trees.load(&self.snapshot.tree)?;
        let mut levels = vec![Level { nodes: root.nodes.into_iter(), path_bytes: 0 }];
        while let Some(level) = levels.last_mut() {
            self.sources.cancel().check()?;
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
                let tree = trees.load(subtree)?;
                levels.push(Level { nodes: tree.nodes.into_iter(), path_bytes: path.len() });
            }
        }
        Ok(())
    }

    /// Opens a file of the backup for reading; every byte is checked against its hash before it is given out. Blobs are
    /// fetched ahead of the reader, several at once.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where there is no such file; a tree that cannot be read.
    pub fn open_file(&self, path: &[u8]) -> Result<FileReader, RepositoryError> {
        let content = self.requested(path)?;
        Ok(FileReader { blobs: BlobStream::start(&self.sources, content), blob: Bytes::new() })
    }

    /// Finds a file of the backup.
    pub(crate) fn file(&self, path: &[u8]) -> Result<Node, RepositoryError> {
        match Trees::new(&self.sources).find(&self.snapshot, Some(path))? {
            Found::Other(node) if node.entry.kind == EntryKind::File => Ok(*node),
            _ => Err(RepositoryError::Missing {
                object: format!(
                    "the file '{}' of the backup {}",
                    String::from_utf8_lossy(path),
                    self.snapshot.id
                ),
                destination: self.sources.describe(),
                remedy: "list the backup to see what is in it".to_owned(),
            }),
        }
    }

    /// Returns the blobs of a file, asked for where they lie in cold storage.
    pub(crate) fn requested(&self, path: &[u8]) -> Result<Vec<Id>, RepositoryError> {
        let file = self.file(path)?;
        let mut packs = HashSet::new();
        self.sources.cold_packs(&file.content, &mut packs);
        self.sources.request(&packs)?;
        Ok(file.content)
    }

    /// Returns how many bytes a file of the backup has, as they will come.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where there is no such file, or where a part of it is not known; a tree that cannot be
    /// read.
    pub fn file_bytes(&self, path: &[u8]) -> Result<u64, RepositoryError> {
        self.plain_bytes(&self.file(path)?.content)
    }

    /// Adds up the bytes of blobs.
    pub(crate) fn plain_bytes(&self, content: &[Id]) -> Result<u64, RepositoryError> {
        content.iter().try_fold(0, |size, id| {
            let missing = || RepositoryError::Missing {
                object: format!("the data blob {id}"),
                destination: self.sources.describe(),
                remedy: "run a check to see which backups need it".to_owned(),
            };
            let (_, location) = self.sources.locate(BlobKind::Data, id).ok_or_else(missing)?;
            Ok(size + u64::from(location.blob.plain_length()))
        })
    }

    pub(crate) const fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    pub(crate) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

/// Reads one file of a backup.
#[derive(Debug)]
pub struct FileReader {
    blobs: BlobStream,
    blob: Bytes,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.blob.is_empty() {
            match self.blobs.next().map_err(io::Error::other)? {
                Some(blob) => self.blob = blob,
                None => return Ok(0),
            }
        }
        let count = self.blob.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.blob.split_to(count));
        Ok(count)
    }
}

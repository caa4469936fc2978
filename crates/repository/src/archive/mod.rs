//! A backup, or a part of it, as a tar archive written to any stream.

mod header;

use crate::blob_stream::BlobStream;
use crate::browse::Browser;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::node::Node;
use crate::trees::Trees;
use header::{BLOCK_BYTES, Member, pad, write_headers};
use larder_model::{Counters, EntryKind};
use std::collections::HashMap;
use std::io::Write;

/// Entries that are planned at once at the most, and chunks, but a file is never divided; this bounds the memory.
const MOST_ENTRIES: usize = 4096;
const MOST_CHUNKS: usize = 32 << 10;

/// What an archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveSummary {
    /// Files, further names of files among them.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Links, pipes and devices.
    pub specials: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// What an archive cannot hold and was left out.
    pub warnings: Vec<String>,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    nodes: std::vec::IntoIter<Node>,
    path_bytes: usize,
}

/// The first name of something that has several.
struct First {
    path: Vec<u8>,
    kind: EntryKind,
    content: Id,
}

struct Archive<'a> {
    browser: &'a Browser,
    counters: &'a Counters,
    out: &'a mut dyn Write,
    planned: Vec<(Vec<u8>, Node)>,
    chunks: usize,
    firsts: HashMap<(u64, u64), First>,
    summary: ArchiveSummary,
    headers: Vec<u8>,
}

impl Browser {
    /// Writes the backup as a tar archive, or what is at a path in it: all that is in a directory, or the one thing there.
    ///
    /// Owners, modes, times to the nanosecond, attributes and further names of a file are kept, holes are not. What is
    /// written so far when it fails is no whole archive: every program that reads it says so.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where nothing is at the path; the first thing that no destination can give; the
    /// stream's; [`RepositoryError::Canceled`].
    pub fn write_archive(
        &self,
        path: Option<&[u8]>,
        out: &mut dyn Write,
        counters: &Counters,
    ) -> Result<ArchiveSummary, RepositoryError> {
        let mut trees = Trees::new(self.sources());
        let nodes = trees.find(self.snapshot(), path)?.into_nodes();
        self.sources().request(&trees.cold_packs(&nodes)?)?;
        drop(trees);
        let mut archive = Archive {
            browser: self,
            counters,
            out,
            planned: Vec::new(),
            chunks: 0,
            firsts: HashMap::new(),
            summary: ArchiveSummary::default(),
            headers: Vec::new(),
        };
        archive.walk(nodes)?;
        archive.write(&[0; 2 * BLOCK_BYTES])?;
        archive.out.flush().map_err(|error| broken(&error))?;
        Ok(archive.summary)
    }

    /// Writes one file of the backup to a stream, each byte once its hash was checked; returns how many there are.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where there is no such file; what no destination can give; the stream's;
    /// [`RepositoryError::Canceled`].
    pub fn write_file(
        &self,
        path: &[u8],
        out: &mut dyn Write,
        counters: &Counters,
    ) -> Result<u64, RepositoryError> {
        let mut blobs = BlobStream::start(self.sources(), self.requested(path)?);
        let mut bytes = 0;
        while let Some(blob) = blobs.next()? {
            out.write_all(&blob).map_err(|error| broken(&error))?;
            bytes += blob.len() as u64;
            Counters::add(&counters.bytes_done, blob.len() as u64);
        }
        out.flush().map_err(|error| broken(&error))?;
        Ok(bytes)
    }
}

fn broken(error: &std::io::Error) -> RepositoryError {
    let cause = error.to_string();
    RepositoryError::Local {
        action: "write to",
        path: "the stream that was given".to_owned(),
        cause: cause.split(" (os error ").next().unwrap_or(&cause).to_lowercase(),
        remedy: "see whether whoever reads it is still there and has space, and start again",
    }
}

impl Archive<'_> {
    fn walk(&mut self, nodes: Vec<Node>) -> Result<(), RepositoryError> {
        let mut trees = Trees::new(self.browser.sources());
        let mut path = Vec::new();
        let mut levels = vec![Level { nodes: nodes.into_iter(), path_bytes: 0 }];
        while let Some(level) = levels.last_mut() {
            path.truncate(level.path_bytes);
            let Some(node) = level.nodes.next() else {
                levels.pop();
                continue;
            };
            path.extend_from_slice(&node.entry.name);
            let subtree = node.subtree.filter(|_| node.entry.kind == EntryKind::Directory);
            if node.entry.kind == EntryKind::Directory {
                path.push(b'/');
            }
            self.chunks += node.content.len();
            self.planned.push((path.clone(), node));
            if self.planned.len() >= MOST_ENTRIES || self.chunks >= MOST_CHUNKS {
                self.write_planned()?;
            }
            if let Some(subtree) = subtree {
                let nodes = trees.load(&subtree)?.nodes.into_iter();
                levels.push(Level { nodes, path_bytes: path.len() });
            }
        }
        self.write_planned()
    }

    fn write_planned(&mut self) -> Result<(), RepositoryError> {
        self.chunks = 0;
        let planned: Vec<_> = std::mem::take(&mut self.planned)
            .into_iter()
            .map(|(path, node)| {
                let first = self.first_name(&path, &node);
                (path, node, first)
            })
            .collect();
        let content =
            planned.iter().filter(|(.., first)| first.is_none()).flat_map(|(_, node, _)| &node.content);
        let mut blobs = BlobStream::start(self.browser.sources(), content.copied().collect());
        for (path, node, first) in planned {
            self.member(&path, &node, first.as_deref(), &mut blobs)?;
        }
        Ok(())
    }

    /// Returns the first name of something that has been met before.
    fn first_name(&mut self, path: &[u8], node: &Node) -> Option<Vec<u8>> {
        let metadata = &node.entry.metadata;
        let plain = !matches!(node.entry.kind, EntryKind::Directory | EntryKind::Socket);
        if !plain || metadata.links < 2 || metadata.inode == 0 {
            return None;
        }
        let content: Vec<u8> = node.content.iter().flat_map(|id| *id.as_bytes()).collect();
        let (content, kind) = (Id::of(&content), node.entry.kind.clone());
        let first = self.firsts.entry((metadata.device_id, metadata.inode));
        let new = First { path: path.to_vec(), kind: kind.clone(), content };
        let found = first.or_insert(new);
        // An inode may have been used again while the backup was made; then the content differs.
        (found.path != path && found.kind == kind && found.content == content).then(|| found.path.clone())
    }

    fn member(
        &mut self,
        path: &[u8],
        node: &Node,
        first: Option<&[u8]>,
        blobs: &mut BlobStream,
    ) -> Result<(), RepositoryError> {
        let entry = &node.entry;
        let content = if first.is_some() { &[][..] } else { &node.content };
        let size = self.browser.plain_bytes(content)?;
        let member = first.map_or(Member::Entry(&entry.kind), Member::Link);
        self.counters.set_current(&String::from_utf8_lossy(path));
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        if !write_headers(path, member, &entry.metadata, size, &mut headers) {
            let path = String::from_utf8_lossy(path);
            self.summary.warnings.push(format!("'{path}' was left out: an archive cannot hold a socket"));
            return Ok(());
        }
        self.write(&headers)?;
        for _ in content {
            let ended = || RepositoryError::Internal { what: "the bytes of a file ended early".to_owned() };
            let blob = blobs.next()?.ok_or_else(ended)?;
            self.write(&blob)?;
            Counters::add(&self.counters.bytes_done, blob.len() as u64);
        }
        headers.clear();
        pad(size, &mut headers);
        self.write(&headers)?;
        self.headers = headers;
        self.summary.bytes += size;
        match entry.kind {
            EntryKind::File => self.summary.files += 1,
            EntryKind::Directory => self.summary.directories += 1,
            _ => self.summary.specials += 1,
        }
        Counters::add(&self.counters.items_done, 1);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RepositoryError> {
        self.out.write_all(bytes).map_err(|error| broken(&error))
    }
}

//! The walk of a restore through the trees of a backup, depth first.

use super::batch::{Batch, Context, Link};
use super::metadata::{Before, apply, apply_by_name, words};
use super::place::DirectoryNumber;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::node::Node;
use crate::trees::Trees;
use larder_model::{Counters, Entry, EntryKind, Metadata};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// A directory on the way from the target to where the walk is.
struct Level {
    number: DirectoryNumber,
    nodes: std::vec::IntoIter<Node>,
    /// `None` for the target itself, of which nothing is known.
    metadata: Option<Metadata>,
}

/// The first name of something that has several.
struct First {
    directory: DirectoryNumber,
    name: Vec<u8>,
    kind: EntryKind,
    content: Id,
}

/// Walks and hands over what is found.
pub(super) struct Walk<'a> {
    context: &'a Context<'a>,
    trees: Trees<'a>,
    batch: Batch,
    firsts: HashMap<(u64, u64), First>,
    levels: Vec<Level>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        let trees = Trees::new(context.sources);
        Self { context, trees, batch: Batch::default(), firsts: HashMap::new(), levels: Vec::new() }
    }

    /// Restores nodes right below the target, with all that is below them.
    pub(super) fn run(mut self, nodes: Vec<Node>) -> Result<(), RepositoryError> {
        self.levels.push(Level { number: 0, nodes: nodes.into_iter(), metadata: None });
        while let Some(level) = self.levels.last_mut() {
            self.context.cancel.check()?;
            let directory = level.number;
            match level.nodes.next() {
                Some(node) => self.node(directory, node)?,
                None => {
                    let left = self.levels.pop().and_then(|level| Some((level.number, level.metadata?)));
                    self.batch.left.extend(left);
                }
            }
            if self.batch.is_full() {
                self.run_batch()?;
            }
        }
        self.run_batch()
    }

    fn run_batch(&mut self) -> Result<(), RepositoryError> {
        self.batch.run(self.context)?;
        for link in std::mem::take(&mut self.batch.links) {
            self.link(&link);
        }
        let before = if self.context.files.place.overwrites() { Before::Existing } else { Before::New };
        for (number, metadata) in std::mem::take(&mut self.batch.left) {
            self.context.cancel.check()?;
            let path = || self.context.files.place.path(number, b"");
            match self.context.files.place.directory(number) {
                Ok(open) => apply(&*open, &metadata, before, self.context.files.report, &path),
                Err(error) => self.context.files.report.fail(path(), words(error), None),
            }
        }
        Ok(())
    }

    fn node(&mut self, directory: DirectoryNumber, node: Node) -> Result<(), RepositoryError> {
        if node.entry.kind == EntryKind::Directory {
            return self.enter(directory, node);
        }
        let context = self.context;
        let metadata = &node.entry.metadata;
        if metadata.links > 1 && metadata.inode != 0 {
            let key = (metadata.device_id, metadata.inode);
            let content = fingerprint(&node.content);
            match self.firsts.get(&key) {
                // An inode may have been used again while the backup was made; then the content differs.
                Some(first) if first.kind == node.entry.kind && first.content == content => {
                    let to = (first.directory, first.name.clone());
                    self.batch.links.push(Link { directory, entry: node.entry, to });
                    return Ok(());
                }
                Some(_) => {}
                None => {
                    let (name, kind) = (node.entry.name.clone(), node.entry.kind.clone());
                    self.firsts.insert(key, First { directory, name, kind, content });
                }
            }
        }
        if node.entry.kind == EntryKind::File {
            Counters::add(&context.files.counters.bytes_total, metadata.size);
            Counters::add(&context.files.counters.items_total, 1);
            self.batch.add(context, directory, node);
        } else {
            Counters::add(&context.files.counters.items_total, 1);
            self.special(directory, &node.entry);
        }
        Ok(())
    }

    fn enter(&mut self, parent: DirectoryNumber, node: Node) -> Result<(), RepositoryError> {
        let Node { entry, subtree, .. } = node;
        let files = self.context.files;
        let number = match files.place.add(parent, &entry.name) {
            Ok(number) => number,
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Err(self.context.full(error)),
            Err(error) => {
                files.report.fail(files.place.path(parent, &entry.name), words(error), None);
                return Ok(());
            }
        };
        files.report.directory();
        files.counters.set_current(&files.place.path(parent, &entry.name));
        let Some(subtree) = subtree else { return Ok(()) };
        let nodes = match self.trees.load(&subtree) {
            Ok(tree) => tree.nodes,
            Err(error) if error.is_canceled() => return Err(error),
            Err(error) => {
                let cause = format!("what is in this directory cannot be restored: {error}");
                files.report.fail(files.place.path(parent, &entry.name), cause, None);
                Vec::new()
            }
        };
        self.levels.push(Level { number, nodes: nodes.into_iter(), metadata: Some(entry.metadata) });
        Ok(())
    }

    fn special(&self, directory: DirectoryNumber, entry: &Entry) {
        let files = self.context.files;
        let path = || files.place.path(directory, &entry.name);
        let is_device =
            matches!(entry.kind, EntryKind::BlockDevice { .. } | EntryKind::CharacterDevice { .. });
        let is_link = matches!(entry.kind, EntryKind::Symlink { .. });
        let made = files.place.directory(directory).and_then(|open| {
            files.place.make_way(&open, &entry.name)?;
            make(&open, entry)?;
            apply_by_name(&open, &entry.name, is_link, &entry.metadata, files.report, &path);
            Ok(())
        });
        match made {
            Ok(()) => files.report.special(files.counters),
            Err(Errno::PERM) if is_device => {
                files
                    .report
                    .warn(format!("the device '{}' was left out, for only root may make one", path()));
            }
            Err(error) => files.report.fail(path(), words(error), None),
        }
    }

    fn link(&self, link: &Link) {
        let files = self.context.files;
        let path = files.place.path(link.directory, &link.entry.name);
        let linked = files.place.directory(link.directory).and_then(|open| {
            let from = files.place.directory(link.to.0)?;
            let inode = |fd, name: &[u8]| {
                let found = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok::<_, Errno>((found.st_dev, found.st_ino))
            };
            if inode(&*open, &link.entry.name).ok() == Some(inode(&*from, &link.to.1)?) {
                return Ok(());
            }
            files.place.make_way(&open, &link.entry.name)?;
            rustix::fs::linkat(&*from, &*link.to.1, &*open, &*link.entry.name, AtFlags::empty())
        });
        match linked {
            Ok(()) if link.entry.kind == EntryKind::File => files.report.file(files.counters, false),
            Ok(()) => files.report.special(files.counters),
            Err(error) => {
                let first = files.place.path(link.to.0, &link.to.1);
                let cause = format!("it could not be made another name of '{first}': {}", words(error));
                files.report.fail(path, cause, None);
            }
        }
        files.counters.items_total.fetch_add(1, Ordering::Relaxed);
    }
}

fn fingerprint(content: &[Id]) -> Id {
    let bytes: Vec<u8> = content.iter().flat_map(|id| *id.as_bytes()).collect();
    Id::of(&bytes)
}

fn make(directory: &std::os::fd::OwnedFd, entry: &Entry) -> Result<(), Errno> {
    let name = &*entry.name;
    let mode = Mode::RUSR | Mode::WUSR;
    match &entry.kind {
        EntryKind::Symlink { target } => rustix::fs::symlinkat(&**target, directory, name),
        EntryKind::Fifo => rustix::fs::mknodat(directory, name, FileType::Fifo, mode, 0),
        EntryKind::Socket => rustix::fs::mknodat(directory, name, FileType::Socket, mode, 0),
        EntryKind::BlockDevice { device } => {
            rustix::fs::mknodat(directory, name, FileType::BlockDevice, mode, *device)
        }
        EntryKind::CharacterDevice { device } => {
            rustix::fs::mknodat(directory, name, FileType::CharacterDevice, mode, *device)
        }
        EntryKind::File | EntryKind::Directory => Err(Errno::INVAL),
    }
}

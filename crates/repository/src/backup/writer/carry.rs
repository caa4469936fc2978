//! Taking entries over from the backup before, unread.

use super::{BackupWriter, RepositoryError};
use crate::backup::parent::{ParentTrees, is_unchanged};
use crate::backup::session::{Session, add};
use crate::blob::BlobKind;
use crate::id::Id;
use crate::index::Index;
use crate::node::Node;
use larder_model::{Counters, Entry, EntryKind};

/// What was found below an entry that is taken over.
#[derive(Default)]
struct Found {
    files: u64,
    directories: u64,
    specials: u64,
    bytes: u64,
}

impl BackupWriter {
    /// Takes over the entry of this name in the current directory from the parent, with all that is below it, without
    /// reading any of it; says whether the parent has one.
    ///
    /// # Errors
    /// [`RepositoryError::NotCarried`] where it cannot be taken over as a whole: the parent cannot be read, or a destination
    /// lacks a piece of it. Why the backup stopped.
    pub fn carry(&mut self, name: &[u8]) -> Result<bool, RepositoryError> {
        let session = self.session.clone();
        let level = self.level()?;
        let refused = |cause: &str| RepositoryError::NotCarried {
            name: String::from_utf8_lossy(name).into_owned(),
            cause: cause.to_owned(),
        };
        if level.parent_unreadable {
            return Err(refused("the backup before cannot be read"));
        }
        let Some(node) = level.before.as_mut().and_then(|tree| tree.find(name)).cloned() else {
            return Ok(false);
        };
        let directory = level.directory.clone();
        let (parent, index) = (self.parent.as_mut(), session.known.index(self.parent_target));
        let (Some(parent), Some(index)) = (parent, index) else {
            return Err(refused("the backup before cannot be read"));
        };
        let found = survey(&session, parent, index, &node).map_err(|cause| refused(&cause))?;
        directory.add(&node.entry, node.entry.metadata.size, &node.content, node.subtree.as_ref());
        let statistics = &session.statistics;
        add(&statistics.files, found.files);
        add(&statistics.files_unchanged, found.files);
        add(&statistics.directories, found.directories);
        add(&statistics.directories_known, found.directories);
        add(&statistics.specials, found.specials);
        add(&statistics.processed_bytes, found.bytes);
        Counters::add(&session.counters.bytes_done, found.bytes);
        Counters::add(&session.counters.items_done, found.files + found.specials);
        Ok(true)
    }
}

impl BackupWriter {
    /// Takes over the file of this entry's name in the current directory from the parent, with the metadata that it has there,
    /// where size, times and inode are the entry's; says whether it did. What cannot be taken over is to be read.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn carry_same(&mut self, entry: &Entry) -> Result<bool, RepositoryError> {
        let session = self.session.clone();
        let level = self.level()?;
        let Some(node) = level.before.as_mut().and_then(|tree| tree.find(&entry.name)) else {
            return Ok(false);
        };
        let live = session.targets.live();
        let held = |id: &Id| session.known.everywhere(BlobKind::Data, id, live);
        if !is_unchanged(entry, node) || !node.content.iter().all(held) {
            return Ok(false);
        }
        let size = node.entry.metadata.size;
        level.directory.add(&node.entry, size, &node.content, None);
        add(&session.statistics.files, 1);
        add(&session.statistics.files_unchanged, 1);
        add(&session.statistics.processed_bytes, size);
        Counters::add(&session.counters.bytes_done, size);
        Counters::add(&session.counters.items_done, 1);
        Ok(true)
    }
}

/// Makes sure that every destination has all of an entry, and counts what it is.
fn survey(session: &Session, parent: &mut ParentTrees, index: &Index, node: &Node) -> Result<Found, String> {
    let live = session.targets.live();
    let held = |kind, id: &Id| session.known.everywhere(kind, id, live);
    let mut found = Found::default();
    let mut nodes = vec![node.clone()];
    while let Some(node) = nodes.pop() {
        match (&node.entry.kind, node.subtree) {
            (EntryKind::Directory, Some(subtree)) => {
                found.directories += 1;
                if !held(BlobKind::Tree, &subtree) {
                    return Err("a destination lacks a directory of it".to_owned());
                }
                let tree = parent.load(index, &subtree);
                nodes.extend(tree.ok_or("one of its directories cannot be read")?.into_nodes());
            }
            (EntryKind::Directory, None) => return Err("one of its directories has no content".to_owned()),
            (EntryKind::File, _) => {
                found.files += 1;
                found.bytes += node.entry.metadata.size;
                if !node.content.iter().all(|id| held(BlobKind::Data, id)) {
                    return Err("a destination lacks a piece of it".to_owned());
                }
            }
            _ => found.specials += 1,
        }
    }
    Ok(found)
}

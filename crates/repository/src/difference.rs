//! What differs between two backups: both trees walked side by side, where what is the same is not read at all.

use crate::browse::Browser;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::node::Node;
use crate::trees::Trees;
use larder_model::{Entry, EntryKind};
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::vec::IntoIter;

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alteration {
    /// Only the later backup has it.
    Added,
    /// Only the earlier backup has it.
    Removed,
    /// Both have it with other bytes, another link, or as another kind of thing.
    Content,
    /// Both have it with the same content; its mode, owner, attributes or time of change differ.
    Metadata,
}

/// One entry that differs.
#[derive(Clone, Copy, Debug)]
pub struct Altered<'a> {
    /// Its path from the root.
    pub path: &'a [u8],
    /// How it differs.
    pub how: Alteration,
    /// What the earlier backup has.
    pub before: Option<&'a Entry>,
    /// What the later backup has.
    pub after: Option<&'a Entry>,
}

/// Nodes in the order of their names.
type Nodes = Peekable<IntoIter<Node>>;

/// A directory on the way from the root to where the walk is, as one or both backups have it.
struct Level {
    before: Nodes,
    after: Nodes,
    path_bytes: usize,
}

impl Browser {
    /// Calls `visit` with everything that differs between this backup and a later one, in the order of the tree, until it
    /// breaks off.
    ///
    /// Directories that are the same are not read. When something was last read, its inode and a directory's time of change
    /// are no difference. Both backups must have been cut with the same polynomial: those of one repository were.
    ///
    /// # Errors
    /// A tree that cannot be read; [`RepositoryError::Canceled`].
    pub fn compare(
        &self,
        later: &Self,
        visit: &mut dyn FnMut(&Altered<'_>) -> ControlFlow<()>,
    ) -> Result<(), RepositoryError> {
        let mut trees = (Trees::new(self.sources()), Trees::new(later.sources()));
        let roots = (self.snapshot().tree, later.snapshot().tree);
        let mut path = Vec::new();
        let mut levels = Vec::new();
        if roots.0 != roots.1 {
            let (before, after) =
                (children(&mut trees.0, Some(roots.0))?, children(&mut trees.1, Some(roots.1))?);
            levels.push(Level { before, after, path_bytes: 0 });
        }
        while let Some(level) = levels.last_mut() {
            self.sources().cancel().check()?;
            later.sources().cancel().check()?;
            path.truncate(level.path_bytes);
            let (before, after) = level.next();
            let Some(name) = before.as_ref().or(after.as_ref()).map(|node| &node.entry.name) else {
                levels.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            // A directory that became something else, or something else that became one, went and came.
            let pairs = match (before, after) {
                (Some(before), Some(after)) if before.subtree.is_some() != after.subtree.is_some() => {
                    [(Some(before), None), (None, Some(after))]
                }
                pair => [pair, (None, None)],
            };
            for (before, after) in pairs {
                let told = altered(&path, before.as_ref(), after.as_ref());
                if told.is_some_and(|told| visit(&told).is_break()) {
                    return Ok(());
                }
                let subtrees = (subtree(before.as_ref()), subtree(after.as_ref()));
                if subtrees.0 != subtrees.1 {
                    levels.push(Level {
                        before: children(&mut trees.0, subtrees.0)?,
                        after: children(&mut trees.1, subtrees.1)?,
                        path_bytes: path.len(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Level {
    /// Takes the next name of either, with what both have of it.
    fn next(&mut self) -> (Option<Node>, Option<Node>) {
        let order = match (self.before.peek(), self.after.peek()) {
            (Some(before), Some(after)) => before.entry.name.cmp(&after.entry.name),
            (_, None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => (self.before.next(), None),
            Ordering::Greater => (None, self.after.next()),
            Ordering::Equal => (self.before.next(), self.after.next()),
        }
    }
}

fn subtree(node: Option<&Node>) -> Option<Id> {
    node.and_then(|node| node.subtree)
}

fn children(trees: &mut Trees<'_>, subtree: Option<Id>) -> Result<Nodes, RepositoryError> {
    let mut nodes = subtree.map(|tree| trees.load(&tree)).transpose()?.unwrap_or_default().nodes;
    // They are stored so; a repository of somebody else's making need not be.
    nodes.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    Ok(nodes.into_iter().peekable())
}

/// Says how an entry differs; nothing where it does not.
fn altered<'a>(path: &'a [u8], before: Option<&'a Node>, after: Option<&'a Node>) -> Option<Altered<'a>> {
    let how = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => Alteration::Added,
        (Some(_), None) => Alteration::Removed,
        (Some(before), Some(after)) if before.entry.kind != after.entry.kind => Alteration::Content,
        (Some(before), Some(after)) if before.content != after.content => Alteration::Content,
        (Some(before), Some(after)) if !same_metadata(&before.entry, &after.entry) => Alteration::Metadata,
        _ => return None,
    };
    Some(Altered { path, how, before: before.map(|node| &node.entry), after: after.map(|node| &node.entry) })
}

fn same_metadata(before: &Entry, after: &Entry) -> bool {
    let (a, b) = (&before.metadata, &after.metadata);
    // A directory's time tells only that a name in it came or went, which is told by itself.
    let same_time = before.kind == EntryKind::Directory || a.modified == b.modified;
    same_time && (a.mode, a.uid, a.gid, &a.xattrs) == (b.mode, b.uid, b.gid, &b.xattrs)
}

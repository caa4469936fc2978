//! The trees of a backup, from whichever destination has them.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::node::Node;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::tree::Tree;
use crate::tree_reader::TreeReader;
use std::collections::HashSet;

/// What is at a path of a backup.
#[derive(Debug)]
pub(crate) enum Found {
    /// A directory, with all that is in it.
    Directory(Vec<Node>),
    /// Anything else.
    Other(Box<Node>),
}

impl Found {
    /// Returns all that is in the directory, or the one thing that is there.
    pub(crate) fn into_nodes(self) -> Vec<Node> {
        match self {
            Self::Directory(nodes) => nodes,
            Self::Other(node) => vec![*node],
        }
    }
}

/// Reads trees one after another.
#[derive(Debug)]
pub(crate) struct Trees<'a> {
    sources: &'a Sources,
    /// By destination, made when first needed.
    readers: Vec<(usize, TreeReader)>,
}

impl<'a> Trees<'a> {
    pub(crate) const fn new(sources: &'a Sources) -> Self {
        Self { sources, readers: Vec::new() }
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// Why the destination that should have had it could not give it; [`RepositoryError::Missing`] where none knows it.
    pub(crate) fn load(&mut self, id: &Id) -> Result<Tree, RepositoryError> {
        let mut failure = None;
        let mut tried = Vec::new();
        while let Some((number, location)) =
            self.sources.places(BlobKind::Tree, *id).find(|(number, _)| !tried.contains(number))
        {
            tried.push(number);
            match self.load_from(number, id) {
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => {
                    self.sources.learn_from(number, &error);
                    self.sources.damaged(number, &location, &error.to_string());
                    failure = Some(error);
                }
                tree => return tree,
            }
        }
        Err(failure.unwrap_or_else(|| RepositoryError::Missing {
            object: format!("the tree {id}"),
            destination: self.sources.describe(),
            remedy: "run a check to see which backups need it".to_owned(),
        }))
    }

    fn load_from(&mut self, number: usize, id: &Id) -> Result<Tree, RepositoryError> {
        let none = || RepositoryError::Internal { what: format!("there is no destination {number}") };
        let index = self.sources.index(number).ok_or_else(none)?;
        if let Some((_, reader)) = self.readers.iter_mut().find(|(at, _)| *at == number) {
            return reader.load(index, id);
        }
        let repository = self.sources.repository(number).ok_or_else(none)?;
        let mut reader =
            TreeReader::new(repository, index, self.sources.cancel())?.within(self.sources.limit());
        let tree = reader.load(index, id);
        self.readers.push((number, reader));
        tree
    }

    /// Finds what is at a path of a backup.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`] where there is nothing; a tree on the way that cannot be read.
    pub(crate) fn find(
        &mut self,
        snapshot: &Snapshot,
        path: Option<&[u8]>,
    ) -> Result<Found, RepositoryError> {
        let mut tree = self.load(&snapshot.tree)?;
        let parts = path.unwrap_or_default().split(|byte| *byte == b'/');
        let mut parts = parts.filter(|part| !part.is_empty() && *part != b".").peekable();
        while let Some(part) = parts.next() {
            let node = tree.find(part).cloned();
            match (node, parts.peek().is_some()) {
                (Some(Node { subtree: Some(subtree), .. }), _) => tree = self.load(&subtree)?,
                (Some(node), false) => return Ok(Found::Other(Box::new(node))),
                _ => {
                    let path = String::from_utf8_lossy(path.unwrap_or_default()).into_owned();
                    return Err(RepositoryError::Missing {
                        object: format!("'{path}' of the backup {}", snapshot.id),
                        destination: self.sources.describe(),
                        remedy: "list the backup to see what is in it".to_owned(),
                    });
                }
            }
        }
        Ok(Found::Directory(tree.nodes))
    }

    /// Returns the packs in destinations with a cold class that hold the files among nodes and below them. Trees are never
    /// cold.
    ///
    /// # Errors
    /// [`RepositoryError::Canceled`]; a tree that cannot be read is left to whoever needs it.
    pub(crate) fn cold_packs(&mut self, nodes: &[Node]) -> Result<HashSet<(usize, Id)>, RepositoryError> {
        let mut packs = HashSet::new();
        if !self.sources.any_cold() {
            return Ok(packs);
        }
        let sources = self.sources;
        let mut seen = HashSet::new();
        let mut pending = Vec::new();
        let mut look = |nodes: &[Node], pending: &mut Vec<Id>| {
            for node in nodes {
                sources.cold_packs(&node.content, &mut packs);
                pending.extend(node.subtree.filter(|tree| seen.insert(*tree)));
            }
        };
        look(nodes, &mut pending);
        while let Some(tree) = pending.pop() {
            sources.cancel().check()?;
            match self.load(&tree) {
                Err(error) if error.is_canceled() => return Err(error),
                Err(_) => {}
                Ok(tree) => look(&tree.nodes, &mut pending),
            }
        }
        Ok(packs)
    }
}

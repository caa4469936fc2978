//! From the backups down through their trees: what cannot be had, and which files need it.

use super::report::Findings;
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree_reader::TreeReader;
use crate::walk_blobs::BlobSet;
use larder_model::Cancel;

const MISSING: &str = "fetch the pack that holds it from another destination; what is named as lost cannot be restored \
                       from here, and the next backup stores anew what the source still has";

const UNINDEXED: &str = "there are packs that are in no index, and it may be in one of them: rebuild the index, then \
                         check again";

/// Says what cannot be had, and is told what is lost with it.
pub(super) trait Judge {
    /// Why a blob cannot be had.
    type Fault: Copy;

    /// Returns why a blob cannot be had, or nothing where it can.
    fn blob(&mut self, kind: BlobKind, id: &Id) -> Option<Self::Fault>;

    /// Is told of a tree that should be there and cannot be read.
    fn unreadable(&mut self, tree: &Id, error: &RepositoryError) -> Self::Fault;

    /// Is told of a file that lacks a blob, or of a directory whose tree is lost; `path` is `/` for all of a backup.
    fn lose(&mut self, fault: Self::Fault, snapshot: &Snapshot, path: &[u8]) -> Result<(), RepositoryError>;
}

/// A directory that is being looked at.
struct Level {
    tree: Id,
    nodes: std::vec::IntoIter<crate::node::Node>,
    path_bytes: usize,
    clean: bool,
}

struct Trace<'a, J> {
    index: &'a Index,
    judge: &'a mut J,
    trees: TreeReader,
    levels: Vec<Level>,
}

/// Visits every tree; one found clean is not visited again, one that is not is visited for each backup that has it.
///
/// One bit for each tree of the index and the directories from the root to where the walk is: no more is kept in memory.
pub(super) fn trace(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
    judge: &mut impl Judge,
    cancel: &Cancel,
) -> Result<(), RepositoryError> {
    let mut clean = BlobSet::new(index);
    let trees = TreeReader::new(repository, index, cancel)?;
    let mut trace = Trace { index, judge, trees, levels: Vec::new() };
    for snapshot in snapshots {
        let mut path = Vec::new();
        trace.open(snapshot, &snapshot.tree, &path)?;
        while let Some(level) = trace.levels.last_mut() {
            cancel.check()?;
            path.truncate(level.path_bytes);
            let Some(node) = level.nodes.next() else {
                let (tree, was_clean) = (level.tree, level.clean);
                trace.levels.pop();
                if was_clean {
                    clean.insert(index, BlobKind::Tree, &tree);
                } else if let Some(above) = trace.levels.last_mut() {
                    above.clean = false;
                }
                continue;
            };
            path.push(b'/');
            path.extend_from_slice(&node.entry.name);
            let lost = node.content.iter().fold(None, |lost, id| {
                let fault = trace.judge.blob(BlobKind::Data, id);
                lost.or(fault)
            });
            if let Some(fault) = lost {
                level.clean = false;
                trace.judge.lose(fault, snapshot, &path)?;
            }
            if let Some(subtree) = node.subtree
                && !clean.contains(index, BlobKind::Tree, &subtree)
            {
                trace.open(snapshot, &subtree, &path)?;
            }
        }
    }
    Ok(())
}

impl<J: Judge> Trace<'_, J> {
    fn open(&mut self, snapshot: &Snapshot, tree: &Id, path: &[u8]) -> Result<(), RepositoryError> {
        let fault = match self.judge.blob(BlobKind::Tree, tree) {
            Some(fault) => fault,
            None => match self.trees.load(self.index, tree) {
                Ok(loaded) => {
                    let nodes = loaded.nodes.into_iter();
                    self.levels.push(Level { tree: *tree, nodes, path_bytes: path.len(), clean: true });
                    return Ok(());
                }
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => self.judge.unreadable(tree, &error),
            },
        };
        self.judge.lose(fault, snapshot, if path.is_empty() { b"/" } else { path })?;
        if let Some(level) = self.levels.last_mut() {
            level.clean = false;
        }
        Ok(())
    }
}

/// The judge of a check: what packs showed to be bad, and what no index knows.
pub(super) struct ByFindings<'a> {
    pub(super) index: &'a Index,
    pub(super) findings: &'a mut Findings,
}

impl ByFindings<'_> {
    /// What to do about a blob that is in no index.
    const fn remedy(&self) -> &'static str {
        if self.findings.unindexed > 0 { UNINDEXED } else { MISSING }
    }
}

impl Judge for ByFindings<'_> {
    /// The number of a problem.
    type Fault = usize;

    fn blob(&mut self, kind: BlobKind, id: &Id) -> Option<usize> {
        if let Some(problem) = self.findings.bad(kind, id) {
            return Some(problem);
        }
        if self.index.contains(kind, id) {
            return None;
        }
        let object = format!("the {} blob {id}", kind.as_str());
        let problem = self.findings.add(object, "it is in no index".to_owned(), self.remedy());
        self.findings.spoil(kind, *id, problem);
        Some(problem)
    }

    fn unreadable(&mut self, tree: &Id, error: &RepositoryError) -> usize {
        let known = self.index.contains(BlobKind::Tree, tree);
        let remedy = if known { MISSING } else { self.remedy() };
        let problem = self.findings.add(format!("the tree blob {tree}"), error.to_string(), remedy);
        self.findings.spoil(BlobKind::Tree, *tree, problem);
        problem
    }

    fn lose(&mut self, problem: usize, snapshot: &Snapshot, path: &[u8]) -> Result<(), RepositoryError> {
        self.findings.lose(problem, &snapshot.id, path);
        Ok(())
    }
}

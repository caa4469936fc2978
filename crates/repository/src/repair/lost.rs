//! What is lost for good: a walk through all backups that stops at nothing and names every file and directory.

use super::rewrite::NewTrees;
use super::{DamagedBackups, Repair, RepairReport, VisitLoss};
use crate::blob::BlobKind;
use crate::check::Loss;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::layout::ObjectKind;
use crate::node::Node;
use crate::snapshot::Snapshot;
use crate::tree::Tree;
use crate::tree_reader::TreeReader;
use crate::walk_blobs::BlobSet;

/// A directory that is being looked at.
struct Level {
    tree: Id,
    /// Its own entry in the directory above; the root has none.
    entry: Option<Node>,
    nodes: std::vec::IntoIter<Node>,
    /// What is not lost of it.
    kept: Vec<Node>,
    path_bytes: usize,
    clean: bool,
}

/// What became of a backup's tree.
enum Verdict {
    Clean,
    /// Something is lost; the tree of what is left, where one was asked for and anything is.
    Damaged(Option<Id>),
}

/// Walks through all backups, and writes those anew that lost something, as far as that was asked for.
pub(super) fn find(
    repair: &Repair<'_>,
    on_loss: VisitLoss<'_>,
    report: &mut RepairReport,
) -> Result<(), RepositoryError> {
    let (repository, cancel) = (&repair.guarded.repository, &repair.guarded.cancel);
    let index = repository.load_index(cancel)?;
    let mut walk = Walk {
        repair,
        index: &index,
        trees: TreeReader::new(repository, &index, cancel)?,
        clean: BlobSet::new(&index),
    };
    let rewrites = repair.options.damaged_backups != DamagedBackups::Keep;
    let mut new_trees = rewrites.then(|| NewTrees::new(&repair.guarded, &index));
    let mut damaged = Vec::new();
    for (id, _) in repository.list(ObjectKind::Snapshot)? {
        let json = match repository.read_object(ObjectKind::Snapshot, &id) {
            Ok(json) => json,
            // It was noted already.
            Err(error) if error.proves_damage() => continue,
            Err(error) => return Err(error),
        };
        let Ok(snapshot) = Snapshot::from_json(&id, &json) else { continue };
        let mut losses = 0;
        let verdict = walk.look_at(&snapshot, new_trees.as_mut(), &mut |loss| {
            losses += 1;
            on_loss(loss);
        })?;
        report.losses += losses;
        if let Verdict::Damaged(rest) = verdict {
            report.damaged_backups.push(snapshot.id);
            damaged.push((id, json, rest));
        }
    }
    let Some(new_trees) = new_trees else { return Ok(()) };
    report.packs_written += new_trees.finish()?;
    super::rewrite::backups(repair, damaged, report)
}

struct Walk<'a> {
    repair: &'a Repair<'a>,
    index: &'a Index,
    trees: TreeReader,
    clean: BlobSet,
}

impl Walk<'_> {
    fn look_at(
        &mut self,
        snapshot: &Snapshot,
        mut new_trees: Option<&mut NewTrees<'_>>,
        on_loss: VisitLoss<'_>,
    ) -> Result<Verdict, RepositoryError> {
        let mut path = Vec::new();
        let mut lose = |path: &[u8]| {
            let path = String::from_utf8_lossy(if path.is_empty() { b"/" } else { path }).into_owned();
            on_loss(Loss { snapshot: snapshot.id.clone(), path });
        };
        let Some(root) = self.open(snapshot.tree, None, 0)? else {
            lose(&path);
            return Ok(Verdict::Damaged(None));
        };
        let mut levels = vec![root];
        while let Some(level) = levels.last_mut() {
            self.repair.guarded.check()?;
            path.truncate(level.path_bytes);
            let Some(node) = level.nodes.next() else {
                let Some(done) = levels.pop() else { break };
                let rest = if done.clean {
                    self.clean.insert(self.index, BlobKind::Tree, &done.tree);
                    done.tree
                } else {
                    match &mut new_trees {
                        Some(new_trees) => new_trees.store(&Tree { nodes: done.kept })?,
                        None => done.tree,
                    }
                };
                let (Some(above), Some(mut entry)) = (levels.last_mut(), done.entry) else {
                    let rest = new_trees.is_some().then_some(rest);
                    return Ok(if done.clean { Verdict::Clean } else { Verdict::Damaged(rest) });
                };
                above.clean &= done.clean;
                entry.subtree = Some(rest);
                above.kept.push(entry);
                continue;
            };
            path.push(b'/');
            path.extend_from_slice(&node.entry.name);
            if node.content.iter().any(|id| !self.index.contains(BlobKind::Data, id)) {
                level.clean = false;
                lose(&path);
                continue;
            }
            let Some(subtree) =
                node.subtree.filter(|tree| !self.clean.contains(self.index, BlobKind::Tree, tree))
            else {
                level.kept.push(node);
                continue;
            };
            match self.open(subtree, Some(node), path.len())? {
                Some(below) => levels.push(below),
                None => {
                    level.clean = false;
                    lose(&path);
                }
            }
        }
        Ok(Verdict::Clean)
    }

    /// Reads a directory; `None` where it is lost.
    fn open(
        &mut self,
        tree: Id,
        entry: Option<Node>,
        path_bytes: usize,
    ) -> Result<Option<Level>, RepositoryError> {
        match self.trees.load(self.index, &tree) {
            Ok(loaded) => {
                let nodes = loaded.nodes.into_iter();
                Ok(Some(Level { tree, entry, nodes, kept: Vec::new(), path_bytes, clean: true }))
            }
            Err(error) if error.proves_damage() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

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

fn remedy(findings: &Findings) -> &'static str {
    if findings.unindexed > 0 { UNINDEXED } else { MISSING }
}

/// A directory that is being looked at.
struct Level {
    tree: Id,
    nodes: std::vec::IntoIter<crate::node::Node>,
    path_bytes: usize,
    clean: bool,
}

/// Visits every tree; one found clean is not visited again, one that is not is visited for each backup that has it.
pub(super) fn trace(
    repository: &Repository,
    index: &Index,
    snapshots: &[Snapshot],
    findings: &mut Findings,
    cancel: &Cancel,
) -> Result<(), RepositoryError> {
    let mut clean = BlobSet::new(index);
    let mut trees = TreeReader::new(repository, index, cancel)?;
    for snapshot in snapshots {
        let mut path = Vec::new();
        let mut levels = Vec::new();
        open(index, &mut trees, findings, snapshot, &mut levels, (&snapshot.tree, 0), b"/")?;
        while let Some(level) = levels.last_mut() {
            cancel.check()?;
            path.truncate(level.path_bytes);
            let Some(node) = level.nodes.next() else {
                let (tree, was_clean) = (level.tree, level.clean);
                levels.pop();
                if was_clean {
                    clean.insert(index, BlobKind::Tree, &tree);
                } else if let Some(above) = levels.last_mut() {
                    above.clean = false;
                }
                continue;
            };
            path.push(b'/');
            path.extend_from_slice(&node.entry.name);
            let mut lost = None;
            for id in &node.content {
                lost = lost.or_else(|| problem(index, findings, BlobKind::Data, id));
            }
            if let Some(problem) = lost {
                level.clean = false;
                findings.lose(problem, &snapshot.id, &path);
            }
            if let Some(subtree) = node.subtree
                && !clean.contains(index, BlobKind::Tree, &subtree)
            {
                open(index, &mut trees, findings, snapshot, &mut levels, (&subtree, path.len()), &path)?;
            }
        }
    }
    Ok(())
}

/// Returns the problem because of which a blob cannot be had.
fn problem(index: &Index, findings: &mut Findings, kind: BlobKind, id: &Id) -> Option<usize> {
    if let Some(problem) = findings.bad(kind, id) {
        return Some(problem);
    }
    if index.contains(kind, id) {
        return None;
    }
    let remedy = remedy(findings);
    let problem =
        findings.add(format!("the {} blob {id}", kind.as_str()), "it is in no index".to_owned(), remedy);
    findings.spoil(kind, *id, problem);
    Some(problem)
}

fn open(
    index: &Index,
    trees: &mut TreeReader,
    findings: &mut Findings,
    snapshot: &Snapshot,
    levels: &mut Vec<Level>,
    (tree, path_bytes): (&Id, usize),
    path: &[u8],
) -> Result<(), RepositoryError> {
    let failed = match findings.bad(BlobKind::Tree, tree) {
        Some(problem) => problem,
        None => match trees.load(index, tree) {
            Ok(loaded) => {
                let nodes = loaded.nodes.into_iter();
                levels.push(Level { tree: *tree, nodes, path_bytes, clean: true });
                return Ok(());
            }
            Err(error) if error.is_canceled() => return Err(error),
            Err(error) => {
                let remedy = if index.contains(BlobKind::Tree, tree) { MISSING } else { remedy(findings) };
                let problem = findings.add(format!("the tree blob {tree}"), error.to_string(), remedy);
                findings.spoil(BlobKind::Tree, *tree, problem);
                problem
            }
        },
    };
    findings.lose(failed, &snapshot.id, path);
    if let Some(level) = levels.last_mut() {
        level.clean = false;
    }
    Ok(())
}

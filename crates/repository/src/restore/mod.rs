//! Restoring a backup, or a part of it, below a directory.
//!
//! A walk makes directories and specials and collects files into batches of bounded size; the chunks of a batch are
//! fetched in the order in which they lie in packs, neighbours at once, each checked by its hash before it is written.
//! Nothing outside the target is ever touched: names cannot lead out, and links on the way are not followed.
//! What cannot be restored is reported file by file, and the rest is restored.

mod batch;
mod file;
mod metadata;
mod options;
mod place;
mod report;
mod walk;

pub use options::{RestoreFailure, RestoreOptions, RestoreSummary};

use crate::error::RepositoryError;
use crate::lock::Lock;
use crate::node::Node;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree_reader::TreeReader;
use batch::Context;
use file::Files;
use larder_model::{Cancel, Counters};
use place::Place;
use report::Report;
use std::path::Path;
use std::time::Duration;
use walk::Walk;

/// How long a restore waits for whoever removes something from the repository.
const LOCK_WAIT: Duration = Duration::from_secs(30);

fn local(action: &'static str, path: &Path, error: &std::io::Error, remedy: &'static str) -> RepositoryError {
    let cause = error.to_string();
    let cause = cause.split(" (os error ").next().unwrap_or(&cause).to_lowercase();
    RepositoryError::Local { action, path: path.display().to_string(), cause, remedy }
}

fn prepare(target: &Path, options: &RestoreOptions) -> Result<Place, RepositoryError> {
    let permit = "name a directory that the user Larder runs as can write to";
    std::fs::create_dir_all(target).map_err(|e| local("make the directory", target, &e, permit))?;
    let mut entries = std::fs::read_dir(target).map_err(|e| local("list", target, &e, permit))?;
    if !options.overwrite && entries.next().is_some() {
        return Err(RepositoryError::Local {
            action: "restore into",
            path: target.display().to_string(),
            cause: "it is not empty".to_owned(),
            remedy: "name an empty directory, or say that what is there may be overwritten",
        });
    }
    Place::open(target, options.overwrite).map_err(|e| local("open", target, &e.into(), permit))
}

impl Repository {
    /// Restores a backup below a directory, which is made where it does not exist.
    ///
    /// A file gets its name only when every byte of it was checked and written. One that cannot be completed stays
    /// behind as `<name>.larder-partial` with zeros for what is missing, and is reported; a file that exists under the
    /// right name and is overwritten is changed under that name, too.
    /// A restore that was stopped goes on where it was when it is started again with overwriting allowed.
    ///
    /// # Errors
    /// [`RepositoryError::Incomplete`] when something could not be restored, with all that could; why the restore could
    /// not begin; [`RepositoryError::Local`] when the disk is full; [`RepositoryError::Canceled`].
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        target: &Path,
        options: &RestoreOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<RestoreSummary, RepositoryError> {
        let _lock = Lock::shared_if_writable(self, LOCK_WAIT, cancel)?;
        let index = self.load_readable_index(&snapshot.tree, cancel)?;
        let mut trees = TreeReader::new(self, &index, cancel)?;
        let nodes = self.find_nodes(&mut trees, &index, snapshot, options.path.as_deref())?;
        drop(trees);
        let place = prepare(target, options)?;
        let report = Report::default();
        let files = Files::new(&place, &report, counters);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if options.threads == 0 { (cores + 2).min(12) } else { options.threads };
        let context = Context {
            repository: self,
            index: &index,
            cancel,
            files: &files,
            threads,
            trust_times: options.trust_times,
            target: target.display().to_string(),
        };
        Walk::new(&context)?.run(nodes)?;
        let summary = report.take();
        if summary.failed == 0 {
            return Ok(summary);
        }
        let first = summary.failures.first();
        let first = first.map(|first| format!("'{}': {}", first.path, first.cause)).unwrap_or_default();
        Err(RepositoryError::Incomplete {
            failed: summary.failed,
            target: target.display().to_string(),
            first,
            summary: Box::new(summary),
        })
    }

    /// Finds what is at a path of a backup: all that is in a directory, or the one thing there.
    pub(crate) fn find_nodes(
        &self,
        trees: &mut TreeReader,
        index: &crate::index::Index,
        snapshot: &Snapshot,
        path: Option<&[u8]>,
    ) -> Result<Vec<Node>, RepositoryError> {
        let mut tree = trees.load(index, &snapshot.tree)?;
        let parts = path.unwrap_or_default().split(|byte| *byte == b'/');
        let mut parts = parts.filter(|part| !part.is_empty() && *part != b".").peekable();
        while let Some(part) = parts.next() {
            let node = tree.find(part).cloned();
            match (node, parts.peek().is_some()) {
                (Some(Node { subtree: Some(subtree), .. }), _) => tree = trees.load(index, &subtree)?,
                (Some(node), false) => return Ok(vec![node]),
                _ => {
                    let path = String::from_utf8_lossy(path.unwrap_or_default()).into_owned();
                    return Err(RepositoryError::Missing {
                        object: format!("'{path}' of the backup {}", snapshot.id),
                        destination: self.describe(),
                        remedy: "list the backup to see what is in it".to_owned(),
                    });
                }
            }
        }
        Ok(tree.nodes)
    }
}

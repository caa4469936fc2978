//! Restoring a backup, or a part of it, below a directory.
//!
//! A walk makes directories and specials and collects files into batches of bounded size; the chunks of a batch are
//! fetched in the order in which they lie in packs, neighbours at once, each checked by its hash before it is written.
//! Nothing outside the target is ever touched: names cannot lead out, and links on the way are not followed.
//! What cannot be restored is reported file by file, and the rest is restored.

mod batch;
mod file;
mod jobs;
mod metadata;
mod options;
mod place;
mod report;
mod uncached;
mod walk;

pub use options::{RestoreFailure, RestoreOptions, RestoreSummary};

use crate::error::RepositoryError;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::trees::Trees;
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
    /// Does what [`restore_from`] does with this one destination.
    ///
    /// # Errors
    /// Those of [`restore_from`].
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        target: &Path,
        options: &RestoreOptions,
        cancel: &Cancel,
        counters: &Counters,
    ) -> Result<RestoreSummary, RepositoryError> {
        restore_from(std::slice::from_ref(self), snapshot, target, options, cancel, counters)
    }
}

/// Restores a backup below a directory, which is made where it does not exist, from destinations that hold the same
/// backups, the best first: what one of them has lost, has damaged or cannot give now comes from another.
///
/// A file gets its name only when every byte of it was checked and written. One that cannot be completed stays
/// behind as `<name>.larder-partial` with zeros for what is missing, and is reported; a file that exists under the
/// right name and is overwritten is changed under that name, too.
/// A restore that was stopped goes on where it was when it is started again with overwriting allowed.
/// Packs in cold storage are asked for at the beginning, all at once; what can be read is restored while the rest is waited
/// for, however long that takes.
///
/// # Errors
/// [`RepositoryError::Incomplete`] when something could not be restored, with all that could; why the restore could
/// not begin; [`RepositoryError::Local`] when the disk is full; [`RepositoryError::Canceled`].
pub fn restore_from(
    destinations: &[Repository],
    snapshot: &Snapshot,
    target: &Path,
    options: &RestoreOptions,
    cancel: &Cancel,
    counters: &Counters,
) -> Result<RestoreSummary, RepositoryError> {
    let sources = Sources::open(destinations, snapshot.tree, LOCK_WAIT, cancel)?;
    sources.thaw().poll_every(options.poll_cold);
    sources.wait_for_at_most(options.patience);
    let mut trees = Trees::new(&sources);
    let nodes = trees.find(snapshot, options.path.as_deref())?.into_nodes();
    let place = prepare(target, options)?;
    sources.request(&trees.cold_packs(&nodes)?)?;
    drop(trees);
    let report = Report::default();
    let files = Files::new(&place, &report, counters);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if options.threads == 0 { (cores + 2).min(12) } else { options.threads };
    let context = Context {
        sources: &sources,
        cancel,
        files: &files,
        threads,
        trust_times: options.trust_times,
        target: target.display().to_string(),
    };
    Walk::new(&context).run(nodes)?;
    let mut summary = report.take();
    summary.faults = sources.faults();
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

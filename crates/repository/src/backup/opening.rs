//! The beginning of a backup: all destinations are opened at once, and the backup before is found.

use super::known::Known;
use super::options::{BackupOptions, ParentRule};
use super::pack_pool::LOOK;
use super::parent::{ParentTrees, find_parent};
use crate::error::RepositoryError;
use crate::index::Index;
use crate::lock::Lock;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use larder_model::{BackupId, Cancel, Canceled};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long an exclusive lock of somebody else is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// What is read from a repository before a backup begins.
struct Opening {
    lock: Lock,
    index: Index,
    parent: Option<Snapshot>,
}

/// A destination and the backup there that serves as parent; or why it is left out.
pub(super) type Outcome = (Repository, Result<Option<BackupId>, RepositoryError>);

/// All destinations, opened or left out.
pub(super) struct Opened {
    pub(super) known: Known,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) locks: Vec<Option<Lock>>,
    /// The trees of the backup before, at the first destination that has one.
    pub(super) parent: Option<ParentTrees>,
    pub(super) parent_target: usize,
}

fn open(
    repository: &Repository,
    rule: Option<&ParentRule>,
    cancel: &Cancel,
) -> Result<Opening, RepositoryError> {
    // Before the index is read: what it names must not be pruned while this backup refers to it.
    let (lock, (index, parent)) = Lock::shared_while(repository, LOCK_WAIT, cancel, || {
        let index = repository.load_index_of_present_packs(cancel)?;
        let parent = match rule {
            Some(rule) => find_parent(repository, rule, cancel)?,
            None => None,
        };
        Ok((index, parent))
    })?;
    Ok(Opening { lock, index, parent })
}

/// Says that a thread could not be started.
pub(super) fn no_thread(cause: &std::io::Error) -> RepositoryError {
    RepositoryError::Local {
        action: "start",
        path: "a worker thread".to_owned(),
        cause: cause.to_string(),
        remedy: "raise the limit of threads, or back up with fewer",
    }
}

/// Opens all destinations, each on a thread of its own, so that one that hangs holds up neither the others nor an abort.
fn open_each(
    targets: &[Repository],
    options: &BackupOptions,
    cancel: &Cancel,
) -> Result<Vec<Result<Opening, RepositoryError>>, RepositoryError> {
    let (done, opened) = channel();
    for (number, repository) in targets.iter().enumerate() {
        let (done, repository, rule) = (done.clone(), repository.clone(), options.parent.clone());
        let cancel = cancel.clone();
        let work = move || {
            // Where nobody waits any more, the lock is given back right here.
            let _ = done.send((number, open(&repository, rule.as_ref(), &cancel)));
        };
        std::thread::Builder::new()
            .name(format!("opening-{number}"))
            .spawn(work)
            .map_err(|cause| no_thread(&cause))?;
    }
    drop(done);
    let began = Instant::now();
    let mut all: Vec<Option<Result<Opening, RepositoryError>>> = targets.iter().map(|_| None).collect();
    while all.iter().any(Option::is_none) {
        match opened.recv_timeout(LOOK) {
            Ok((number, outcome)) => all[number] = Some(outcome),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let what = "a thread that opens a destination ended unexpectedly".to_owned();
                return Err(RepositoryError::Internal { what });
            }
        }
        cancel.check()?;
        let ready = all.iter().flatten().any(Result::is_ok);
        let patience_seconds = if ready { options.opening_seconds } else { options.silence_seconds };
        if began.elapsed() > Duration::from_secs(patience_seconds) {
            for (outcome, repository) in all.iter_mut().zip(targets) {
                outcome.get_or_insert_with(|| {
                    let destination = repository.describe();
                    Err(RepositoryError::Stalled { destination, waited_seconds: patience_seconds })
                });
            }
        }
    }
    Ok(all.into_iter().flatten().collect())
}

/// Opens all destinations. One that cannot be used is left out, as long as one can.
pub(super) fn open_all(
    targets: &[Repository],
    options: &BackupOptions,
    cancel: &Cancel,
) -> Result<Opened, RepositoryError> {
    let (mut indexes, mut parents) = (Vec::new(), Vec::new());
    let (mut locks, mut outcomes) = (Vec::new(), Vec::new());
    for (repository, opening) in targets.iter().zip(open_each(targets, options, cancel)?) {
        let (lock, index, parent, outcome) = match opening {
            Ok(Opening { lock, index, parent }) => {
                let id = parent.as_ref().map(|snapshot| snapshot.id.clone());
                (Some(lock), Some(index), parent, Ok(id))
            }
            Err(error) if error.is_canceled() || targets.len() == 1 => return Err(error),
            Err(error) => (None, None, None, Err(error)),
        };
        locks.push(lock);
        indexes.push(index);
        parents.push(parent);
        outcomes.push((repository.clone(), outcome));
    }
    if outcomes.iter().all(|(_, outcome)| outcome.is_err()) {
        let first = outcomes.into_iter().find_map(|(_, outcome)| outcome.err());
        return Err(first.unwrap_or(RepositoryError::Canceled(Canceled)));
    }
    let known = Known::new(indexes);
    let patience = Duration::from_secs(options.stall_seconds);
    let (mut parent, mut parent_target) = (None, 0);
    for (number, snapshot) in parents.into_iter().enumerate() {
        if let (None, Some(snapshot), Some(index)) = (&parent, snapshot, known.index(number)) {
            parent = ParentTrees::new(targets[number].clone(), index, snapshot.tree, patience);
            parent_target = number;
        }
    }
    Ok(Opened { known, outcomes, locks, parent, parent_target })
}

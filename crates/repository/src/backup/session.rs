//! What the threads of one backup share.

use super::known::Known;
use super::packers::Packers;
use super::queue::Queue;
use super::target::TargetSet;
use crate::error::RepositoryError;
use crate::id::Id;
use larder_model::{Cancel, Canceled, Counters};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether to go on: stopped from outside, by the first failure, or by the writer being dropped.
#[derive(Debug)]
pub(super) struct Signals {
    cancel: Cancel,
    stopped: AtomicBool,
    failure: Mutex<Option<RepositoryError>>,
}

impl Signals {
    pub(super) fn new(cancel: Cancel) -> Self {
        Self { cancel, stopped: AtomicBool::new(false), failure: Mutex::default() }
    }

    /// Returns an error once the backup is to stop; [`Signals::reason`] knows why.
    pub(super) fn check(&self) -> Result<(), RepositoryError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(RepositoryError::Canceled(Canceled));
        }
        Ok(self.cancel.check()?)
    }

    /// Stops everything; the first reason is kept.
    pub(super) fn fail(&self, error: RepositoryError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() && !self.cancel.is_canceled() {
            *failure = Some(error);
        }
        drop(failure);
        self.stop();
    }

    /// Stops everything without a reason of its own.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Returns why the backup stopped, given what the failed call returned.
    pub(super) fn reason(&self, fallback: RepositoryError) -> RepositoryError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or(fallback)
    }
}

/// What was counted; each name ends in its unit.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    pub(super) files: AtomicU64,
    pub(super) files_changed: AtomicU64,
    pub(super) files_unchanged: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) directories_known: AtomicU64,
    pub(super) specials: AtomicU64,
    pub(super) processed_bytes: AtomicU64,
    pub(super) read_bytes: AtomicU64,
    pub(super) new_data_blobs: AtomicU64,
    pub(super) new_tree_blobs: AtomicU64,
    pub(super) new_bytes: AtomicU64,
    pub(super) new_packed_bytes: AtomicU64,
}

/// Everything the walking thread, the workers and the uploads share.
pub(super) struct Session {
    pub(super) signals: Signals,
    pub(super) counters: Arc<Counters>,
    pub(super) statistics: Statistics,
    pub(super) known: Known,
    pub(super) targets: Arc<TargetSet>,
    pub(super) packers: Packers,
    pub(super) queue: Queue,
    pub(super) unreadable: Mutex<Vec<(String, String)>>,
    pub(super) root: Mutex<Option<Id>>,
}

impl Session {
    /// Returns an error once the backup is to stop, or no destination is left.
    pub(super) fn check(&self) -> Result<(), RepositoryError> {
        self.signals.check()?;
        if self.targets.live() == 0 {
            // The first destination's own failure is what the caller is told in the end.
            return Err(RepositoryError::Canceled(Canceled));
        }
        Ok(())
    }

    /// Notes something that could not be read.
    pub(super) fn note_unreadable(&self, path: String, cause: String) {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).push((path, cause));
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Reads a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

//! What a restore did so far, collected from all its threads.

use super::metadata::words;
use super::options::{RestoreFailure, RestoreSummary};
use larder_model::Counters;
use rustix::io::Errno;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Warnings and failures that are kept in words.
const MOST_KEPT: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Report {
    summary: Mutex<RestoreSummary>,
    owner_noted: AtomicBool,
    written_bytes: AtomicU64,
    skipped_bytes: AtomicU64,
}

impl Report {
    fn summary(&self) -> MutexGuard<'_, RestoreSummary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(self) -> RestoreSummary {
        let mut summary = self.summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.written_bytes = self.written_bytes.load(Ordering::Acquire);
        summary.skipped_bytes = self.skipped_bytes.load(Ordering::Acquire);
        summary
    }

    pub(super) fn wrote(&self, counters: &Counters, bytes: u64) {
        Counters::add(&self.written_bytes, bytes);
        Counters::add(&counters.bytes_done, bytes);
    }

    pub(super) fn skipped(&self, counters: &Counters, bytes: u64) {
        Counters::add(&self.skipped_bytes, bytes);
        Counters::add(&counters.bytes_done, bytes);
    }

    pub(super) fn file(&self, counters: &Counters, unchanged: bool) {
        let mut summary = self.summary();
        summary.files += 1;
        summary.files_unchanged += u64::from(unchanged);
        Counters::add(&counters.items_done, 1);
    }

    pub(super) fn directory(&self) {
        self.summary().directories += 1;
    }

    pub(super) fn special(&self, counters: &Counters) {
        self.summary().specials += 1;
        Counters::add(&counters.items_done, 1);
    }

    pub(super) fn fail(&self, path: String, cause: String, partial: Option<String>) {
        let mut summary = self.summary();
        summary.failed += 1;
        if summary.failures.len() < MOST_KEPT {
            summary.failures.push(RestoreFailure { path, cause, partial });
        }
    }

    pub(super) fn warn(&self, warning: String) {
        let mut summary = self.summary();
        if summary.warnings.len() < MOST_KEPT {
            summary.warnings.push(warning);
        }
    }

    /// Warns where an action on a path failed.
    pub(super) fn note(&self, action: &str, outcome: Result<(), Errno>, path: &dyn Fn() -> String) {
        if let Err(error) = outcome {
            self.warn(format!("could not {action} '{}': {}", path(), words(error)));
        }
    }

    pub(super) fn note_attribute(
        &self,
        outcome: Result<(), Errno>,
        attribute: &[u8],
        path: &dyn Fn() -> String,
    ) {
        self.note(&format!("set the attribute {} of", String::from_utf8_lossy(attribute)), outcome, path);
    }

    /// Warns once where owners cannot be set; whoever is not root can set none.
    pub(super) fn note_owner(&self, outcome: Result<(), Errno>, path: &dyn Fn() -> String) {
        match outcome {
            Err(Errno::PERM) => {
                if !self.owner_noted.swap(true, Ordering::AcqRel) {
                    self.warn(format!(
                        "owners are not restored ('{}' is the first), for only root may set them",
                        path()
                    ));
                }
            }
            outcome => self.note("set the owner of", outcome, path),
        }
    }
}

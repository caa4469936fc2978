//! Where engines and the repository meet: an engine's reader over a snapshot.

use larder_engines::{BackupReader, ExtractReport, ListedEntry, SinkError};
use larder_model::{Cancel, Counters};
use larder_repository::{
    Browser, Repository, RepositoryError, RestoreOptions, Snapshot, SourceFault, restore_from,
};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

/// Gives one snapshot back to an engine, out of every destination that may hold a part of it.
#[derive(Debug)]
pub(crate) struct SnapshotReader<'a> {
    /// Where it lies, the best first.
    repositories: Vec<Repository>,
    snapshot: &'a Snapshot,
    cancel: &'a Cancel,
    counters: &'a Counters,
    /// Opened when it is first wanted: a plain restore has no need of it.
    browser: OnceLock<Browser>,
}

fn passed_on(error: RepositoryError) -> SinkError {
    SinkError(Box::new(error))
}

fn told(faults: Vec<SourceFault>) -> Vec<String> {
    let told = |fault: SourceFault| {
        format!("{} at {} could not be used: {}", fault.object, fault.destination, fault.cause)
    };
    faults.into_iter().map(told).collect()
}

impl<'a> SnapshotReader<'a> {
    pub(crate) const fn new(
        repositories: Vec<Repository>,
        snapshot: &'a Snapshot,
        cancel: &'a Cancel,
        counters: &'a Counters,
    ) -> Self {
        Self { repositories, snapshot, cancel, counters, browser: OnceLock::new() }
    }

    fn browser(&self) -> Result<&Browser, SinkError> {
        if let Some(open) = self.browser.get() {
            return Ok(open);
        }
        let opened = Browser::open(&self.repositories, self.snapshot, self.cancel).map_err(passed_on)?;
        Ok(self.browser.get_or_init(|| opened))
    }

    /// Says what destinations should have given to those who read single files, and did not.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.browser.get().map(|browser| told(browser.faults())).unwrap_or_default()
    }
}

impl BackupReader for SnapshotReader<'_> {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(&ListedEntry) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut stopped = None;
        let walked = self.browser()?.for_each_entry(&mut |path, entry| match visit(&ListedEntry {
            path: path.to_vec(),
            entry: entry.clone(),
        }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                stopped = Some(error);
                ControlFlow::Break(())
            }
        });
        match stopped {
            Some(error) => Err(error),
            None => walked.map_err(passed_on),
        }
    }

    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send + '_>, SinkError> {
        Ok(Box::new(self.browser()?.open_file(path).map_err(passed_on)?))
    }

    fn extract(&self, target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError> {
        self.extract_part(None, target, overwrite)
    }

    fn extract_below(&self, path: &[u8], target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError> {
        self.extract_part(Some(path.to_vec()), target, overwrite)
    }
}

impl SnapshotReader<'_> {
    /// Writes a directory of the backup, or all of it.
    fn extract_part(
        &self,
        path: Option<Vec<u8>>,
        target: &Path,
        overwrite: bool,
    ) -> Result<ExtractReport, SinkError> {
        let options = RestoreOptions { path, overwrite, ..RestoreOptions::default() };
        let (cancel, counters) = (self.cancel, self.counters);
        let summary = restore_from(&self.repositories, self.snapshot, target, &options, cancel, counters)
            .map_err(passed_on)?;
        let mut warnings = summary.warnings;
        // All was restored, so each of these was made up for by another copy; somebody should know, though.
        warnings.extend(told(summary.faults));
        Ok(ExtractReport {
            files: summary.files,
            bytes_written: summary.written_bytes,
            bytes_kept: summary.skipped_bytes,
            warnings,
        })
    }
}

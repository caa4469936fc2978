//! The trait that every kind of source implements.

use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use larder_model::{BackupKind, Cancel, Counters, Database, EngineKind, Source};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What an engine can do; the rest of Larder asks this record and never the engine's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCapabilities {
    /// Whether [`Engine::changed`] can prove that nothing changed without reading everything.
    pub detects_unchanged: bool,
    /// Whether an incremental reads less than a full.
    pub reads_incrementally: bool,
}

/// A database that discovery found in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDatabase {
    /// A name made from the source's own, not yet made unique.
    pub suggested_name: String,
    /// Where it is within the source; the same for the same database at every discovery.
    pub locator: String,
}

/// Whether a database changed since a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeCheck {
    /// It changed, or it cannot be told.
    MaybeChanged,
    /// It is proved that nothing changed.
    Unchanged,
}

/// What is to be backed up.
#[derive(Debug)]
pub struct BackupJob<'a> {
    /// The source that holds the database.
    pub source: &'a Source,
    /// The database.
    pub database: &'a Database,
    /// Whether to read everything anew.
    pub kind: BackupKind,
    /// A directory for what cannot be streamed; empty, private to this job, removed by the caller.
    pub staging: &'a Path,
    /// Directories of Larder's own (data, local destinations), left out by default; absolute paths.
    pub own_directories: &'a [PathBuf],
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
    /// How far it has come; the engine sets totals and names, the sink counts bytes and items.
    pub counters: &'a Counters,
}

/// What an engine says when it is sure that a backup is complete.
///
/// Only this value makes an operation end Completed: absence of an error is not success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupReport {
    /// Where the next incremental goes on, in the engine's own words; kept with the backup.
    pub position: Option<String>,
    /// What a later comparison can be held against: name and value, such as a table and its row count.
    pub evidence: Vec<(String, String)>,
    /// What a person should be told: what was left out and why.
    pub messages: Vec<String>,
}

/// What is to be got back, and where to.
#[derive(Debug)]
pub struct RestoreJob<'a> {
    /// Where to: a directory for `files`, a file for `sqlite`.
    pub target: &'a Path,
    /// Whether what is there may be overwritten.
    pub overwrite: bool,
    /// What the engine reported when it made the backup; `None` for a backup that Larder did not make.
    pub report: Option<&'a BackupReport>,
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestoreReport {
    /// Files written or found identical.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What a person should be told.
    pub messages: Vec<String>,
}

/// What came of comparing a restored copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Comparison {
    /// How many things were compared and found equal, in words: `42 tables, 1,200,000 rows`.
    pub compared: String,
    /// What differs between the backup and the restored copy; empty when the backup is verified.
    pub differences: Vec<String>,
    /// What in the source changed since the backup, so that it could not be compared with it; no fault of it.
    pub changed_since: u64,
}

/// Knows one kind of source.
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Says which kind.
    fn kind(&self) -> EngineKind;

    /// Says what this engine can do.
    fn capabilities(&self) -> EngineCapabilities;

    /// Looks for databases in a source. An error means that nothing is known, not that there are none.
    fn discover(
        &self,
        source: &Source,
        own_directories: &[PathBuf],
    ) -> Result<Vec<FoundDatabase>, EngineError>;

    /// Says whether a database changed since the position that its last backup reported.
    fn changed(&self, database: &Database, position: &str) -> Result<ChangeCheck, EngineError>;

    /// Writes a database into a sink, and confirms that it is complete.
    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError>;

    /// Gets a database back from a backup.
    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError>;

    /// Compares a restored copy with the backup's evidence and with the source as it is now.
    fn compare(
        &self,
        database: &Database,
        report: &BackupReport,
        backup: &dyn BackupReader,
        restored: &Path,
        cancel: &Cancel,
    ) -> Result<Comparison, EngineError>;
}

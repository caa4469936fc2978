//! The trait that every kind of source implements.

use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use jiff::Timestamp;
use larder_model::task::BackupType;
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
    /// Whether a backup can be restored into a running server, under a new name.
    pub restores_into_server: bool,
    /// Whether a restore can end at any moment or position since the backup's beginning, and not only at the backup.
    pub point_in_time: bool,
}

/// A source on this host that nobody has named yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSource {
    /// The source as it would be added.
    pub source: Source,
    /// Why it is thought to be there: `listens on 127.0.0.1:5432`, `/srv/www holds 12 directories`.
    pub reason: String,
}

/// What a source of an engine may say besides its address and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceOption {
    /// Its name among the source's options: `TlsCertificate`.
    pub name: &'static str,
    /// What it means, in words that begin with a small letter; with what is meant where nothing is said.
    pub meaning: &'static str,
}

impl SourceOption {
    /// Names an option.
    #[must_use]
    pub const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning }
    }
}

/// A right that the user of a source lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRight {
    /// What cannot be done without it: `reading the table shop.orders`.
    pub what: String,
    /// The statement that grants it, for an administrator to run; what to do instead, where there is none.
    pub grant: String,
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
    /// What the task asks for: a dump, or a snapshot of the files. An engine that has only one of them makes that, and
    /// says so in its report's messages.
    pub backup_type: BackupType,
    /// What was reported of the good backup that an incremental goes on from; `None` for a full.
    pub previous: Option<&'a BackupReport>,
    /// Names the installation, the task and the database whose backups go on from each other; the same at each of them.
    /// What an engine has the server keep for the next backup is named after it. Empty where there is no next one.
    pub chain: &'a str,
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

impl BackupReport {
    /// The name under which the evidence says how much of a backup is history: files and bytes, parted by a space.
    pub const HISTORY: &'static str = "History";

    /// Notes how many files and bytes of the backup are history; what was noted before goes.
    pub(crate) fn note_history(&mut self, (files, bytes): (u64, u64)) {
        self.evidence.retain(|(name, _)| name != Self::HISTORY);
        self.evidence.push((Self::HISTORY.to_owned(), format!("{files} {bytes}")));
    }

    /// Says how many files and bytes of the backup are not what was read of the source now, but an older state that is kept
    /// beside it, or what led from one to the other. The next full backup has none of it, and is not small for that.
    #[must_use]
    pub fn history(&self) -> (u64, u64) {
        let said = self.evidence.iter().find(|(name, _)| name == Self::HISTORY);
        let numbers = said.and_then(|(_, value)| value.split_once(' '));
        let read = numbers.and_then(|(files, bytes)| Some((files.parse().ok()?, bytes.parse().ok()?)));
        read.unwrap_or_default()
    }
}

/// Where a backup is restored to.
#[derive(Clone, Copy, Debug)]
pub enum RestoreTarget<'a> {
    /// A place in the file system: a directory for `files`, a file for `sqlite`, a directory for what a server's tools
    /// wrote.
    Path(&'a Path),
    /// A database of a running server.
    Server {
        /// The server.
        source: &'a Source,
        /// The name that the database gets there, as the server spells it.
        name: &'a str,
    },
}

/// Where a restore to a point in time ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestorePointInTime {
    /// At the last change committed before this moment, or at it.
    Time(Timestamp),
    /// At a position in the words of the engine: an LSN, a binlog file and offset.
    Position(String),
    /// At a restore point that somebody named in the database.
    Name(String),
}

/// What is to be got back, and where to.
#[derive(Debug)]
pub struct RestoreJob<'a> {
    /// Where to.
    pub target: RestoreTarget<'a>,
    /// Whether what is there may be overwritten.
    pub overwrite: bool,
    /// Where to end, where the engine has [`EngineCapabilities::point_in_time`]; at the backup where nothing is said.
    pub until: Option<&'a RestorePointInTime>,
    /// A directory for what cannot be streamed; empty, private to this job, removed by the caller.
    pub staging: &'a Path,
    /// What the engine reported when it made the backup; `None` for a backup that Larder did not make.
    pub report: Option<&'a BackupReport>,
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
}

impl<'a> RestoreTarget<'a> {
    /// Returns the place in the file system, for an engine that restores nowhere else.
    ///
    /// # Errors
    /// The target is a server.
    pub fn path(&self, engine: EngineKind) -> Result<&'a Path, EngineError> {
        match self {
            Self::Path(path) => Ok(path),
            Self::Server { source, name } => Err(EngineError::Failed {
                action: format!("restoring to {name} at {}", source.name),
                cause: format!("a backup of the engine {engine} becomes files, not a database of a server"),
                remedy: "name a path to restore to".to_owned(),
            }),
        }
    }
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

/// A restored copy that is to be compared with its backup.
#[derive(Debug)]
pub struct CompareJob<'a> {
    /// The source, where it is still there.
    pub source: Option<&'a Source>,
    /// The database.
    pub database: &'a Database,
    /// What the engine reported when it made the backup.
    pub report: &'a BackupReport,
    /// Where the copy is.
    pub restored: RestoreTarget<'a>,
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
}

/// A backup that is to be proved.
#[derive(Debug)]
pub struct ProofJob<'a> {
    /// The source, where it is still there.
    pub source: Option<&'a Source>,
    /// The database.
    pub database: &'a Database,
    /// What the engine reported when it made the backup.
    pub report: &'a BackupReport,
    /// A directory to restore into; empty, private to this job, removed by the caller.
    pub scratch: &'a Path,
    /// Raised when the job is to stop.
    pub cancel: &'a Cancel,
}

/// Knows one kind of source.
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Says which kind.
    fn kind(&self) -> EngineKind;

    /// Says what this engine can do.
    fn capabilities(&self) -> EngineCapabilities;

    /// Says from when to when a restore of a backup can end at any moment, both included; `None` where it knows only its own.
    fn recoverable(&self, report: &BackupReport) -> Option<(Timestamp, Timestamp)> {
        let _ = report;
        None
    }

    /// Looks for databases in a source. An error means that nothing is known, not that there are none.
    fn discover(
        &self,
        source: &Source,
        own_directories: &[PathBuf],
    ) -> Result<Vec<FoundDatabase>, EngineError>;

    /// Lists what a source may say besides its address and password, for forms to ask.
    fn options(&self) -> &'static [SourceOption] {
        &[]
    }

    /// Looks for sources on this host; proposes, and changes nothing.
    fn find(&self) -> Vec<FoundSource> {
        Vec::new()
    }

    /// Lists the rights that the source's user lacks for complete backups; an error means that it could not be asked.
    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        let _ = source;
        Ok(Vec::new())
    }

    /// Says whether a database changed since the position that its last backup reported.
    fn changed(
        &self,
        source: &Source,
        database: &Database,
        position: &str,
    ) -> Result<ChangeCheck, EngineError>;

    /// Says whether the source of a database keeps something for the next backup of a chain, until [`Engine::release`].
    fn keeps_for_chains(&self, database: &Database) -> bool {
        let _ = database;
        false
    }

    /// Has the source forget what it keeps for the next backup of a chain ([`BackupJob::chain`]), which will never come.
    fn release(&self, source: &Source, database: &Database, chain: &str) -> Result<(), EngineError> {
        let _ = (source, database, chain);
        Ok(())
    }

    /// Writes a database into a sink, and confirms that it is complete.
    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError>;

    /// Gets a database back from a backup.
    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError>;

    /// Compares a restored copy with the backup's evidence, and with the source as it is now where that helps.
    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError>;

    /// Restores a backup into scratch, and compares it.
    ///
    /// An engine whose copies only a server can read starts one of its own in the scratch directory.
    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        // Not yet there: a directory or a file, as the engine has it.
        let copy = job.scratch.join("restored");
        let target = RestoreTarget::Path(&copy);
        let (report, cancel) = (job.report, job.cancel);
        let restore = RestoreJob {
            target,
            overwrite: false,
            until: None,
            staging: job.scratch,
            report: Some(report),
            cancel,
        };
        self.restore(&restore, backup)?;
        let compare =
            CompareJob { source: job.source, database: job.database, report, restored: target, cancel };
        self.compare(&compare, backup)
    }
}

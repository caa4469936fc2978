//! What the service shows: plain values, made for one moment.

use jiff::Timestamp;
use larder_model::task::{DestinationKind, Periodicity};
use larder_model::{
    BackupId, BackupKind, BackupQuality, Database, DatabaseName, Operation, OperationId,
    PeriodicBackupConfiguration, Secret,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How a database stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Health {
    /// The last backup is good, and was restored and compared.
    Verified,
    /// The last backup is good.
    Good,
    /// A backup runs now.
    Running,
    /// Its first backup is not due yet.
    Waiting,
    /// A backup was due and there is none, though nothing failed.
    Late,
    /// The last backup failed or is incomplete.
    Failed,
    /// No task is for it, so it is not backed up.
    Unprotected,
    /// Discovery no longer finds it; its backups stay.
    Missing,
}

impl Health {
    /// Every word, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Verified,
        Self::Good,
        Self::Running,
        Self::Waiting,
        Self::Late,
        Self::Failed,
        Self::Unprotected,
        Self::Missing,
    ];
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Good => "good",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Unprotected => "unprotected",
            Self::Missing => "missing",
        })
    }
}

/// An error of a task's last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct TaskError {
    /// What went wrong, and what to do.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// What kind of work it was that failed.
    #[serde(default)]
    pub cause: FailureCause,
}

/// Which part of a run failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FailureCause {
    /// Something else.
    #[default]
    Other,
    /// The source could not be read, or not wholly.
    Source,
    /// A destination could not be written to.
    Destination,
    /// The backup is so much smaller than the one before that somebody should look at it.
    Suspicious,
}

/// What is remembered of a task's backups at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DestinationStatus {
    /// What it is called in the task: `Local`, `Amazon S3`, or the name it was given.
    pub name: String,
    /// What it is.
    pub kind: DestinationKind,
    /// The repository's address, once one was opened there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When the last full backup that arrived there was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_full_backup: Option<Timestamp>,
    /// When the last incremental backup that arrived there was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_incremental_backup: Option<Timestamp>,
    /// How long the last full backup took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_backup_duration_ms: Option<u64>,
    /// How long the last incremental backup took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental_backup_duration_ms: Option<u64>,
    /// Why the last run failed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Bytes that the last run added there.
    #[serde(default)]
    pub bytes_stored: u64,
}

/// What is remembered of one task of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    /// How many runs it tells of; each counts, whatever came of it.
    pub version: u64,
    /// Whether the last run was a full backup.
    pub is_full: Option<bool>,
    /// Until when the next run is put off.
    pub delay_until: Option<Timestamp>,
    /// When the run that was put off should have come.
    pub original_backup_time: Option<Timestamp>,
    /// When the last good full backup was begun.
    pub last_full_backup: Option<Timestamp>,
    /// When the last good incremental backup was begun, one that found nothing to do included.
    pub last_incremental_backup: Option<Timestamp>,
    /// When a full backup was last begun, however it ended.
    pub last_full_attempt: Option<Timestamp>,
    /// When an incremental backup was last begun, however it ended.
    pub last_incremental_attempt: Option<Timestamp>,
    /// Where the next incremental goes on, in the engine's own words.
    pub position: Option<String>,
    /// The position, where it is a number: RavenDB's `LastEtag`.
    pub last_etag: Option<i64>,
    /// How it went at each destination of the task, in its order.
    pub destinations: Vec<DestinationStatus>,
    /// The folder of the repository at a local destination: the database's name.
    pub folder: Option<String>,
    /// Whether the backups are encrypted with a key that not everybody knows.
    pub is_encrypted: bool,
    /// How long the last run took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The last run.
    pub last_operation: Option<OperationId>,
    /// Why the last run failed; `None` after one that did not.
    pub error: Option<TaskError>,
    /// The newest good backup that the task made.
    pub last_good: Option<LastBackup>,
    /// What is made when the delay is over.
    pub delayed_kind: Option<BackupKind>,
    /// When a good backup was last made for each periodicity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub served: BTreeMap<Periodicity, Timestamp>,
}

/// The newest good backup of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct LastBackup {
    /// When it was begun, or when it was last proved that nothing changed since.
    pub time: Timestamp,
    /// Full or incremental.
    pub kind: BackupKind,
    /// Its name at the first destination that took it.
    pub id: BackupId,
    /// Good or verified.
    pub quality: BackupQuality,
    /// The operation that made it.
    pub operation: OperationId,
}

/// A moment at which a backup will be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct NextRun {
    /// The database.
    pub database: DatabaseName,
    /// The task, by the name of the derived task.
    pub task: String,
    /// Full or incremental.
    pub kind: BackupKind,
    /// When; in the past where it is overdue.
    pub time: Timestamp,
    /// When it really begins, if nothing holds it up: the many databases of one task do not begin at once.
    pub begins: Timestamp,
    /// When it should have come, where it was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Timestamp>,
}

/// A backup that runs, or waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Running {
    /// The operation.
    pub operation: OperationId,
    /// Full or incremental.
    pub kind: BackupKind,
    /// When it began; `None` while it waits.
    pub started: Option<Timestamp>,
}

/// One task of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct TaskView {
    /// The task as the database sees it: its name prefixed, its destinations narrowed to the database's folder.
    pub task: PeriodicBackupConfiguration,
    /// The server-wide task it comes from; `None` for a task of this database alone.
    pub server_wide: Option<String>,
    /// What is remembered of it.
    pub status: TaskStatus,
    /// Its next run; `None` where it rests or has no schedule.
    pub next_run: Option<NextRun>,
    /// The backup that runs or waits now.
    pub running: Option<Running>,
}

/// One place where a database's backups lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DestinationView {
    /// Its name among the database's destinations, such as `Local`.
    pub name: String,
    /// What it is.
    pub kind: DestinationKind,
    /// The repository's address: a directory for a local destination, `s3://bucket/folder/database`.
    pub address: String,
}

/// A destination, and who uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DestinationUse {
    /// What it is.
    pub kind: DestinationKind,
    /// What it is known by, without a database's folder: `/srv/backups`, `s3://bucket/folder`.
    pub address: String,
    /// The tasks that write there; none where only earlier ones did.
    pub tasks: Vec<String>,
    /// How many databases have backups there.
    pub databases: usize,
}

/// Whether a destination lets itself be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DestinationTest {
    /// What it is called in its task, or its kind.
    pub name: String,
    /// What it is.
    pub kind: DestinationKind,
    /// What it is known by, where that could be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether everything works that a backup needs.
    pub works: bool,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rights that it refuses, in words: `delete objects`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What was tried, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<TestStep>,
    /// Other installations that write there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_installations: Vec<String>,
}

impl DestinationTest {
    pub(crate) const fn new(name: String, kind: DestinationKind, address: Option<String>) -> Self {
        Self {
            name,
            kind,
            address,
            works: false,
            error: None,
            missing: Vec::new(),
            steps: Vec::new(),
            other_installations: Vec::new(),
        }
    }
}

/// One thing that was tried at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct TestStep {
    /// The right that it needs: `write objects`.
    pub right: String,
    /// Whether it works; `None` where it was not tried, because something before it failed.
    pub works: Option<bool>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What one destination of a database lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct ComparedDestination {
    /// The destination.
    pub destination: DestinationView,
    /// How many backups it has.
    pub backups: usize,
    /// The backups that others have and this one does not; a healing brings them.
    pub lacking: Vec<LackingBackup>,
    /// How many pieces of data and directories it lacks for them.
    pub lacking_objects: u64,
    /// Their bytes, as they are stored.
    pub lacking_bytes: u64,
    /// How many objects it should have by its own index, and has not, or not in full; a repair brings them.
    pub lost_objects: usize,
    /// Some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Backups there that cannot be read, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Other installations whose backups lie in the same repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_installations: Vec<String>,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ComparedDestination {
    pub(crate) const fn new(destination: DestinationView) -> Self {
        Self {
            destination,
            backups: 0,
            lacking: Vec::new(),
            lacking_objects: 0,
            lacking_bytes: 0,
            lost_objects: 0,
            lost: Vec::new(),
            unreadable: Vec::new(),
            other_installations: Vec::new(),
            error: None,
        }
    }

    /// Says whether it has everything that it should have.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.error.is_none()
            && self.lacking.is_empty()
            && self.lost_objects == 0
            && self.unreadable.is_empty()
    }
}

/// A backup that a destination lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct LackingBackup {
    /// Its name at a destination that has it.
    pub id: BackupId,
    /// When it was begun.
    pub time: Timestamp,
    /// Why it cannot be brought, where the destination that has it does not hold all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// One database, with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DatabaseView {
    /// The database.
    pub database: Database,
    /// How it stands, in one word.
    pub health: Health,
    /// How it stands, in one sentence.
    pub reason: String,
    /// Its newest good backup.
    pub last_good_backup: Option<LastBackup>,
    /// Its next run of any task.
    pub next_run: Option<NextRun>,
    /// The operation that runs or waits, if any.
    pub running: Option<OperationId>,
    /// The last operation that ended.
    pub last_operation: Option<OperationId>,
    /// Its tasks.
    pub tasks: Vec<TaskView>,
    /// Where its backups lie.
    pub destinations: Vec<DestinationView>,
}

/// What came of restoring a backup into scratch and comparing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Verification {
    /// The backup.
    pub backup: BackupId,
    /// When it was restored and compared.
    pub time: Timestamp,
    /// What was compared, in words.
    pub compared: String,
    /// What in the source changed since the backup, so that it could not be compared with it.
    pub changed_since: u64,
    /// What differed; empty when the backup is verified.
    pub differences: Vec<String>,
    /// The operation.
    pub operation: OperationId,
}

/// What stock restic needs to open a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResticAccess {
    /// The value of `RESTIC_REPOSITORY`.
    pub repository: String,
    /// The value of `RESTIC_PASSWORD`.
    pub password: Secret,
    /// Further variables that anybody may see: the name of an account, a region.
    pub environment: BTreeMap<String, String>,
    /// Further variables that are secret.
    pub secrets: BTreeMap<String, Secret>,
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Overview {
    /// The moment it shows.
    pub now: Timestamp,
    /// How many databases stand how; words that none has are left out.
    pub databases: Vec<(Health, usize)>,
    /// Of all databases that have a task, the one whose newest good backup is oldest.
    pub oldest_good_backup: Option<(DatabaseName, Timestamp)>,
    /// What runs or waits now, oldest first.
    pub running: Vec<Operation>,
    /// The next run of any database.
    pub next_run: Option<NextRun>,
    /// Sources that could not be searched, with the reason.
    pub source_errors: Vec<(DatabaseName, String)>,
}

//! Operations: one execution of a backup, a restore, a check or a verification.

use crate::backup::{BackupId, BackupKind};
use crate::database::EngineKind;
use crate::name::DatabaseName;
use crate::task::DestinationKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Numbers operations, from 1.
pub type OperationId = u64;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OperationKind {
    /// Makes a backup.
    Backup,
    /// Gets data back.
    Restore,
    /// Restores into scratch and compares.
    Verify,
    /// Checks a repository's structure, or all its bytes.
    Check,
    /// Removes what the policy no longer keeps.
    Prune,
    /// Brings to destinations what they lack and others have.
    Heal,
    /// Mends what is damaged of a repository.
    Repair,
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OperationStatus {
    /// Waits for its turn.
    Queued,
    /// Runs.
    InProgress,
    /// Ended well, and said so.
    Completed,
    /// Ended with an error.
    Faulted,
    /// Was aborted.
    Canceled,
}

impl OperationStatus {
    /// Says whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Faulted | Self::Canceled)
    }
}

impl fmt::Display for OperationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::InProgress => "running",
            Self::Completed => "completed",
            Self::Faulted => "failed",
            Self::Canceled => "aborted",
        })
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Check => "check",
            Self::Prune => "prune",
            Self::Heal => "heal",
            Self::Repair => "repair",
        })
    }
}

/// How far an operation has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct Progress {
    /// Bytes of the source looked at.
    pub bytes_done: u64,
    /// Bytes of the source in all; 0 while unknown.
    pub bytes_total: u64,
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes added to the first destination.
    pub bytes_stored: u64,
    /// Items finished.
    pub items_done: u64,
    /// Items in all; 0 while unknown.
    pub items_total: u64,
    /// What is being worked on.
    pub current: String,
    /// Bytes of the source looked at in a second, averaged over the last few; 0 while unknown.
    pub bytes_per_second: u64,
    /// How many seconds it will still take at this pace; `None` while unknown.
    pub seconds_left: Option<u64>,
    /// How far it has come at each destination.
    pub destinations: Vec<DestinationProgress>,
}

/// How far a backup has come at one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct DestinationProgress {
    /// The destination.
    pub destination: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<DestinationKind>,
    /// Bytes added there.
    pub bytes_stored: u64,
    /// Bytes added there in a second, averaged over the last few.
    pub bytes_per_second: u64,
}

/// How a backup or check went at one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DestinationOutcome {
    /// The destination.
    pub destination: String,
    /// What it is, where it is one of a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DestinationKind>,
    /// The repository's address there, where one was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The backup it now holds; `None` where it got none.
    pub backup: Option<BackupId>,
    /// Bytes this run added there.
    pub bytes_stored: u64,
    /// Why it failed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One execution of a backup, restore, verification, check or prune.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// Full or incremental, for a backup.
    pub backup_kind: Option<BackupKind>,
    /// The database it is about.
    pub database: DatabaseName,
    /// The engine of that database, where known.
    pub engine: Option<EngineKind>,
    /// The task that asked for it; `None` for what a person asked for without one.
    pub task: Option<String>,
    /// The task's number for life, within Larder; 0 for a one-time backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_uid: Option<u64>,
    /// How it stands.
    pub status: OperationStatus,
    /// When it was asked for.
    pub created: jiff::Timestamp,
    /// When it began to run.
    pub started: Option<jiff::Timestamp>,
    /// When it ended.
    pub ended: Option<jiff::Timestamp>,
    /// How far it has come, or came.
    pub progress: Progress,
    /// What it wants to tell, oldest first: skipped files, exclusions, counts.
    pub messages: Vec<String>,
    /// Why it failed: what, where, what to do.
    pub error: Option<String>,
    /// Whether an incremental found nothing to do.
    #[serde(default)]
    pub unchanged: bool,
    /// How it went at each destination.
    #[serde(default)]
    pub destinations: Vec<DestinationOutcome>,
}

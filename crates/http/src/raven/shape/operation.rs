//! Operations: how one stands, what came of it, and lists of them.

use super::smuggler::{Counts, Kinds};
use super::upload::{LocalBackup, Upload};
use crate::raven::time::Stamp;
use larder_model::{Operation, TimeSpan};
use schemars::JsonSchema;
use serde::Serialize;

/// The class of [`OperationState`].
pub(crate) const STATE: &str = "Raven.Client.Documents.Operations.OperationState, Raven.Client";
/// The class of the progress of a backup.
pub(crate) const BACKUP_PROGRESS: &str =
    "Raven.Client.Documents.Operations.Backups.BackupProgress, Raven.Client";
/// The class of the result of a backup.
pub(crate) const BACKUP_RESULT: &str = "Raven.Client.Documents.Operations.Backups.BackupResult, Raven.Client";
/// The class of the progress of a restore.
pub(crate) const RESTORE_PROGRESS: &str = "Raven.Client.ServerWide.Operations.RestoreProgress, Raven.Client";
/// The class of the result of a restore.
pub(crate) const RESTORE_RESULT: &str = "Raven.Client.ServerWide.Operations.RestoreResult, Raven.Client";
/// The class of the result of what failed.
pub(crate) const EXCEPTION_RESULT: &str =
    "Raven.Client.Documents.Operations.OperationExceptionResult, Raven.Client";

/// How an operation stands; what waits for its turn counts as in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum Status {
    /// Waits or runs.
    InProgress,
    /// Ended well.
    Completed,
    /// Ended with an error.
    Faulted,
    /// Was aborted or delayed.
    Canceled,
}

/// An operation as clients poll it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OperationState {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    pub(crate) progress: Option<Box<Progress>>,
    pub(crate) result: Option<Box<Outcome>>,
    pub(crate) status: Status,
}

/// How far an operation has come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Progress {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    #[serde(flatten)]
    pub(crate) kinds: Kinds,
    pub(crate) message: Option<String>,
    #[serde(flatten)]
    pub(crate) places: Places,
    /// The operation in Larder's own words: bytes, items, what is worked on, and each destination.
    pub(crate) larder: Operation,
}

/// Where data goes to or comes from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Places {
    /// A backup's destinations.
    Backup(Box<Uploads>),
    /// What a restore reads.
    Restore(Box<Restored>),
}

/// A backup's destinations other than local directories.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Uploads {
    pub(crate) snapshot_backup: Counts,
    #[serde(rename = "S3Backup")]
    pub(crate) s3_backup: Upload,
    pub(crate) azure_backup: Upload,
    pub(crate) google_cloud_backup: Upload,
    pub(crate) glacier_backup: Upload,
    pub(crate) ftp_backup: Upload,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local_backup: Option<LocalBackup>,
}

/// What a restore reads.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Restored {
    pub(crate) data_directory: Option<String>,
    pub(crate) journal_storage_path: Option<String>,
    pub(crate) snapshot_restore: Counts,
    pub(crate) files: FilesRead,
}

/// Which of the files a restore is at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FilesRead {
    pub(crate) current_file_name: Option<String>,
    pub(crate) current_file: u64,
    pub(crate) file_count: u64,
}

/// What came of an operation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// It ended well.
    Done(Box<DoneResult>),
    /// It failed.
    Failed(Box<ExceptionResult>),
}

/// The result of what ended well.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DoneResult {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    #[serde(flatten)]
    pub(crate) kinds: Kinds,
    pub(crate) messages: Vec<String>,
    pub(crate) elapsed: TimeSpan,
    #[serde(flatten)]
    pub(crate) places: Places,
    /// The operation in Larder's own words.
    pub(crate) larder: Operation,
}

/// The result of what failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExceptionResult {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    #[serde(rename = "Type")]
    pub(crate) exception: &'static str,
    pub(crate) message: String,
    pub(crate) error: String,
    pub(crate) status_code: u16,
    pub(crate) limit_type: Option<String>,
}

/// One operation in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedOperation {
    pub(crate) id: u64,
    pub(crate) description: Description,
    pub(crate) killable: bool,
    pub(crate) state: OperationState,
}

/// What an operation is about.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Description {
    pub(crate) description: String,
    pub(crate) task_type: &'static str,
    pub(crate) start_time: Stamp,
    pub(crate) end_time: Option<Stamp>,
    pub(crate) detailed_description: Option<String>,
}

/// A list in the form in which most of RavenDB's come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Results<T> {
    pub(crate) results: Vec<T>,
}

/// The number an operation begun next would have, on a node.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NextId {
    pub(crate) id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_tag: Option<&'static str>,
}

//! How a backup went at one destination, in the words of RavenDB's uploads.

use crate::raven::time::Stamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The class of [`UploadProgress`], which clients use to choose a type.
const UPLOAD_PROGRESS: &str = "Raven.Client.Documents.Operations.Backups.UploadProgress, Raven.Client";

/// Whether an upload goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum UploadState {
    /// Not begun.
    #[default]
    PendingUpload,
    /// Under way.
    Uploading,
    /// Over.
    Done,
}

/// How far an upload has come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadProgress {
    #[serde(rename = "$type")]
    pub(crate) class: &'static str,
    pub(crate) upload_type: &'static str,
    pub(crate) upload_state: UploadState,
    pub(crate) uploaded_in_bytes: u64,
    pub(crate) total_in_bytes: u64,
    #[serde(rename = "BytesPutsPerSec")]
    pub(crate) bytes_per_second: f64,
    #[serde(rename = "UploadTimeInMs")]
    pub(crate) upload_time_ms: u64,
}

impl Default for UploadProgress {
    fn default() -> Self {
        Self {
            class: UPLOAD_PROGRESS,
            upload_type: "Regular",
            upload_state: UploadState::default(),
            uploaded_in_bytes: 0,
            total_in_bytes: 0,
            bytes_per_second: 0.0,
            upload_time_ms: 0,
        }
    }
}

/// Returns how many bytes a second so many in so many milliseconds are.
pub(crate) fn rate(bytes: u64, milliseconds: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    match milliseconds {
        0 => 0.0,
        milliseconds => bytes as f64 * 1000.0 / milliseconds as f64,
    }
}

/// When a destination last got backups, and how that went.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Outcome {
    pub(crate) last_full_backup: Option<Stamp>,
    pub(crate) last_incremental_backup: Option<Stamp>,
    #[serde(rename = "FullBackupDurationInMs")]
    pub(crate) full_backup_duration_ms: Option<u64>,
    #[serde(rename = "IncrementalBackupDurationInMs")]
    pub(crate) incremental_backup_duration_ms: Option<u64>,
    /// Why it failed there, if it did.
    pub(crate) exception: Option<String>,
}

/// An upload to a cloud or an FTP server.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Upload {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) skipped: bool,
    pub(crate) upload_progress: UploadProgress,
}

impl Upload {
    /// Makes what is shown for a kind of destination that a backup does not go to.
    pub(crate) fn skipped() -> Self {
        Self { outcome: Outcome::default(), skipped: true, upload_progress: UploadProgress::default() }
    }
}

/// A backup in a local directory.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LocalBackup {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// The repository.
    pub(crate) backup_directory: Option<String>,
    /// The backup's name in it.
    pub(crate) file_name: Option<String>,
    pub(crate) temp_folder_used: bool,
}

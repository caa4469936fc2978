//! What is remembered of a task's runs.

use super::upload::{LocalBackup, Upload};
use crate::raven::time::Stamp;
use larder_model::task::BackupType;
use schemars::JsonSchema;
use serde::Serialize;

/// The status of a task, or none where it never ran.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatusAnswer {
    pub(crate) is_sharded: bool,
    pub(crate) status: Option<Box<PeriodicBackupStatus>>,
}

/// The last position in the cluster's log; Larder's databases have none.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LastRaftIndex {
    pub(crate) last_etag: Option<i64>,
    pub(crate) last_full_backup_etag: Option<i64>,
}

/// Why the last run failed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunError {
    pub(crate) exception: String,
    pub(crate) at: Stamp,
}

/// What is remembered of a task's runs: `Last…Backup` of the last that ended well, `…Internal` of the last at all.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PeriodicBackupStatus {
    pub(crate) task_id: u64,
    pub(crate) backup_type: BackupType,
    pub(crate) is_full: bool,
    pub(crate) node_tag: &'static str,
    pub(crate) delay_until: Option<Stamp>,
    pub(crate) original_backup_time: Option<Stamp>,
    pub(crate) last_full_backup: Option<Stamp>,
    pub(crate) last_incremental_backup: Option<Stamp>,
    pub(crate) last_full_backup_internal: Option<Stamp>,
    pub(crate) last_incremental_backup_internal: Option<Stamp>,
    pub(crate) local_backup: Option<LocalBackup>,
    #[serde(rename = "UploadToS3")]
    pub(crate) upload_to_s3: Option<Upload>,
    pub(crate) upload_to_glacier: Option<Upload>,
    pub(crate) upload_to_azure: Option<Upload>,
    pub(crate) upload_to_google_cloud: Option<Upload>,
    pub(crate) upload_to_ftp: Option<Upload>,
    pub(crate) last_etag: Option<i64>,
    pub(crate) last_raft_index: LastRaftIndex,
    pub(crate) folder_name: Option<String>,
    #[serde(rename = "DurationInMs")]
    pub(crate) duration_ms: Option<u64>,
    #[serde(rename = "LocalRetentionDurationInMs")]
    pub(crate) local_retention_duration_ms: Option<u64>,
    pub(crate) version: u64,
    pub(crate) error: Option<RunError>,
    pub(crate) last_operation_id: Option<u64>,
    pub(crate) last_database_change_vector: Option<String>,
    pub(crate) is_encrypted: bool,
}

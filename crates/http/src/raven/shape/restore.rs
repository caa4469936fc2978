//! Restore points: what can be got back.

use crate::raven::product::NODE;
use crate::raven::time::WallStamp;
use larder_model::BackupKind;
use larder_model::RestorePoint as Found;
use schemars::JsonSchema;
use serde::Serialize;

/// One backup that can be restored.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RestorePoint {
    pub(crate) date_time: WallStamp,
    /// The repository.
    pub(crate) location: String,
    /// The backup's name in it.
    pub(crate) file_name: String,
    pub(crate) is_snapshot_restore: bool,
    pub(crate) is_encrypted: bool,
    pub(crate) is_incremental: bool,
    pub(crate) files_to_restore: u64,
    pub(crate) database_name: String,
    pub(crate) node_tag: &'static str,
}

/// What can be got back, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RestorePoints {
    pub(crate) list: Vec<RestorePoint>,
}

impl RestorePoint {
    /// Shows a backup that lies in a repository.
    pub(crate) fn of(found: &Found, location: String) -> Self {
        Self {
            date_time: WallStamp::utc(found.time),
            location,
            file_name: found.id.to_string(),
            is_snapshot_restore: false,
            is_encrypted: true,
            is_incremental: found.kind == Some(BackupKind::Incremental),
            // An incremental of Larder's is whole in itself: restoring it reads no other.
            files_to_restore: 1,
            database_name: found.database.to_string(),
            node_tag: NODE,
        }
    }
}

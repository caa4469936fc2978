//! Restore points: what can be got back.

use crate::raven::product::NODE;
use crate::raven::time::WallStamp;
use larder_model::task::BackupEncryptionSettings;
use larder_model::{BackupKind, Secret};
use larder_service::LocatedPoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    pub(crate) fn of(found: &LocatedPoint) -> Self {
        let point = &found.point;
        Self {
            date_time: WallStamp::utc(point.time),
            location: found.location.clone(),
            file_name: point.id.to_string(),
            is_snapshot_restore: false,
            is_encrypted: found.is_encrypted,
            is_incremental: point.kind == Some(BackupKind::Incremental),
            // An incremental of Larder's is whole in itself: restoring it reads no other.
            files_to_restore: 1,
            database_name: point.database.to_string(),
            node_tag: NODE,
        }
    }
}

/// What is to become a database again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RestoreBody {
    /// The kind of place; `Local` where nothing is said.
    #[serde(rename = "Type")]
    pub(crate) kind: Option<String>,
    /// The name of the new database.
    pub(crate) database_name: Option<String>,
    /// The repository, where it lies in a directory.
    pub(crate) backup_location: Option<String>,
    /// Where the repository lies otherwise: the settings of its kind of place, with the folder of the database.
    pub(crate) settings: Option<Map<String, Value>>,
    /// The `FileName` of the restore point; the newest where nothing is said.
    pub(crate) last_file_name_to_restore: Option<String>,
    /// What opens the repository, where it is none of the keys that the server knows.
    pub(crate) encryption_key: Option<Secret>,
    /// The same, as newer clients send it.
    pub(crate) backup_encryption_settings: Option<BackupEncryptionSettings>,
}

//! A task that runs by itself.

use crate::date;
use crate::task::backup::BackupConfiguration;
use crate::task::retention::RetentionPolicy;
use crate::task::schedule::{BackupWindow, ScheduleEntry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happens to a run that was missed while the server was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CatchUp {
    /// One run as soon as possible, however many were missed.
    #[default]
    Once,
    /// Wait for the next regular moment.
    Skip,
}

impl CatchUp {
    /// Says whether this is what is meant where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A task of one database, or what a server-wide task and the tasks it makes have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct PeriodicBackupConfiguration {
    /// What a backup is and where it goes.
    #[serde(flatten)]
    pub backup: BackupConfiguration,
    /// The name, unique among its kind; where it is empty the server makes one.
    pub name: String,
    /// The number given by the server; 0 in a new task.
    pub task_id: u64,
    /// Whether it rests.
    pub disabled: bool,
    /// The node that should run it.
    pub mentor_node: Option<String>,
    /// Whether no other node may.
    pub pin_to_mentor_node: bool,
    /// When everything is read anew: a cron expression of five fields.
    pub full_backup_frequency: Option<String>,
    /// When changes are added: a cron expression of five fields.
    pub incremental_backup_frequency: Option<String>,
    /// How long backups are kept; for ever where nothing is said.
    pub retention_policy: Option<RetentionPolicy>,
    /// When the task was made; set by the server.
    #[serde(with = "date::optional")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub created_at: Option<Timestamp>,
    /// The IANA zone the schedules are meant in; the server's where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Further schedules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleEntry>,
    /// What happens to missed runs.
    #[serde(skip_serializing_if = "CatchUp::is_default")]
    pub catch_up: CatchUp,
    /// When runs may start; at any time where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_window: Option<BackupWindow>,
    /// How many good backups are kept in any case; 3 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_backups_to_keep: Option<u32>,
    /// Patterns left out of file trees, in gitignore syntax, besides those of the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

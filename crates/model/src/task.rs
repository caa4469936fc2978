//! Tasks: how backups are made, said once.

use crate::database::EngineKind;
use crate::name::DatabaseName;
use crate::timespan::TimeSpan;
use serde::{Deserialize, Serialize};

/// What RavenDB puts before the name of a task that comes from a server-wide one.
pub const SERVER_WIDE_PREFIX: &str = "Server Wide Backup";

/// The backups that are kept whatever else a policy says.
pub const DEFAULT_MINIMUM_BACKUPS: u32 = 3;

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

/// How long backups are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct RetentionPolicy {
    /// Whether nothing is ever removed.
    pub disabled: bool,
    /// Backups younger than this are kept; at least one day.
    pub minimum_backup_age_to_keep: Option<TimeSpan>,
}

/// A directory that backups are written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct LocalSettings {
    /// Whether this destination is left out.
    pub disabled: bool,
    /// The directory; each database gets a folder in it.
    pub folder_path: Option<String>,
}

/// Which databases a server-wide task is for; all, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct Selector {
    /// Only databases of these engines.
    pub engines: Vec<EngineKind>,
    /// Only databases of these sources.
    pub sources: Vec<DatabaseName>,
}

/// How backups are made and kept: what a server-wide task and a task of one database have in common.
///
/// Field names are RavenDB's where it has the field; the others follow its style.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupSettings {
    /// The name, unique among its kind.
    pub name: String,
    /// The number given by the server; 0 in a new task.
    pub task_id: u64,
    /// Whether it rests.
    pub disabled: bool,
    /// When everything is read anew: a cron expression of five fields.
    pub full_backup_frequency: Option<String>,
    /// When changes are added: a cron expression of five fields.
    pub incremental_backup_frequency: Option<String>,
    /// The IANA zone the expressions are meant in; the server's where nothing is said.
    pub time_zone: Option<String>,
    /// What happens to missed runs.
    pub catch_up: CatchUp,
    /// How long backups are kept; for ever where nothing is said.
    pub retention_policy: Option<RetentionPolicy>,
    /// How many good backups are kept in any case; 3 where nothing is said.
    pub minimum_backups_to_keep: Option<u32>,
    /// A local directory to write to.
    pub local_settings: Option<LocalSettings>,
}

/// A backup configuration for every database of the server but the excluded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerWideTask {
    /// How backups are made and kept.
    #[serde(flatten)]
    pub settings: BackupSettings,
    /// The databases it is not for.
    pub excluded_databases: Vec<String>,
    /// Narrows it to some engines or sources.
    pub selector: Option<Selector>,
}

/// The task of one database, made from a server-wide one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct PeriodicTask {
    /// The database.
    pub database: DatabaseName,
    /// The server-wide task it comes from.
    pub parent: String,
    /// How backups are made and kept, with the destination narrowed to the database's folder.
    pub settings: BackupSettings,
}

//! What the interface takes and gives besides the words of the model.

use jiff::Timestamp;
use larder_model::task::RetentionPolicy;
use larder_model::{BackupKind, DatabaseName, OperationId, RestorePoint, Source, TimeSpan};
use larder_service::DamagedBackups;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a request was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Declined {
    /// One word for programs: `NotFound`, `Invalid`, `Conflict`, `Source`, `Destination`, `Repository`, `Stopping`,
    /// `Server`, `Unauthorized`, `Forbidden`, `TooLarge`, `TooSlow`, `MediaType`, `Method`.
    pub kind: String,
    /// One sentence for people: what, why, and what to do.
    pub message: String,
    /// The field that is wrong, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// The body of every answer that declines a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// Why.
    pub error: Declined,
}

/// Says that the server is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct HealthAnswer {
    /// Always `ok`.
    pub status: String,
}

/// Says which program answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct VersionAnswer {
    /// Always `Larder`.
    pub product: String,
    /// Its version.
    pub version: String,
}

/// What was found in a source that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SourceAdded {
    /// The databases found.
    pub databases: Vec<DatabaseName>,
}

/// Names the operations that a request began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Accepted {
    /// Their numbers.
    pub operations: Vec<OperationId>,
}

/// Asks for a backup now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct BackupsBody {
    /// Full or incremental; incremental where nothing is said.
    pub kind: Option<BackupKind>,
    /// The server-wide task whose destinations are used; may be left out where a database has only one.
    pub task: Option<String>,
}

/// Asks for a backup that runs or waits to be put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DelayBody {
    /// How long: `[days.]hours:minutes:seconds`.
    pub duration: TimeSpan,
}

/// Asks which backups of a task a retention policy would keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct RetentionBody {
    /// The task, by name; may be left out where the database has only one.
    pub task: Option<String>,
    /// Only at this destination.
    pub destination: Option<String>,
    /// Another policy than the task's own, to be tried.
    pub retention_policy: Option<RetentionPolicy>,
    /// Another number than the task's own, to be tried.
    pub minimum_backups_to_keep: Option<u32>,
}

/// Lists backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Backups {
    /// The backups, the newest first.
    pub backups: Vec<RestorePoint>,
}

/// A right that the user of a source lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LackingRight {
    /// What cannot be done without it.
    pub what: String,
    /// What grants it.
    pub grant: String,
}

/// A source on the server's host that nobody has added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ProposedSource {
    /// The source as it would be added.
    pub source: Source,
    /// Why it is thought to be there.
    pub reason: String,
}

/// Asks for data to be got back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RestoreBody {
    /// `latest`, an id or its first characters, or a moment such as `2026-03-01T12:00:00Z`; the latest where nothing
    /// is said.
    #[serde(default)]
    pub backup: Option<String>,
    /// The destination to read from; any that has it where nothing is said.
    #[serde(default)]
    pub destination: Option<String>,
    /// Where to, on the server's host: an absolute path; a directory for `files`, a file for `sqlite`. Left out where the
    /// backup goes into a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The source whose server the backup is restored into, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_source: Option<String>,
    /// The name that the database gets there, as the server spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_database: Option<String>,
    /// Where to end, for engines that know more moments than those of their backups: at the last change before this
    /// moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_time: Option<Timestamp>,
    /// Where to end, in the words of the engine: an LSN, a binlog file and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_position: Option<String>,
    /// Whether what is there may be overwritten; false where nothing is said.
    #[serde(default)]
    pub overwrite: bool,
}

/// Asks for a backup to be restored into scratch and compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct VerifyBody {
    /// As in a restore.
    pub backup: Option<String>,
}

/// Asks for a repository to be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct CheckBody {
    /// The destination; all where nothing is said.
    pub destination: Option<String>,
    /// Whether every byte is read, not only the structure.
    pub read_data: bool,
    /// The part of the bytes that is read, such as `3/30`: the third of thirty parts; all thirty together read everything.
    pub part: Option<String>,
}

/// Asks for space to be freed that no backup needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct PruneBody {
    /// The destination; all where nothing is said.
    pub destination: Option<String>,
    /// Whether it only says what it would do.
    pub dry_run: bool,
}

/// Asks for repositories to be mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct RepairBody {
    /// The destination that is mended; all where nothing is said. What is damaged there is taken from any other.
    pub destination: Option<String>,
    /// Whether every byte is read, to find damage that sizes do not show.
    pub read_data: bool,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// What is done with backups of which something is lost for good; they stay as they are where nothing is said.
    pub damaged_backups: DamagedBackups,
}

/// Asks for destinations to be brought what they lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct HealBody {
    /// The only destination that is to get something; all where nothing is said.
    pub destination: Option<String>,
}

/// What stock restic needs to open a repository.
///
/// Where the server asks for a token the password is in the answer. Without one anybody on the host may ask, so the
/// answer only names the key file, and whoever may read that file has the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct KeyAccess {
    /// The value of `RESTIC_REPOSITORY`.
    pub repository: String,
    /// The value of `RESTIC_PASSWORD`, where this answer may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The value of `RESTIC_PASSWORD_FILE` on the server's host.
    pub password_file: String,
    /// Further variables that restic needs to reach the destination.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Variables that it needs too, whose values this answer may not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
}

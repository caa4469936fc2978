//! What the service is asked for.

use crate::error::ServiceError;
use jiff::Timestamp;
use larder_engines::RestorePointInTime;
use larder_model::task::DestinationSettings;
use larder_model::{OperationKind, OperationStatus, RestorePoint, Secret};
use larder_repository::CheckPart;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which backup of a database is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupChoice {
    /// The newest good one.
    #[default]
    Latest,
    /// The one with this id, or whose id begins so.
    Id(String),
    /// The newest good one begun at this moment or before.
    AtOrBefore(Timestamp),
}

impl std::str::FromStr for BackupChoice {
    type Err = ServiceError;

    /// Reads `latest`, the beginning of an id (at least 4 hexadecimal characters), or a moment such as
    /// `2026-03-01T12:00:00Z`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if text.len() >= 4 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        text.parse().map(Self::AtOrBefore).map_err(|_| {
            ServiceError::invalid(
                "Backup",
                format!(
                    "'{text}' names no backup; write latest, an id or its first characters, or a moment such as 2026-03-01T12:00:00Z"
                ),
            )
        })
    }
}

/// What is to be got back, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The database, by name.
    pub database: String,
    /// Which of its backups.
    pub backup: BackupChoice,
    /// From which destination, by name or address; any that has it where nothing is said.
    pub destination: Option<String>,
    /// Where to.
    pub target: RestorePlace,
    /// Whether what is there may be overwritten.
    pub overwrite: bool,
    /// Where it ends, for engines that know more moments than those of their backups.
    pub until: Option<RestorePointInTime>,
}

/// Where a backup's data is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestorePlace {
    /// A place on the server's host, an absolute path: a directory for `files`, a file for `sqlite`, a directory for what a
    /// database server's tools wrote.
    Path(PathBuf),
    /// A database of a server.
    Server {
        /// The source that is the server, by name.
        source: String,
        /// The name that the database gets there.
        name: String,
    },
}

impl std::fmt::Display for RestorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Server { source, name } => write!(f, "{source}/{name}"),
        }
    }
}

/// How much of a repository a check reads; its structure in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckDepth {
    /// Whether the bytes are read, too.
    pub read_data: bool,
    /// The part of them that is read then; all where nothing is said.
    pub part: Option<CheckPart>,
}

/// What a repair does with backups of which something is lost for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DamagedBackups {
    /// They stay as they are: all that is not lost can be restored from them.
    #[default]
    Keep,
    /// Of each, a second backup is written without what is lost; it is marked incomplete.
    Supplement,
    /// As `Supplement`, and then the damaged one is removed.
    Replace,
}

/// What is to be mended, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairRequest {
    /// The database, by name.
    pub database: String,
    /// Only at this destination, by name or address.
    pub destination: Option<String>,
    /// Whether every byte is read to find damage that sizes do not show.
    pub read_data: bool,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// What is done with backups of which something is lost for good.
    pub damaged_backups: DamagedBackups,
}

/// A backup that is to become a new database of Larder's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreInto {
    /// The name of the new database; one that is taken is never touched.
    pub database: String,
    /// Where the repository lies, or a folder that holds a single repository.
    pub location: DestinationSettings,
    /// Which of its backups.
    pub backup: BackupChoice,
    /// What opens the repository, where it is none of the keys that the server knows.
    pub key: Option<Secret>,
}

/// Which operations are meant; every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// Only of this database.
    pub database: Option<String>,
    /// Only of this kind.
    pub kind: Option<OperationKind>,
    /// Only those that stand so.
    pub status: Option<OperationStatus>,
    /// At most so many, the newest; all where nothing is said.
    pub limit: Option<usize>,
}

/// A backup, and the rules that keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct KeptBackup {
    /// The backup.
    pub backup: RestorePoint,
    /// Every rule that keeps it, in words; none where it would be removed.
    pub rules: Vec<String>,
}

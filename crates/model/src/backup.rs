//! Backups: what they are called and what is known about each.

use crate::database::EngineKind;
use crate::name::DatabaseName;
use crate::task::Periodicity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one backup: the hexadecimal SHA-256 of its snapshot object, as restic does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BackupId(pub String);

impl BackupId {
    /// Returns the first eight characters, as people are shown.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a backup read everything anew or only what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BackupKind {
    /// Everything was read anew; starts a chain.
    Full,
    /// Only what changed since the backup before was read.
    Incremental,
}

impl fmt::Display for BackupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        })
    }
}

/// How much a backup can be relied on, in the sense of the promise Larder makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BackupQuality {
    /// Restored and compared.
    Verified,
    /// Complete, and all its objects are present.
    Good,
    /// Kept, but something could not be read; never counted as good.
    Incomplete,
    /// Kept, but a restored copy differed from it; never counted as good.
    Suspicious,
}

impl BackupQuality {
    /// Says whether a backup of this quality counts as good.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Verified | Self::Good)
    }
}

impl fmt::Display for BackupQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Good => "good",
            Self::Incomplete => "incomplete",
            Self::Suspicious => "suspicious",
        })
    }
}

/// One backup at one destination, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct RestorePoint {
    /// Names the backup.
    pub id: BackupId,
    /// The database it is of.
    pub database: DatabaseName,
    /// The engine that made it; `None` where the snapshot was not made by Larder.
    pub engine: Option<EngineKind>,
    /// Where it lies.
    pub destination: String,
    /// When it was begun.
    pub time: jiff::Timestamp,
    /// Full or incremental; `None` where the snapshot was not made by Larder.
    pub kind: Option<BackupKind>,
    /// How much it can be relied on.
    pub quality: BackupQuality,
    /// Bytes a restore writes.
    pub size_bytes: u64,
    /// Files and streams in it.
    pub files: u64,
    /// The operation that made it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u64>,
    /// What it is kept as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub periodicities: Vec<Periodicity>,
    /// The first moment a restore of it can end at, for engines that know the changes between backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoverable_from: Option<jiff::Timestamp>,
    /// The last such moment; every one between them will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoverable_until: Option<jiff::Timestamp>,
}

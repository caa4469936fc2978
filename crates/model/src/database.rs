//! Sources and the databases found in them.

use crate::name::DatabaseName;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The kinds of source Larder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// File trees.
    Files,
    /// SQLite database files.
    Sqlite,
    /// A PostgreSQL server.
    Postgresql,
    /// A MariaDB or MySQL server.
    Mariadb,
    /// A Redis server.
    Redis,
    /// A server that speaks CouchDB's protocol.
    Couchdb,
    /// An etcd cluster.
    Etcd,
    /// What a program prints.
    Command,
}

impl EngineKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Files,
        Self::Sqlite,
        Self::Postgresql,
        Self::Mariadb,
        Self::Redis,
        Self::Couchdb,
        Self::Etcd,
        Self::Command,
    ];

    /// Returns the name used in configuration, commands and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
            Self::Mariadb => "mariadb",
            Self::Redis => "redis",
            Self::Couchdb => "couchdb",
            Self::Etcd => "etcd",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An engine that Larder does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' is not an engine; the engines are files, sqlite, postgresql, mariadb, redis, couchdb, etcd and command"
)]
pub struct UnknownEngine {
    /// The name as it was given.
    pub name: String,
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownEngine { name: name.to_owned() })
    }
}

/// A place that holds databases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Source {
    /// The name of the source, unique on this server.
    pub name: DatabaseName,
    /// Which engine reads it.
    pub engine: EngineKind,
    /// Where it is. For `files` the directory that is one database, and for `sqlite` a database file, or a directory in
    /// which every SQLite file found is a database: absolute paths. For a server its address without a password:
    /// `postgresql://backup@127.0.0.1:5432`. For `command` the program with its arguments.
    #[serde(alias = "Path")]
    pub address: String,
    /// The password for the address, where the engine asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// What else the engine wants to know, by the names that its page gives: `DataDirectory`, `TlsCertificate`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Patterns left out, in gitignore syntax, besides the engine's defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether logs, caches and Larder's own data are left out; true unless said otherwise.
    #[serde(default = "yes")]
    pub default_excludes: bool,
    /// Whether the walk stays on the file system it began on; false unless said otherwise.
    #[serde(default)]
    pub one_file_system: bool,
}

const fn yes() -> bool {
    true
}

/// The unit of backup: one database, or one file tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Database {
    /// The name, unique on this server; also its folder at every destination.
    pub name: DatabaseName,
    /// The source it was found in.
    pub source: DatabaseName,
    /// The engine of that source.
    pub engine: EngineKind,
    /// Where it is within the source, in the engine's own words: an absolute path for `files` and `sqlite`, the
    /// server's own name of the database for servers.
    pub locator: String,
    /// When it was first seen.
    pub discovered: jiff::Timestamp,
    /// When discovery found it gone; its backups stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<jiff::Timestamp>,
}

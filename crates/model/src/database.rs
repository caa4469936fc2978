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
    /// The objects of a bucket.
    Bucket,
    /// What a program prints.
    Command,
}

impl EngineKind {
    /// Every kind that there is an engine for, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Files,
        Self::Sqlite,
        Self::Postgresql,
        Self::Mariadb,
        Self::Redis,
        Self::Couchdb,
        Self::Etcd,
        Self::Bucket,
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
            Self::Bucket => "bucket",
            Self::Command => "command",
        }
    }
}

impl EngineKind {
    /// Returns the kind that an address with a scheme belongs to, such as `postgresql://backup@host`; `None` for paths and for
    /// schemes that no engine has.
    #[must_use]
    pub fn of_address(address: &str) -> Option<Self> {
        match address.split_once("://")?.0 {
            "postgresql" | "postgres" => Some(Self::Postgresql),
            "mariadb" | "mysql" => Some(Self::Mariadb),
            "redis" | "rediss" | "unix" => Some(Self::Redis),
            "couchdb" | "couchdbs" | "http" | "https" => Some(Self::Couchdb),
            "etcd" | "etcds" => Some(Self::Etcd),
            "s3" | "azure" | "gcs" | "gs" => Some(Self::Bucket),
            "command" => Some(Self::Command),
            _ => None,
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
#[error("'{name}' is not an engine; the engines are {}", EngineKind::ALL.map(EngineKind::as_str).join(", "))]
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
    /// `postgresql://backup@127.0.0.1:5432`. For `bucket` the bucket and the folder in it: `s3://assets/img`. For `command` the
    /// program with its arguments.
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

impl Source {
    /// Makes a source with everything but its name, engine and address at its default.
    #[must_use]
    pub const fn new(name: DatabaseName, engine: EngineKind, address: String) -> Self {
        Self {
            name,
            engine,
            address,
            password: None,
            options: BTreeMap::new(),
            exclude: Vec::new(),
            default_excludes: true,
            one_file_system: false,
        }
    }

    /// Moves a password that stands in the address, as in `postgresql://backup:secret@host`, to where it is kept from
    /// sight; one that is given apart wins.
    pub fn hide_password(&mut self) {
        let Some((scheme, rest)) = self.address.split_once("://") else { return };
        let authority = rest.find('/').map_or(rest, |end| &rest[..end]);
        let Some((login, _)) = authority.rsplit_once('@') else { return };
        let Some((user, password)) = login.split_once(':') else { return };
        let bare = format!("{scheme}://{user}{}", &rest[login.len()..]);
        if self.password.is_none() && !password.is_empty() {
            self.password = Some(Secret::new(percent_decoded(password)));
        }
        self.address = bare;
    }
}

/// Reads `%40` and the like; what is no such escape stays as it is.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_moved_out_of_sight() {
        for (address, bare, password) in [
            ("postgresql://backup:p%40ss@host:5432/x", "postgresql://backup@host:5432/x", Some("p@ss")),
            ("postgresql://backup:a:b@host", "postgresql://backup@host", Some("a:b")),
            ("http://admin:@host", "http://admin@host", None),
            ("postgresql://backup@host", "postgresql://backup@host", None),
            ("/srv/a:b@c", "/srv/a:b@c", None),
        ] {
            let name = DatabaseName::from_lossy("main");
            let mut source = Source::new(name, EngineKind::Postgresql, address.to_owned());
            source.hide_password();
            assert_eq!(source.address, bare);
            assert_eq!(source.password.as_ref().map(Secret::expose), password);
        }
    }

    #[test]
    fn an_unknown_engine_is_answered_with_those_there_are() {
        let error = "oracle".parse::<EngineKind>().unwrap_err().to_string();
        assert_eq!(
            error,
            "'oracle' is not an engine; the engines are files, sqlite, postgresql, mariadb, redis, couchdb, etcd, bucket, command"
        );
        assert!(EngineKind::ALL.iter().all(|kind| kind.as_str().parse() == Ok(*kind)));
    }
}

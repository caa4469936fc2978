//! A task for every database.

use crate::database::EngineKind;
use crate::name::{DatabaseName, matches};
use crate::task::SERVER_WIDE_PREFIX;
use crate::task::periodic::PeriodicBackupConfiguration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which databases a server-wide task is for; all, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct Selector {
    /// Only databases of these engines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineKind>,
    /// Only databases of these sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<DatabaseName>,
    /// Only databases whose name matches one of these; `*` and `?` stand for any characters and for any one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

/// What RavenDB shows before the names of derived tasks; always the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamePrefix;

impl Serialize for NamePrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SERVER_WIDE_PREFIX)
    }
}

impl<'de> Deserialize<'de> for NamePrefix {
    /// Takes anything: clients send back what they got.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for NamePrefix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NamePrefix".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// A backup configuration for every database of the server but the excluded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerWideBackupConfiguration {
    /// How backups are made and kept.
    #[serde(flatten)]
    pub periodic: PeriodicBackupConfiguration,
    /// What stands before the names of derived tasks; ignored on input.
    pub name_prefix: NamePrefix,
    /// The databases it is not for: names, or patterns with `*` and `?`.
    pub excluded_databases: Vec<String>,
    /// Narrows it to some databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

impl ServerWideBackupConfiguration {
    /// Says whether a name is excluded, upper and lower case counting as the same.
    #[must_use]
    pub fn excludes(&self, database: &str) -> bool {
        self.excluded_databases.iter().any(|pattern| matches(pattern, database))
    }
}

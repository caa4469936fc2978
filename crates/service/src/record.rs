//! What lies in the state under which key.

use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use jiff::Timestamp;
use larder_model::{BackupId, DatabaseName, OperationId};
use larder_state::{State, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) const SOURCES: &str = "source/";
pub(crate) const DATABASES: &str = "database/";
pub(crate) const TASKS: &str = "task/";
/// The secrets of tasks and sources, sealed.
pub(crate) const SECRETS: &str = "secret/";
pub(crate) const EXCEPTIONS: &str = "derived/";
pub(crate) const STATUSES: &str = "status/";
pub(crate) const DECISIONS: &str = "decision/";
pub(crate) const OPERATIONS: &str = "operation/";
pub(crate) const PLACES: &str = "place/";
/// What opens the places.
pub(crate) const SPOTS: &str = "spot/";
/// The secrets of that, sealed.
pub(crate) const SPOT_SECRETS: &str = "spot-secret/";
pub(crate) const VERIFICATIONS: &str = "verification/";
/// What is remembered of the upkeep of repositories.
pub(crate) const UPKEEP: &str = "upkeep/";

/// The last number given to an operation; numbers never come twice, however short the history.
pub(crate) const LAST_OPERATION: &str = "counter/operation";

/// Where the task of one database differs from what its server-wide task says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Exception {
    /// The number by which the database knows it; the template's first where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_id: Option<u64>,
    /// Whether it rests for this database alone.
    pub(crate) disabled_here: bool,
    /// Since when it has been for this database, or awake: nothing before counts as missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
}

/// A place that a database's backups were written to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StoredPlace {
    /// The database.
    pub(crate) database: DatabaseName,
    /// Its address, without the database's folder.
    pub(crate) root: String,
}

pub(crate) fn source(name: &DatabaseName) -> String {
    format!("{SOURCES}{name}")
}

pub(crate) fn database(name: &DatabaseName) -> String {
    format!("{DATABASES}{name}")
}

/// Tasks have numbers there, and no number looks so.
pub(crate) fn source_secrets(name: &DatabaseName) -> String {
    format!("{SECRETS}source/{name}")
}

/// Numbers are padded, so that the order of keys is that of the numbers.
pub(crate) fn task(uid: TaskUid) -> String {
    format!("{TASKS}{uid:020}")
}

pub(crate) fn secrets(uid: TaskUid) -> String {
    format!("{SECRETS}{uid:020}")
}

/// A database's name has no `/`, so the first one ends it.
pub(crate) fn exception(key: &TaskKey) -> String {
    format!("{EXCEPTIONS}{}/{}", key.database, key.task)
}

pub(crate) fn status(key: &TaskKey) -> String {
    format!("{STATUSES}{}/{}", key.database, key.task)
}

pub(crate) fn decisions(key: &TaskKey) -> String {
    format!("{DECISIONS}{}/{}", key.database, key.task)
}

/// Numbers are padded, so that the order of keys is the order of operations.
pub(crate) fn operation(id: OperationId) -> String {
    format!("{OPERATIONS}{id:020}")
}

/// A path begins with a `/` of its own, and other addresses do not.
pub(crate) fn place(place: &StoredPlace) -> String {
    below(PLACES, place)
}

pub(crate) fn upkeep(place: &StoredPlace) -> String {
    below(UPKEEP, place)
}

fn below(prefix: &str, place: &StoredPlace) -> String {
    let slash = if place.root.starts_with('/') { "" } else { "/" };
    format!("{prefix}{}{slash}{}", place.database, place.root)
}

pub(crate) fn spot(address: &str) -> String {
    format!("{SPOTS}{address}")
}

pub(crate) fn spot_secrets(address: &str) -> String {
    format!("{SPOT_SECRETS}{address}")
}

pub(crate) fn verification(backup: &BackupId) -> String {
    format!("{VERIFICATIONS}{backup}")
}

/// Makes the write that stores a value.
pub(crate) fn put<T: Serialize>(key: String, value: &T) -> Result<Write, ServiceError> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(Write::Put(key, bytes)),
        Err(cause) => Err(ServiceError::Record { key, cause: cause.to_string() }),
    }
}

fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(bytes)
        .map_err(|cause| ServiceError::Record { key: key.to_owned(), cause: cause.to_string() })
}

/// Reads one value.
pub(crate) async fn get<T: DeserializeOwned>(
    state: &dyn State,
    key: &str,
) -> Result<Option<T>, ServiceError> {
    state.get(key).await?.map(|found| read(key, &found.value)).transpose()
}

/// Reads every value under a prefix, with what of its key comes after it.
pub(crate) async fn all<T: DeserializeOwned>(
    state: &dyn State,
    prefix: &str,
) -> Result<Vec<(String, T)>, ServiceError> {
    let found = state.range(prefix).await?;
    let strip = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    found.iter().map(|(key, value)| Ok((strip(key), read(key, &value.value)?))).collect()
}

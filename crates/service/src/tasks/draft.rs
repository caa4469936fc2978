//! From what a caller sends to a task that can be checked: merged with what is stored, read, its secrets put in.

use crate::error::ServiceError;
use larder_model::PeriodicBackupConfiguration;
use larder_model::task::{merge, read};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Keys that only the server writes; clients send back what they got.
const SERVER_SET: [&str; 3] = ["TaskId", "CreatedAt", "NamePrefix"];

/// What a request says about which task it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    /// The name; empty where none is given.
    pub(crate) name: String,
    /// The number; 0 for a new one.
    pub(crate) task_id: u64,
}

/// Reads name and number before anything else is looked at.
pub(crate) fn meant(update: &Map<String, Value>) -> Result<Meant, ServiceError> {
    let only = |key: &str| update.get(key).map(|value| (key.to_owned(), value.clone()));
    let both: Map<String, Value> = only("Name").into_iter().chain(only("TaskId")).collect();
    let read: PeriodicBackupConfiguration = read(&both)?;
    Ok(Meant { name: read.name.trim().to_owned(), task_id: read.task_id })
}

/// Puts an update over a stored task, or over nothing, and reads the result. Secrets that come as their mask are not
/// yet put in.
pub(crate) fn merged<T: Serialize + DeserializeOwned>(
    stored: Option<&T>,
    update: &Map<String, Value>,
) -> Result<T, ServiceError> {
    let stored = match stored.map(serde_json::to_value) {
        Some(Ok(Value::Object(stored))) => stored,
        _ => Map::new(),
    };
    let mut update = update.clone();
    for key in SERVER_SET {
        update.remove(key);
    }
    let mut result = merge(stored, update);
    for key in SERVER_SET {
        result.remove(key);
    }
    Ok(read(&result)?)
}

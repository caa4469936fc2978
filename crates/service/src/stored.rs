//! Tasks in the state: the configuration without its secrets, and the secrets sealed beside it.

use crate::error::ServiceError;
use crate::identity::TaskUid;
use crate::plan::{Plan, Written};
use crate::record;
use crate::seal::Sealer;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::DatabaseName;
use larder_model::task::read;
use larder_schedule::Schedule;
use larder_state::{State, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A task as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredTask {
    /// Its number for life.
    uid: TaskUid,
    /// The database it is of; `None` for a server-wide one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseName>,
    /// The configuration, in the words in which users write it.
    task: Map<String, Value>,
    /// When it was made.
    created: Timestamp,
    /// When its schedule last changed.
    scheduled: Timestamp,
    /// The revision that last put it; 0 in what was stored before this was noted.
    #[serde(default)]
    put: u64,
}

/// Makes the writes that store a task.
pub(crate) fn writes(plan: &Plan, sealer: &Sealer) -> Result<Vec<Write>, ServiceError> {
    let key = record::task(plan.uid);
    let mut bare = plan.written.clone();
    let secrets = bare.periodic_mut().backup.take_secrets();
    let (database, task) = match &bare {
        Written::ServerWide(task) => (None, serde_json::to_value(task)),
        Written::Own(database, task) => (Some(database.clone()), serde_json::to_value(task)),
    };
    let task = match task {
        Ok(Value::Object(task)) => task,
        Ok(_) => Map::new(),
        Err(error) => return Err(ServiceError::Record { key, cause: error.to_string() }),
    };
    let (created, scheduled, put) = (plan.created, plan.scheduled, plan.put);
    let stored = StoredTask { uid: plan.uid, database, task, created, scheduled, put };
    let beside = record::secrets(plan.uid);
    let sealed = match secrets.is_empty() {
        true => Write::Delete(beside),
        false => Write::Put(beside, sealer.seal(&key, &secrets)?),
    };
    Ok(vec![record::put(key, &stored)?, sealed])
}

/// Makes the writes that remove a task.
pub(crate) fn removal(uid: TaskUid) -> Vec<Write> {
    vec![Write::Delete(record::task(uid)), Write::Delete(record::secrets(uid))]
}

/// Reads every task.
pub(crate) async fn load(
    state: &dyn State,
    sealer: &Sealer,
    default_zone: &TimeZone,
) -> Result<Vec<Plan>, ServiceError> {
    let mut sealed: HashMap<String, Vec<u8>> =
        state.range(record::SECRETS).await?.into_iter().map(|(key, found)| (key, found.value)).collect();
    let mut plans = Vec::new();
    for (_, stored) in record::all::<StoredTask>(state, record::TASKS).await? {
        let sealed = sealed.remove(&record::secrets(stored.uid));
        plans.push(plan(stored, sealed, sealer, default_zone)?);
    }
    Ok(plans)
}

fn plan(
    stored: StoredTask,
    sealed: Option<Vec<u8>>,
    sealer: &Sealer,
    default_zone: &TimeZone,
) -> Result<Plan, ServiceError> {
    let key = record::task(stored.uid);
    let wrong = |cause: String| ServiceError::Record { key: key.clone(), cause };
    let mut written = match stored.database {
        None => Written::ServerWide(read(&stored.task).map_err(|error| wrong(error.to_string()))?),
        Some(database) => {
            Written::Own(database, read(&stored.task).map_err(|error| wrong(error.to_string()))?)
        }
    };
    if let Some(sealed) = sealed {
        written.periodic_mut().backup.put_secrets(sealer.open(&key, &sealed)?);
    }
    let schedule =
        Schedule::of(written.periodic(), default_zone).map_err(|error| wrong(error.to_string()))?;
    let StoredTask { uid, created, scheduled, .. } = stored;
    let put = stored.put.max(written.periodic().task_id);
    Ok(Plan { uid, written, created, scheduled, put, schedule })
}

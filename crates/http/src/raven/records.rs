//! Databases made, deleted, and shown with all that is stored of them.

use super::body::Object;
use super::caller::OwnUrl;
use super::client::Client;
use super::dress;
use super::failure::{Failure, class, missing, shown};
use super::identity;
use super::product::NODE;
use super::query::Query;
use super::shape::database::{
    DatabasePut, DatabaseRecord, DatabasesDeleted, LeaderStamp, RecordTopology, nothing,
};
use super::time::Stamp;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use larder_model::DatabaseName;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What RavenDB answers for a deletion that changed nothing.
const NOTHING_CHANGED: i64 = -1;

/// The `ticks` of a topology that no leader made.
const NO_LEADERS_TICKS: i64 = -2;

fn topology(name: &DatabaseName, index: u64, changed: Timestamp) -> RecordTopology {
    RecordTopology {
        members: vec![NODE],
        promotables: Vec::new(),
        rehabs: Vec::new(),
        predefined_mentors: None,
        stamp: LeaderStamp { index, term: 1, leaders_ticks: NO_LEADERS_TICKS },
        nodes_modified_at: Stamp(changed),
        promotables_status: BTreeMap::new(),
        demotion_reasons: BTreeMap::new(),
        dynamic_nodes_distribution: false,
        replication_factor: 1,
        database_topology_id: identity::database_topology(name.as_str()),
        cluster_transaction_id: identity::cluster_transactions(name.as_str()),
        priority_order: Vec::new(),
    }
}

/// Makes a database in the embedded source; the name in the body wins over that in the address.
pub(crate) async fn create(
    State(app): State<App>,
    url: OwnUrl,
    query: Query,
    Object(record): Object,
) -> Result<(StatusCode, Json<DatabasePut>), Failure> {
    let name = match record.get("DatabaseName").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => query.required("name")?,
    };
    let name: DatabaseName = name.parse().map_err(|_| {
        let message = format!(
            "The name '{}' is not permitted. Only letters, digits and characters ('_', '-', '.') are allowed.",
            shown(name)
        );
        Failure::new(StatusCode::BAD_REQUEST, class::BAD_REQUEST, message)
    })?;
    if app.service.database_name(name.as_str()).is_ok() {
        let message = format!("Database '{name}' already exists!");
        return Err(Failure::new(StatusCode::CONFLICT, class::CONCURRENCY, message));
    }
    let index = app.service.create_database(name.as_str()).await?;
    let topology = topology(&name, index, app.clock.now());
    let made = DatabasePut {
        raft_command_index: index,
        name: name.to_string(),
        topology,
        nodes_added_to: vec![url.0],
        shards_defined: false,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

fn names(body: &Map<String, Value>) -> Result<Vec<String>, Failure> {
    let names = body.get("DatabaseNames").and_then(Value::as_array).filter(|names| !names.is_empty());
    let names = names.ok_or_else(|| Failure::argument("DatabaseNames must list at least one database"))?;
    let texts: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| Failure::argument("DatabaseNames must hold texts only"))
}

/// Deletes databases of the embedded source; those of others are refused.
pub(crate) async fn delete(
    State(app): State<App>,
    Object(body): Object,
) -> Result<Json<DatabasesDeleted>, Failure> {
    let names = names(&body)?;
    let hard = body.get("HardDelete").and_then(Value::as_bool).unwrap_or(false);
    let deleted = app.service.delete_databases(&names, hard).await?;
    let index = deleted.revision.and_then(|revision| i64::try_from(revision).ok());
    Ok(Json(DatabasesDeleted {
        raft_command_index: index.unwrap_or(NOTHING_CHANGED),
        pending_deletes: Vec::new(),
    }))
}

/// Shows all that is stored of a database.
pub(crate) async fn show(State(app): State<App>, client: Client, query: Query) -> Result<Response, Failure> {
    let name = query.required("name")?;
    let Ok(view) = app.service.database(name) else { return Ok(missing(StatusCode::NOT_FOUND, name)) };
    let database = &view.database;
    let revision = app.service.revision().await?;
    let tasks = app.service.tasks_as_put(database.name.as_str())?;
    let periodic_backups =
        tasks.iter().map(|view| dress::configuration(&view.task, client)).collect::<Result<_, _>>()?;
    let record = DatabaseRecord {
        database_name: database.name.to_string(),
        disabled: false,
        encrypted: false,
        etag_for_backup: revision,
        deletion_in_progress: BTreeMap::new(),
        database_state: "Normal",
        lock_mode: "Unlock",
        topology: RecordTopology {
            predefined_mentors: Some(BTreeMap::new()),
            ..topology(&database.name, revision, database.discovered)
        },
        nothing: nothing(),
        supported_features: Vec::new(),
        periodic_backups,
        etag: revision,
    };
    Ok(Json(record).into_response())
}

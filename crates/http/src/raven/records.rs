//! All that is stored of a database.

use super::client::Client;
use super::dress;
use super::failure::{Failure, missing};
use super::identity;
use super::product::NODE;
use super::query::Query;
use super::shape::database::{DatabaseRecord, LeaderStamp, RecordTopology, nothing};
use super::time::Stamp;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use larder_model::DatabaseName;
use std::collections::BTreeMap;

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

/// Shows all that is stored of a database.
pub(crate) async fn show(State(app): State<App>, client: Client, query: Query) -> Result<Response, Failure> {
    let name = query.required("name")?;
    let Ok(view) = app.service.database(name) else { return Ok(missing(StatusCode::NOT_FOUND, name)) };
    let database = &view.database;
    let revision = app.service.revision().await?;
    let tasks = app.service.tasks_of(database.name.as_str())?;
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

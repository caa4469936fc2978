//! Databases: which there are, and what is known of each.

use super::caller::OwnUrl;
use super::failure::{Failure, mark_missing};
use super::product::NODE;
use super::query::Query;
use super::shape::database::{BackupInfo, DatabaseInfo, Databases, NodeId, NodeStatus, NodesTopology, Size};
use super::state::span;
use super::time::WallStamp;
use crate::server::App;
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use larder_model::DatabaseName;
use larder_model::task::DestinationKind;
use larder_service::{DatabaseView, Health, TaskStatus};
use std::collections::BTreeMap;

/// The most databases that one answer describes.
const MOST_DESCRIBED: usize = 1_000;

/// The most names that one answer lists.
const MOST_NAMED: usize = 100_000;

/// The database that a path names; declined where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) DatabaseName);

impl FromRequestParts<App> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let values = Path::<BTreeMap<String, String>>::from_request_parts(parts, app).await;
        let name = values.ok().and_then(|Path(mut values)| values.remove("database")).unwrap_or_default();
        existing(app, &name).map(Self)
    }
}

/// Returns the name of a database as it is written here, or declines.
pub(crate) fn existing(app: &App, name: &str) -> Result<DatabaseName, Failure> {
    app.service.database_name(name).map_err(|_| Failure::database_missing(name))
}

/// Answers `/databases`: names, or what is known of one or of all.
pub(crate) async fn list(State(app): State<App>, url: OwnUrl, query: Query) -> Result<Response, Failure> {
    if let Some(name) = query.get("name") {
        let Ok(view) = app.service.database(name) else {
            let mut response = StatusCode::NOT_FOUND.into_response();
            mark_missing(&mut response, name);
            return Ok(response);
        };
        return Ok(Json(Databases { databases: vec![info(&app, &view, &url)] }).into_response());
    }
    let names_only = query.flag("namesOnly")?;
    let (start, size) = query.page(if names_only { MOST_NAMED } else { MOST_DESCRIBED })?;
    let names = app.service.database_names(start, size).into_iter();
    if names_only {
        let databases: Vec<DatabaseName> = names.collect();
        return Ok(Json(Databases { databases }).into_response());
    }
    // One that went away in between is not described.
    let views = names.filter_map(|name| app.service.database(name.as_str()).ok());
    let databases: Vec<DatabaseInfo> = views.map(|view| info(&app, &view, &url)).collect();
    Ok(Json(Databases { databases }).into_response())
}

fn info(app: &App, view: &DatabaseView, url: &OwnUrl) -> DatabaseInfo {
    let last = view.last_operation.and_then(|id| app.service.operation(id).ok());
    let name = view.database.name.to_string();
    let size = last.as_ref().map_or(0, |operation| operation.progress.bytes_total);
    DatabaseInfo {
        total_size: sized(size),
        temp_buffers_size: sized(0),
        up_time: span(app.started, app.clock.now()),
        backup_info: backup_info(app, view),
        alerts: u64::from(matches!(view.health, Health::Failed | Health::Late)),
        performance_hints: 0,
        indexing_errors: 0,
        tasks_errors: None,
        documents_count: last.as_ref().map_or(0, |operation| operation.progress.items_total),
        indexing_status: "Disabled",
        disabled: false,
        lock_mode: "Unlock",
        is_admin: true,
        is_encrypted: false,
        reject_clients: false,
        has_revisions_configuration: false,
        has_expiration_configuration: false,
        has_refresh_configuration: false,
        has_data_archival_configuration: false,
        indexes_count: 0,
        nodes_topology: NodesTopology {
            members: vec![NodeId::own(&url.0)],
            promotables: Vec::new(),
            rehabs: Vec::new(),
            status: BTreeMap::from([(NODE, NodeStatus { last_status: "Ok", last_error: None })]),
            priority_order: Vec::new(),
            dynamic_nodes_distribution: false,
        },
        replication_factor: 1,
        dynamic_nodes_distribution: false,
        deletion_in_progress: BTreeMap::new(),
        environment: "None",
        name,
    }
}

/// Describes the newest good backup, be it a task's or a one-time one, as RavenDB does: with its own destinations only.
fn backup_info(app: &App, view: &DatabaseView) -> BackupInfo {
    let until = view.next_run.as_ref().map(|run| run.time.duration_since(app.clock.now()).as_secs_f64());
    let once = app.service.once_status(view.database.name.as_str()).ok().flatten();
    let of_tasks = view.tasks.iter().map(|task| ("Periodic", &task.status));
    let newest = of_tasks
        .chain(once.as_ref().map(|status| ("OneTime", status)))
        .filter_map(|(kind, status)| Some((kind, status, status.last_good.as_ref()?.time)))
        .max_by_key(|(_, _, time)| *time);
    BackupInfo {
        last_backup: newest.map(|(_, _, time)| WallStamp::utc(time)),
        seconds_until_next_backup: until.unwrap_or(0.0).max(0.0),
        backup_task_type: newest.map_or("Periodic", |(kind, _, _)| kind),
        destinations: newest.map(|(_, status, _)| reached(status)),
    }
}

/// Names the kinds of destinations that hold a task's backups, each once.
fn reached(status: &TaskStatus) -> Vec<&'static str> {
    let holds =
        |kind| status.destinations.iter().any(|place| place.kind == kind && place.exception.is_none());
    DestinationKind::ALL.into_iter().filter(|kind| holds(*kind)).map(DestinationKind::wire_name).collect()
}

fn sized(bytes: u64) -> Size {
    Size { humane_size: humane(bytes), size_in_bytes: bytes }
}

/// Says a number of bytes as RavenDB does: `36.25 MBytes`.
pub(crate) fn humane(bytes: u64) -> String {
    const STEPS: [(u64, &str, usize); 4] =
        [(1 << 40, "TBytes", 3), (1 << 30, "GBytes", 3), (1 << 20, "MBytes", 2), (1 << 10, "KBytes", 2)];
    for (unit, word, digits) in STEPS {
        if bytes >= unit {
            // Three digits are shown, so what a float loses is not seen.
            let number = format!("{:.digits$}", bytes as f64 / unit as f64);
            let number = number.trim_end_matches('0').trim_end_matches('.');
            return format!("{number} {word}");
        }
    }
    format!("{bytes} Bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_as_ravendb_says_them() {
        for (bytes, words) in [
            (0, "0 Bytes"),
            (17_039_360, "16.25 MBytes"),
            (68_502_720_512, "63.798 GBytes"),
            (6_090, "5.95 KBytes"),
            (1_048_576, "1 MBytes"),
        ] {
            assert_eq!(humane(bytes), words);
        }
    }
}

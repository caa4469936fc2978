//! Server-wide tasks: stored, listed, toggled, deleted.

use super::body::Object;
use super::client::Client;
use super::dress;
use super::failure::Failure;
use super::query::Query;
use super::shape::operation::Results;
use super::shape::task::{ServerWideStored, ServerWideTaskInfo, ServerWideTasks, TaskState};
use super::tasks::{destinations, policy};
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use larder_model::ServerWideBackupConfiguration;
use larder_service::Stored;
use serde_json::Value;

/// Kinds of server-wide task that RavenDB has besides backups.
const OTHER_TYPES: [&str; 1] = ["Replication"];

/// Checks the parameter that says which kind of task is meant; says whether it is backups.
fn is_backup(query: &Query) -> Result<bool, Failure> {
    match query.required("type")? {
        "Backup" => Ok(true),
        other if OTHER_TYPES.contains(&other) => Ok(false),
        other => Err(Failure::argument(format!("{} is unknown task type.", super::failure::shown(other)))),
    }
}

fn only_backups(query: &Query) -> Result<(), Failure> {
    if is_backup(query)? {
        return Ok(());
    }
    Err(Failure::argument("this server has only tasks of the type Backup"))
}

fn stored(stored: Stored) -> ServerWideStored {
    ServerWideStored { name: stored.name, raft_command_index: stored.revision }
}

pub(crate) async fn put(
    State(app): State<App>,
    Object(update): Object,
) -> Result<(StatusCode, Json<ServerWideStored>), Failure> {
    let done = app.service.put_server_wide(&update).await?;
    Ok((StatusCode::CREATED, Json(stored(done))))
}

fn results(app: &App, query: &Query, client: Client) -> Result<Json<Results<Value>>, Failure> {
    let found = app.service.server_wide(query.get("name"));
    let results = found.iter().map(|task| dress::configuration(task, client)).collect::<Result<_, _>>()?;
    Ok(Json(Results { results }))
}

pub(crate) async fn list(
    State(app): State<App>,
    client: Client,
    query: Query,
) -> Result<Json<Results<Value>>, Failure> {
    match is_backup(&query)? {
        true => results(&app, &query, client),
        false => Ok(Json(Results { results: Vec::new() })),
    }
}

/// The older route, which has only backups.
pub(crate) async fn list_backups(
    State(app): State<App>,
    client: Client,
    query: Query,
) -> Result<Json<Results<Value>>, Failure> {
    results(&app, &query, client)
}

pub(crate) async fn delete(State(app): State<App>, query: Query) -> Result<Json<ServerWideStored>, Failure> {
    only_backups(&query)?;
    delete_backup(State(app), query).await
}

/// The older route, which has only backups.
pub(crate) async fn delete_backup(
    State(app): State<App>,
    query: Query,
) -> Result<Json<ServerWideStored>, Failure> {
    Ok(Json(stored(app.service.delete_server_wide(query.required("name")?).await?)))
}

pub(crate) async fn toggle(
    State(app): State<App>,
    client: Client,
    query: Query,
) -> Result<Response, Failure> {
    only_backups(&query)?;
    let (name, disable) = (query.required("name")?, query.required_flag("disable")?);
    let done = stored(app.service.toggle_server_wide(name, disable).await?);
    Ok(match client {
        // Node's client throws on any body here, though the change is made.
        Client::Node => StatusCode::NO_CONTENT.into_response(),
        _ => Json(done).into_response(),
    })
}

/// Lists the tasks as the studio of RavenDB shows them.
pub(crate) async fn overview(State(app): State<App>) -> Result<Json<ServerWideTasks>, Failure> {
    let tasks = app.service.server_wide(None);
    Ok(Json(ServerWideTasks { tasks: tasks.iter().map(info).collect::<Result<_, _>>()? }))
}

fn info(task: &ServerWideBackupConfiguration) -> Result<ServerWideTaskInfo, Failure> {
    let periodic = &task.periodic;
    let written = dress::configuration(periodic, Client::Other)?;
    Ok(ServerWideTaskInfo {
        task_id: periodic.task_id,
        task_type: "Backup",
        responsible_node: None,
        task_state: if periodic.disabled { TaskState::Disabled } else { TaskState::Enabled },
        task_connection_status: "None",
        task_name: periodic.name.clone(),
        mentor_node: periodic.mentor_node.clone(),
        pin_to_mentor_node: periodic.pin_to_mentor_node,
        error: None,
        excluded_databases: task.excluded_databases.clone(),
        backup_type: periodic.backup.backup_type,
        backup_destinations: destinations(&periodic.backup),
        retention_policy: policy(&written),
        is_encrypted: periodic.backup.is_encrypted(),
    })
}

//! Databases: how they stand, and where their backups lie.

use crate::answer::KeyAccess;
use crate::api::input::{Body, Params};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_service::{DatabaseView, DestinationView, Stored, TaskSelector, TaskView};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationQuery {
    pub(crate) destination: Option<String>,
}

pub(crate) async fn list(State(app): State<App>) -> Json<Vec<DatabaseView>> {
    Json(app.service.databases())
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<DatabaseView>, ApiError> {
    Ok(Json(app.service.database(&name)?))
}

pub(crate) async fn forget(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    app.service.forget_database(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn tasks(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<TaskView>>, ApiError> {
    Ok(Json(app.service.tasks_of(&name)?))
}

pub(crate) async fn put_task(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(update): Body<Map<String, Value>>,
) -> Result<Json<Stored>, ApiError> {
    Ok(Json(app.service.put_database_task(&name, &update).await?))
}

/// Reads the number of a task.
fn task_id(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        ApiError::invalid(format!(
            "'{shown}' is no number of a task; list the database's tasks to see theirs"
        ))
    })
}

pub(crate) async fn delete_task(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    app.service.delete_database_task(&name, task_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn enable_task(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Stored>, ApiError> {
    Ok(Json(app.service.toggle_database_task(&name, TaskSelector::Id(task_id(&id)?), false).await?))
}

pub(crate) async fn disable_task(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Stored>, ApiError> {
    Ok(Json(app.service.toggle_database_task(&name, TaskSelector::Id(task_id(&id)?), true).await?))
}

pub(crate) async fn destinations(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<DestinationView>>, ApiError> {
    Ok(Json(app.service.destinations(&name)?))
}

pub(crate) async fn restic_access(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<DestinationQuery>,
) -> Result<Json<KeyAccess>, ApiError> {
    let access = app.service.restic_access(&name, query.destination.as_deref())?;
    let mut answer = KeyAccess {
        repository: access.repository,
        password: None,
        password_file: app.key_file.display().to_string(),
        environment: access.environment,
        withheld: Vec::new(),
    };
    if app.door.has_token() {
        answer.password = Some(access.password.expose().to_owned());
        let secrets = access.secrets.into_iter().map(|(name, value)| (name, value.expose().to_owned()));
        answer.environment.extend(secrets);
    } else {
        answer.withheld = access.secrets.into_keys().collect();
    }
    Ok(Json(answer))
}

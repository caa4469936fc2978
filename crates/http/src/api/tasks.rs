//! Server-wide tasks.

use crate::api::about::MAX_RUNS;
use crate::api::input::{Body, Params};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use larder_model::{BackupKind, ServerWideBackupConfiguration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A run of a task that is not stored yet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PlannedRun {
    /// Full or incremental.
    kind: BackupKind,
    /// When.
    time: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuery {
    count: Option<usize>,
}

pub(crate) async fn list(State(app): State<App>) -> Json<Vec<ServerWideBackupConfiguration>> {
    Json(app.service.tasks())
}

pub(crate) async fn put(
    State(app): State<App>,
    Body(update): Body<Map<String, Value>>,
) -> Result<Json<ServerWideBackupConfiguration>, ApiError> {
    Ok(Json(app.service.put_task(&update).await?))
}

pub(crate) async fn preview(
    State(app): State<App>,
    Params(query): Params<PreviewQuery>,
    Body(task): Body<ServerWideBackupConfiguration>,
) -> Result<Json<Vec<PlannedRun>>, ApiError> {
    let runs = app.service.preview(&task, query.count.unwrap_or(5).min(MAX_RUNS))?;
    Ok(Json(runs.into_iter().map(|(kind, time)| PlannedRun { kind, time }).collect()))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ServerWideBackupConfiguration>, ApiError> {
    Ok(Json(app.service.task(&name)?))
}

pub(crate) async fn delete(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    app.service.delete_task(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn enable(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ServerWideBackupConfiguration>, ApiError> {
    Ok(Json(app.service.set_task_disabled(&name, false).await?))
}

pub(crate) async fn disable(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ServerWideBackupConfiguration>, ApiError> {
    Ok(Json(app.service.set_task_disabled(&name, true).await?))
}

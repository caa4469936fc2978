//! Databases: how they stand, and where their backups lie.

use crate::answer::KeyAccess;
use crate::api::input::Params;
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_model::PeriodicBackupConfiguration;
use larder_service::{DatabaseView, DestinationView};
use serde::Deserialize;

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
) -> Result<Json<Vec<PeriodicBackupConfiguration>>, ApiError> {
    Ok(Json(app.service.derived_tasks(&name)?))
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
    Ok(Json(KeyAccess {
        repository: access.repository,
        password: app.door.has_token().then(|| access.password.expose().to_owned()),
        password_file: app.key_file.display().to_string(),
    }))
}

//! Sources: added, listed, removed, searched.

use crate::answer::SourceAdded;
use crate::api::input::Body;
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_model::Source;

pub(crate) async fn list(State(app): State<App>) -> Json<Vec<Source>> {
    Json(app.service.sources())
}

pub(crate) async fn add(
    State(app): State<App>,
    Body(source): Body<Source>,
) -> Result<Json<SourceAdded>, ApiError> {
    Ok(Json(SourceAdded { databases: app.service.add_source(source).await? }))
}

pub(crate) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    app.service.remove_source(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn discover(State(app): State<App>) -> Result<Json<SourceAdded>, ApiError> {
    Ok(Json(SourceAdded { databases: app.service.discover().await? }))
}

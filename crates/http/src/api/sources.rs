//! Sources: added, listed, removed, searched.

use crate::answer::{LackingRight, ProposedSource, SourceAdded};
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

pub(crate) async fn change(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(source): Body<Source>,
) -> Result<Json<SourceAdded>, ApiError> {
    Ok(Json(SourceAdded { databases: app.service.change_source(&name, source).await? }))
}

pub(crate) async fn missing_rights(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<LackingRight>>, ApiError> {
    let missing = app.service.missing_rights(&name).await?;
    Ok(Json(missing.into_iter().map(|one| LackingRight { what: one.what, grant: one.grant }).collect()))
}

pub(crate) async fn find(State(app): State<App>) -> Result<Json<Vec<ProposedSource>>, ApiError> {
    let found = app.service.find_sources().await?;
    let proposed = found.into_iter().map(|one| ProposedSource { source: one.source, reason: one.reason });
    Ok(Json(proposed.collect()))
}

pub(crate) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    app.service.remove_source(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn discover(State(app): State<App>) -> Result<Json<SourceAdded>, ApiError> {
    Ok(Json(SourceAdded { databases: app.service.discover().await? }))
}

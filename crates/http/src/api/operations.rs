//! Operations: listed, shown, waited for, aborted.

use crate::api::input::{Params, operation_id};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_model::{Operation, OperationKind, OperationStatus};
use larder_service::OperationFilter;
use serde::Deserialize;
use std::time::Duration;

/// The most operations that one answer lists.
const MAX_OPERATIONS: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationsQuery {
    database: Option<String>,
    kind: Option<OperationKind>,
    status: Option<OperationStatus>,
    limit: Option<usize>,
}

pub(crate) async fn list(
    State(app): State<App>,
    Params(query): Params<OperationsQuery>,
) -> Json<Vec<Operation>> {
    let filter = OperationFilter {
        database: query.database,
        kind: query.kind,
        status: query.status,
        limit: Some(query.limit.unwrap_or(100).min(MAX_OPERATIONS)),
    };
    Json(app.service.operations(&filter))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, ApiError> {
    Ok(Json(app.service.operation(operation_id(&id)?)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    seconds: Option<u64>,
}

pub(crate) async fn wait(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(query): Params<WaitQuery>,
) -> Result<Json<Operation>, ApiError> {
    let id = operation_id(&id)?;
    let patience = Duration::from_secs(query.seconds.unwrap_or(30).clamp(1, 60));
    let mut stopping = app.stopping.clone();
    tokio::select! {
        ended = app.service.wait(id) => Ok(Json(ended?)),
        () = tokio::time::sleep(patience) => Ok(Json(app.service.operation(id)?)),
        _ = stopping.wait_for(|stopping| *stopping) => Ok(Json(app.service.operation(id)?)),
    }
}

pub(crate) async fn abort(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let id = operation_id(&id)?;
    app.service.abort(id).await?;
    Ok((StatusCode::ACCEPTED, Json(app.service.operation(id)?)))
}

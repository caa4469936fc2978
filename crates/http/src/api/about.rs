//! What the server says of itself and of everything at once.

use crate::answer::{HealthAnswer, VersionAnswer};
use crate::api::input::Params;
use crate::error::ApiError;
use crate::openapi;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use larder_service::{NextRun, Overview};
use serde::Deserialize;
use serde_json::Value;

/// The most runs that one answer lists.
pub(crate) const MAX_RUNS: usize = 1_000;

pub(crate) async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok".to_owned() })
}

pub(crate) async fn version() -> Json<VersionAnswer> {
    Json(VersionAnswer { product: "Larder".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

pub(crate) async fn openapi() -> Json<Value> {
    Json(openapi::document())
}

pub(crate) async fn status(State(app): State<App>) -> Json<Overview> {
    Json(app.service.overview())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextRunsQuery {
    task: Option<String>,
    count: Option<usize>,
}

pub(crate) async fn next_runs(
    State(app): State<App>,
    Params(query): Params<NextRunsQuery>,
) -> Result<Json<Vec<NextRun>>, ApiError> {
    let count = query.count.unwrap_or(5).min(MAX_RUNS);
    Ok(Json(app.service.next_runs(query.task.as_deref(), count)?))
}

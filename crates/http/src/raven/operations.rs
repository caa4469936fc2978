//! Operations: polled, listed, ended.

use super::failure::Failure;
use super::product::NODE;
use super::query::Query;
use super::shape::operation::{ListedOperation, NextId, OperationState, Results};
use super::state;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder_model::{DatabaseName, Operation, OperationId};
use larder_service::{OperationFilter, ServiceError};

use super::databases::Named;

/// The most operations that one answer lists.
const MOST_LISTED: usize = 1_000;

/// The answer to what is not there: 404, and not a byte more, since clients would try to read it. RavenDB names a media
/// type all the same.
pub(crate) fn nothing() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")]).into_response()
}

/// Finds an operation of a database, or of any where none is named.
fn find(app: &App, database: Option<&DatabaseName>, id: OperationId) -> Option<Operation> {
    app.service.operation(id).ok().filter(|found| database.is_none_or(|name| found.database == *name))
}

fn answer(app: &App, database: Option<&DatabaseName>, query: &Query) -> Result<Response, Failure> {
    let id = query.required_number("id")?;
    Ok(match find(app, database, id) {
        Some(operation) => Json::<OperationState>(state::state(&operation)).into_response(),
        None => nothing(),
    })
}

pub(crate) async fn state_of_database(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Response, Failure> {
    answer(&app, Some(&database.0), &query)
}

pub(crate) async fn state_of_server(State(app): State<App>, query: Query) -> Result<Response, Failure> {
    answer(&app, None, &query)
}

pub(crate) async fn list(State(app): State<App>, database: Named, query: Query) -> Result<Response, Failure> {
    if query.get("id").is_some() {
        let found = find(&app, Some(&database.0), query.required_number("id")?);
        return Ok(found.map_or_else(nothing, |operation| Json(state::listed(&operation)).into_response()));
    }
    let (start, size) = query.page(MOST_LISTED)?;
    let filter = OperationFilter {
        database: Some(database.0.to_string()),
        limit: Some(start.saturating_add(size)),
        ..OperationFilter::default()
    };
    let all = app.service.operations(&filter);
    let results: Vec<ListedOperation> = all.iter().skip(start).map(state::listed).collect();
    Ok(Json(Results { results }).into_response())
}

async fn kill(app: &App, database: Option<&DatabaseName>, query: &Query) -> Result<StatusCode, Failure> {
    let id = query.required_number("id")?;
    let unknown = || Failure::argument(format!("Operation {id} was not registered"));
    find(app, database, id).filter(|found| !found.status.is_final()).ok_or_else(unknown)?;
    match app.service.abort(id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // It ended in between.
        Err(ServiceError::NotFound { .. } | ServiceError::Conflict { .. }) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn kill_of_database(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<StatusCode, Failure> {
    kill(&app, Some(&database.0), &query).await
}

pub(crate) async fn kill_of_server(State(app): State<App>, query: Query) -> Result<StatusCode, Failure> {
    kill(&app, None, &query).await
}

fn next_id(app: &App) -> u64 {
    let newest = OperationFilter { limit: Some(1), ..OperationFilter::default() };
    app.service.operations(&newest).first().map_or(1, |operation| operation.id + 1)
}

pub(crate) async fn next_of_database(State(app): State<App>, _database: Named) -> Json<NextId> {
    Json(NextId { id: next_id(&app), node_tag: Some(NODE) })
}

pub(crate) async fn next_of_server(State(app): State<App>) -> Json<NextId> {
    Json(NextId { id: next_id(&app), node_tag: None })
}

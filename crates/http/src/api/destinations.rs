//! Destinations: listed, tried, compared, healed.

use crate::answer::{Accepted, HealBody};
use crate::api::input::{Body, Params};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_model::task::{BackupConfiguration, DestinationSettings, read};
use larder_service::{ComparedDestination, DestinationTest, DestinationUse, ServiceError};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) async fn list(State(app): State<App>) -> Json<Vec<DestinationUse>> {
    Json(app.service.all_destinations())
}

pub(crate) async fn test(
    State(app): State<App>,
    Body(given): Body<Map<String, Value>>,
) -> Result<Json<Vec<DestinationTest>>, ApiError> {
    let given: BackupConfiguration = read(&given).map_err(ServiceError::from)?;
    let mut tests = Vec::new();
    for (name, block) in given.live() {
        let mut its = app.service.test_settings(DestinationSettings::from(block)).await?;
        if let (Some(name), [only]) = (name, its.as_mut_slice()) {
            name.clone_into(&mut only.name);
        }
        tests.append(&mut its);
    }
    if tests.is_empty() {
        return Err(ApiError::invalid(
            "no destination was given; send a block such as LocalSettings or S3Settings",
        ));
    }
    Ok(Json(tests))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestQuery {
    database: Option<String>,
    destination: Option<String>,
}

pub(crate) async fn test_task(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<TestQuery>,
) -> Result<Json<Vec<DestinationTest>>, ApiError> {
    let (database, destination) = (query.database.as_deref(), query.destination.as_deref());
    Ok(Json(app.service.test_task(database, &name, destination).await?))
}

pub(crate) async fn compare(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<ComparedDestination>>, ApiError> {
    Ok(Json(app.service.compare_destinations(&name).await?))
}

pub(crate) async fn heal(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<HealBody>,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let operation = app.service.heal(&name, body.destination.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { operations: vec![operation] })))
}

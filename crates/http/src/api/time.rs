//! What waits and why, what was decided about a task, and what retention would keep.

use crate::answer::{DelayBody, RetentionBody};
use crate::api::input::{Body, Params, operation_id};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::SignedDuration;
use larder_model::{Operation, PeriodicBackupConfiguration};
use larder_service::{Decision, KeptBackup, QueueEntry, RetentionOutlook, ServiceError};
use serde::Deserialize;

/// How many decisions are told unless the caller says another number.
const USUAL_DECISIONS: usize = 50;

pub(crate) async fn queue(State(app): State<App>) -> Json<Vec<QueueEntry>> {
    Json(app.service.queue())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionsQuery {
    task: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn decisions(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<DecisionsQuery>,
) -> Result<Json<Vec<Decision>>, ApiError> {
    let limit = query.limit.unwrap_or(USUAL_DECISIONS);
    Ok(Json(app.service.decisions(&name, query.task.as_deref(), limit).await?))
}

pub(crate) async fn delay(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<DelayBody>,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let id = operation_id(&id)?;
    app.service.delay_operation(id, body.duration).await?;
    Ok((StatusCode::ACCEPTED, Json(app.service.operation(id)?)))
}

pub(crate) async fn retention(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<RetentionBody>,
) -> Result<Json<Vec<KeptBackup>>, ApiError> {
    let tried = tried(&app, &name, &body)?;
    let destination = body.destination.as_deref();
    let kept =
        app.service.simulate_retention(&name, body.task.as_deref(), tried.as_ref(), destination).await?;
    Ok(Json(kept))
}

/// The most days that one may look ahead: ten years.
const MAX_DAYS: u32 = 3_660;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutlookQuery {
    days: Option<u32>,
}

pub(crate) async fn outlook(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<OutlookQuery>,
    Body(body): Body<RetentionBody>,
) -> Result<Json<Vec<RetentionOutlook>>, ApiError> {
    let tried = tried(&app, &name, &body)?;
    let now = app.clock.now();
    let hours = i64::from(query.days.unwrap_or(7).min(MAX_DAYS)) * 24;
    let until = now.checked_add(SignedDuration::from_hours(hours)).unwrap_or(now);
    let (task, destination) = (body.task.as_deref(), body.destination.as_deref());
    Ok(Json(app.service.retention_outlook(&name, task, tried.as_ref(), destination, until).await?))
}

/// Returns the task as it would be with what is to be tried; `None` where nothing is.
fn tried(
    app: &App,
    database: &str,
    body: &RetentionBody,
) -> Result<Option<PeriodicBackupConfiguration>, ServiceError> {
    if body.retention_policy.is_none() && body.minimum_backups_to_keep.is_none() {
        return Ok(None);
    }
    let all = app.service.tasks_of(database)?;
    let meant = |view: &&larder_service::TaskView| match &body.task {
        Some(name) => view.task.name == *name || view.server_wide.as_ref() == Some(name),
        None => true,
    };
    // Where no such task is, the simulation says so.
    let mut task = all.iter().find(meant).map(|view| view.task.clone()).unwrap_or_default();
    if body.retention_policy.is_some() {
        task.retention_policy.clone_from(&body.retention_policy);
    }
    task.minimum_backups_to_keep = body.minimum_backups_to_keep.or(task.minimum_backups_to_keep);
    Ok(Some(task))
}

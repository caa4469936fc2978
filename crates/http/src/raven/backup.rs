//! Backups now: begun, asked about, delayed.

use super::body::Object;
use super::databases::{Named, existing};
use super::failure::{Failure, class};
use super::product::NODE;
use super::query::Query;
use super::shape::task::{BackupStarted, OperationStarted, RunningNow};
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use larder_model::BackupKind;
use larder_model::task::{BackupConfiguration, read};
use larder_service::{ServiceError, TaskSelector};

/// Begins a backup of a task; where one runs already its number is returned.
pub(crate) async fn start(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Json<BackupStarted>, Failure> {
    let id = query.required_number("taskId")?;
    // RavenDB's own default.
    let is_full = query.get("isFullBackup").is_none() || query.flag("isFullBackup")?;
    let kind = if is_full { BackupKind::Full } else { BackupKind::Incremental };
    let operation_id = app.service.start_backup(database.0.as_str(), id, kind).await?;
    Ok(Json(BackupStarted { responsible_node: NODE, operation_id }))
}

/// Begins a backup that belongs to no task.
pub(crate) async fn once(
    State(app): State<App>,
    database: Named,
    Object(configuration): Object,
) -> Result<Json<OperationStarted>, Failure> {
    let configuration: BackupConfiguration = read(&configuration).map_err(ServiceError::from)?;
    let operation_id = app.service.backup_once(database.0.as_str(), configuration).await?;
    Ok(Json(OperationStarted { operation_id, operation_node_tag: NODE }))
}

/// Names the backup that runs for a task.
pub(crate) async fn running(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Json<RunningNow>, Failure> {
    let id = query.required_number("taskId")?;
    let view = app.service.task_of(database.0.as_str(), TaskSelector::Id(id))?;
    let operation =
        view.and_then(|view| view.running).and_then(|running| i64::try_from(running.operation).ok());
    Ok(Json(RunningNow { operation_node_tag: NODE, operation_id: operation.unwrap_or(-1) }))
}

/// Ends a backup and lets it begin again later.
pub(crate) async fn delay(State(app): State<App>, query: Query) -> Result<StatusCode, Failure> {
    // RavenDB calls it the task's number, and means that of the operation.
    let id = query.required_number("taskId")?;
    let duration = query.required_span("duration")?;
    let database = existing(&app, query.required("database")?).map_err(Failure::with_version)?;
    if duration.ticks() < 0 {
        return Err(Failure::server(
            class::RANGE,
            format!(
                "a backup cannot be delayed by {duration}; give a duration that is not negative (Parameter 'delay')"
            ),
        ));
    }
    let not_running = || {
        Failure::server(
            class::OPERATION,
            format!(
                "Fail to delay backup task with task id '{id}', no operation with that number runs or waits in database '{database}'"
            ),
        )
    };
    let operation = app.service.operation(id).ok();
    operation.filter(|one| one.database == database && !one.status.is_final()).ok_or_else(not_running)?;
    match app.service.delay_operation(id, duration).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // It ended in between.
        Err(ServiceError::NotFound { .. }) => Err(not_running()),
        // A time beyond the calendar.
        Err(error @ ServiceError::Invalid { .. }) => Err(Failure::server(class::RANGE, error.to_string())),
        Err(error) => Err(error.into()),
    }
}

//! Backups: made, listed, restored, verified.

use crate::answer::{Accepted, Backups, BackupsBody, RestoreBody, VerifyBody};
use crate::api::databases::DestinationQuery;
use crate::api::input::{Body, Params};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use larder_model::task::Periodicity;
use larder_model::{BackupId, BackupKind, OperationId};
use larder_service::{
    BackupChoice, RestorePlace, RestorePointInTime, RestoreRequest, ServiceError, Verification,
};
use serde::Deserialize;

pub(super) type Begun = Result<(StatusCode, Json<Accepted>), ApiError>;

pub(super) fn begun(operations: Vec<OperationId>) -> Begun {
    Ok((StatusCode::ACCEPTED, Json(Accepted { operations })))
}

fn choice(text: Option<&str>) -> Result<BackupChoice, ServiceError> {
    text.map_or(Ok(BackupChoice::Latest), str::parse)
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<DestinationQuery>,
) -> Result<Json<Backups>, ApiError> {
    Ok(Json(Backups { backups: app.service.backups(&name, query.destination.as_deref()).await? }))
}

pub(crate) async fn make_one(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<BackupsBody>,
) -> Begun {
    let kind = body.kind.unwrap_or(BackupKind::Incremental);
    begun(vec![app.service.backup_now(&name, body.task.as_deref(), kind).await?])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllQuery {
    periodicity: Option<Periodicity>,
}

pub(crate) async fn make_all(
    State(app): State<App>,
    Params(query): Params<AllQuery>,
    Body(body): Body<BackupsBody>,
) -> Begun {
    let kind = body.kind.unwrap_or(BackupKind::Incremental);
    begun(app.service.backup_all(body.task.as_deref(), kind, query.periodicity).await?)
}

pub(crate) async fn restore(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<RestoreBody>,
) -> Begun {
    let target = match (body.target, body.target_source, body.target_database) {
        (Some(path), None, None) => RestorePlace::Path(path.into()),
        (None, Some(source), Some(name)) => RestorePlace::Server { source, name },
        _ => {
            return Err(ApiError::invalid(
                "say where to restore to: either Target, a path, or TargetSource and TargetDatabase",
            ));
        }
    };
    let until = match (body.until_time, body.until_position) {
        (None, None) => None,
        (Some(time), None) => Some(RestorePointInTime::Time(time)),
        (None, Some(position)) => Some(RestorePointInTime::Position(position)),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "a restore ends at one point: UntilTime or UntilPosition, not both",
            ));
        }
    };
    let request = RestoreRequest {
        database: name,
        backup: choice(body.backup.as_deref())?,
        destination: body.destination,
        target,
        overwrite: body.overwrite,
        until,
    };
    begun(vec![app.service.restore(request).await?])
}

pub(crate) async fn verify(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<VerifyBody>,
) -> Begun {
    begun(vec![app.service.verify(&name, choice(body.backup.as_deref())?).await?])
}

pub(crate) async fn verification(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Verification>, ApiError> {
    let found = app.service.verification(&BackupId(id)).await?;
    found.map(Json).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "this backup was never verified; ask for it with POST /api/v1/databases/NAME/verify",
        )
    })
}

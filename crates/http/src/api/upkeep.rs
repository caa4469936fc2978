//! Repositories: checked, freed of waste, mended; and what of that the server does by itself.

use crate::answer::{CheckBody, PruneBody, RepairBody};
use crate::api::backups::{Begun, begun};
use crate::api::input::Body;
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use larder_service::{CheckDepth, CheckPart, InvalidPart, RepairRequest, UpkeepView};

pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<UpkeepView>>, ApiError> {
    Ok(Json(app.service.upkeep(&name)?))
}

pub(crate) async fn check(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<CheckBody>,
) -> Begun {
    let part: Option<CheckPart> = body.part.as_deref().map(str::parse).transpose().map_err(refused)?;
    let depth = CheckDepth { read_data: body.read_data || part.is_some(), part };
    begun(vec![app.service.check(&name, body.destination.as_deref(), depth).await?])
}

fn refused(error: InvalidPart) -> ApiError {
    ApiError::invalid(format!("Part: {error}"))
}

pub(crate) async fn prune(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<PruneBody>,
) -> Begun {
    begun(vec![app.service.prune(&name, body.destination.as_deref(), body.dry_run).await?])
}

pub(crate) async fn repair(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(body): Body<RepairBody>,
) -> Begun {
    let RepairBody { destination, read_data, dry_run, damaged_backups } = body;
    let request = RepairRequest { database: name, destination, read_data, dry_run, damaged_backups };
    begun(vec![app.service.repair(request).await?])
}

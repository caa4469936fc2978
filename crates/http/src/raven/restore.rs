//! Getting data back: which backups lie at a place, and a database made anew from one.

use super::body::Object;
use super::failure::{Failure, class, shown};
use super::product::NODE;
use super::query::Query;
use super::shape::restore::{PointsBody, RestoreBody, RestorePoint, RestorePoints};
use super::shape::task::OperationStarted;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use larder_model::Secret;
use larder_model::task::{BackupEncryptionSettings, DestinationKind, read};
use larder_service::{BackupChoice, RestoreInto, ServiceError};
use std::path::{Path, PathBuf};

/// Reads which kind of destination is meant; only directories can be read back in this version.
fn only_local(text: &str) -> Result<(), Failure> {
    match serde_json::from_value::<DestinationKind>(text.into()) {
        Ok(DestinationKind::Local) => Ok(()),
        Ok(kind) => Err(Failure::server(
            class::NOT_SUPPORTED,
            format!(
                "{kind} is not available in this version of Larder; bring the repository to a local directory"
            ),
        )),
        Err(_) => Err(Failure::argument(format!(
            "'{}' is no kind of destination; the kinds are Local, S3, Azure and GoogleCloud",
            shown(text)
        ))),
    }
}

/// Returns a directory as it is meant: below the data directory where it is relative, as in a task.
fn directory(app: &App, path: Option<String>, key: &str) -> Result<PathBuf, Failure> {
    let path = path.filter(|path| !path.trim().is_empty());
    let path =
        path.ok_or_else(|| Failure::argument(format!("{key} cannot be null or empty; give a directory")))?;
    let whole = app.service.settings().data_directory.join(path);
    match whole.is_dir() {
        true => Ok(whole),
        false => Err(Failure::argument(format!(
            "the backup location '{}' doesn't exist or is no directory",
            shown(&whole.display().to_string())
        ))),
    }
}

/// Lists the backups that lie at a place, the newest first.
pub(crate) async fn points(
    State(app): State<App>,
    query: Query,
    Object(settings): Object,
) -> Result<Json<RestorePoints>, Failure> {
    only_local(query.required("type")?)?;
    let settings: PointsBody = read(&settings).map_err(ServiceError::from)?;
    let place = directory(&app, settings.folder_path, "FolderPath")?;
    let found = app.service.restore_points(place, None).await?;
    Ok(Json(RestorePoints { list: found.iter().map(RestorePoint::of).collect() }))
}

/// Makes a database from a backup, under a name that no database has.
pub(crate) async fn database(
    State(app): State<App>,
    Object(request): Object,
) -> Result<Json<OperationStarted>, Failure> {
    let request: RestoreBody = read(&request).map_err(ServiceError::from)?;
    only_local(request.kind.as_deref().unwrap_or("Local"))?;
    let location = directory(&app, request.backup_location, "BackupLocation")?;
    let database = request.database_name.filter(|name| !name.is_empty());
    let database = database.ok_or_else(|| Failure::argument("DatabaseName cannot be null or empty"))?;
    let given = request.encryption_key.or(request.backup_encryption_settings.and_then(given_key));
    let wanted = RestoreInto {
        database,
        location,
        backup: choice(request.last_file_name_to_restore.as_deref())?,
        key: given.filter(|key| !key.is_mask()),
    };
    let operation_id = app.service.restore_into(wanted).await?;
    Ok(Json(OperationStarted { operation_id, operation_node_tag: NODE }))
}

fn given_key(settings: BackupEncryptionSettings) -> Option<Secret> {
    settings.key
}

/// Reads which backup is meant: the one of a restore point's file name, or the latest.
fn choice(file: Option<&str>) -> Result<BackupChoice, Failure> {
    let Some(file) = file.filter(|file| !file.trim().is_empty()) else { return Ok(BackupChoice::Latest) };
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or(file);
    Ok(name.parse::<BackupChoice>()?)
}

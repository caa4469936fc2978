//! Getting data back: which backups lie at a place, and a database made anew from one.

use super::body::Object;
use super::failure::{Failure, shown};
use super::product::NODE;
use super::query::Query;
use super::shape::restore::{RestoreBody, RestorePoint, RestorePoints};
use super::shape::task::OperationStarted;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use larder_model::Secret;
use larder_model::task::{
    BackupEncryptionSettings, DestinationKind, DestinationSettings, LocalSettings, read,
};
use larder_service::{BackupChoice, RestoreInto, ServiceError};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Reads which kind of destination is meant.
pub(crate) fn kind(text: &str) -> Result<DestinationKind, Failure> {
    serde_json::from_value::<DestinationKind>(text.into()).map_err(|_| {
        let kinds = DestinationKind::ALL.map(word).join(", ");
        Failure::argument(format!("'{}' is no kind of destination; the kinds are {kinds}", shown(text)))
    })
}

/// Returns the word for a kind that requests use.
fn word(kind: DestinationKind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(word)) => word,
        _ => kind.to_string(),
    }
}

/// Reads where backups lie; a directory is meant as in a task.
fn place(
    app: &App,
    kind: DestinationKind,
    settings: &Map<String, Value>,
) -> Result<DestinationSettings, Failure> {
    let settings = DestinationSettings::read(kind, settings).map_err(ServiceError::from)?;
    match settings {
        DestinationSettings::Local(local) => local_place(app, local.folder_path, "FolderPath"),
        other => Ok(other),
    }
}

fn local_place(app: &App, path: Option<String>, key: &str) -> Result<DestinationSettings, Failure> {
    let folder_path = Some(directory(app, path, key)?.display().to_string());
    Ok(DestinationSettings::Local(LocalSettings { folder_path, ..LocalSettings::default() }))
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
    let place = place(&app, kind(query.required("type")?)?, &settings)?;
    let found = app.service.restore_points(place, None).await?;
    Ok(Json(RestorePoints { list: found.iter().map(RestorePoint::of).collect() }))
}

/// Makes a database from a backup, under a name that no database has.
pub(crate) async fn database(
    State(app): State<App>,
    Object(request): Object,
) -> Result<Json<OperationStarted>, Failure> {
    let request: RestoreBody = read(&request).map_err(ServiceError::from)?;
    let location = match (kind(request.kind.as_deref().unwrap_or("Local"))?, &request.settings) {
        (DestinationKind::Local, _) => local_place(&app, request.backup_location, "BackupLocation")?,
        (kind, Some(settings)) => place(&app, kind, settings)?,
        (kind, None) => {
            return Err(Failure::argument(format!(
                "Settings cannot be null; give the settings of the {kind}"
            )));
        }
    };
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

//! What lies in backups: listed, searched, compared, downloaded.

use crate::api::input::Params;
use crate::download;
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use larder_model::BackupPath;
use larder_service::{BackupChoice, BackupDifference, ChangeKind, Section, StoredDirectory, StoredMatches};
use serde::Deserialize;

/// How many entries are listed where nothing is said.
const USUAL_ENTRIES: usize = 1_000;

/// The most entries that one answer lists.
const MAX_ENTRIES: usize = 10_000;

fn section(start: Option<usize>, limit: Option<usize>) -> Section {
    Section { start: start.unwrap_or(0), count: limit.unwrap_or(USUAL_ENTRIES).min(MAX_ENTRIES) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectoryQuery {
    #[serde(default)]
    path: BackupPath,
    start: Option<usize>,
    limit: Option<usize>,
    destination: Option<String>,
}

pub(crate) async fn directory(
    State(app): State<App>,
    Path((name, backup)): Path<(String, String)>,
    Params(query): Params<DirectoryQuery>,
) -> Result<Json<StoredDirectory>, ApiError> {
    let (backup, section) = (backup.parse()?, section(query.start, query.limit));
    let destination = query.destination.as_deref();
    Ok(Json(app.service.stored_directory(&name, destination, backup, query.path, section).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    text: String,
    start: Option<usize>,
    limit: Option<usize>,
    destination: Option<String>,
}

pub(crate) async fn search(
    State(app): State<App>,
    Path((name, backup)): Path<(String, String)>,
    Params(query): Params<SearchQuery>,
) -> Result<Json<StoredMatches>, ApiError> {
    let (backup, section) = (backup.parse()?, section(query.start, query.limit));
    let destination = query.destination.as_deref();
    Ok(Json(app.service.search_backup(&name, destination, backup, query.text, section).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DownloadQuery {
    #[serde(default)]
    path: BackupPath,
    destination: Option<String>,
}

pub(crate) async fn file(
    State(app): State<App>,
    Path((name, backup)): Path<(String, String)>,
    Params(query): Params<DownloadQuery>,
) -> Result<Response, ApiError> {
    let destination = query.destination.as_deref();
    let found = app.service.download_file(&name, destination, backup.parse()?, query.path).await?;
    Ok(download::answer(found, "application/octet-stream"))
}

pub(crate) async fn archive(
    State(app): State<App>,
    Path((name, backup)): Path<(String, String)>,
    Params(query): Params<DownloadQuery>,
) -> Result<Response, ApiError> {
    let destination = query.destination.as_deref();
    let found = app.service.download_archive(&name, destination, backup.parse()?, query.path).await?;
    Ok(download::answer(found, "application/x-tar"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareQuery {
    before: String,
    after: Option<String>,
    kind: Option<ChangeKind>,
    start: Option<usize>,
    limit: Option<usize>,
    destination: Option<String>,
}

pub(crate) async fn compare(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(query): Params<CompareQuery>,
) -> Result<Json<BackupDifference>, ApiError> {
    let after = query.after.as_deref().map_or(Ok(BackupChoice::Latest), str::parse)?;
    let both = (query.before.parse()?, after);
    let only = query.kind.into_iter().collect();
    let section = section(query.start, query.limit);
    let destination = query.destination.as_deref();
    Ok(Json(app.service.compare_backups(&name, destination, both, only, section).await?))
}

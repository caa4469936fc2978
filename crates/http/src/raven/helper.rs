//! Small questions that a configuration form asks.

use super::body::Object;
use super::databases::{Named, humane};
use super::failure::Failure;
use super::product::NODE;
use super::query::Query;
use super::shape::helper::{Allowed, DataDirectory, NextOccurrence, TestResult};
use super::time::{Stamp, WallStamp};
use crate::server::App;
use axum::Json;
use axum::extract::State;
use larder_model::task::{DestinationKind, DestinationSettings};
use larder_schedule::Cron;
use larder_service::ServiceError;
use std::path::{Path, PathBuf};

/// Says when a cron expression comes next.
pub(crate) async fn next_occurrence(
    State(app): State<App>,
    query: Query,
) -> Result<Json<NextOccurrence>, Failure> {
    let expression = query.required("expression")?;
    let invalid = |error_message: String| NextOccurrence::Invalid { is_valid: false, error_message };
    let answer = match expression.parse::<Cron>() {
        Err(error) => invalid(error.to_string()),
        Ok(cron) => match cron.next(app.clock.now(), &app.zone) {
            Some(next) => NextOccurrence::Valid {
                is_valid: true,
                utc: Stamp(next),
                server_time: WallStamp(app.zone.to_datetime(next)),
            },
            None => invalid(format!("'{expression}' never comes again")),
        },
    };
    Ok(Json(answer))
}

pub(crate) async fn directory_of_server(State(app): State<App>, query: Query) -> Json<DataDirectory> {
    directory(app, query).await
}

pub(crate) async fn directory_of_database(
    State(app): State<App>,
    _database: Named,
    query: Query,
) -> Json<DataDirectory> {
    directory(app, query).await
}

async fn directory(app: App, query: Query) -> Json<DataDirectory> {
    let none = |error: Option<String>| DataDirectory {
        node_tag: NODE,
        full_path: None,
        free_space_in_bytes: 0,
        free_space_humane: None,
        total_space_in_bytes: 0,
        total_space_humane: None,
        error,
    };
    let Some(path) = query.get("path") else { return Json(none(None)) };
    // A relative path is meant below the data directory, as in a task.
    let path = app.key_file.parent().unwrap_or(Path::new("/")).join(path);
    let full_path = Some(path.display().to_string());
    // A disk that does not answer must not hold up the others.
    let measured = tokio::task::spawn_blocking(move || space(&path)).await;
    Json(match measured {
        Ok(Ok((free, total))) => DataDirectory {
            full_path,
            free_space_in_bytes: free,
            free_space_humane: Some(humane(free)),
            total_space_in_bytes: total,
            total_space_humane: Some(humane(total)),
            ..none(None)
        },
        Ok(Err(error)) => DataDirectory { full_path, ..none(Some(error)) },
        Err(_) => DataDirectory { full_path, ..none(Some("the disk could not be asked".to_owned())) },
    })
}

/// Measures the disk that a path is on, or would be on once it is made.
fn space(path: &Path) -> Result<(u64, u64), String> {
    let mut there: PathBuf = path.to_owned();
    loop {
        match rustix::fs::statvfs(&there) {
            Ok(disk) => {
                let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
                return Ok((bytes(disk.f_bavail), bytes(disk.f_blocks)));
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) if there.pop() => {}
            Err(error) => return Err(format!("could not measure the disk of '{}': {error}", path.display())),
        }
    }
}

/// Tries the access data of a destination, by using it.
pub(crate) async fn test_credentials(
    State(app): State<App>,
    query: Query,
    Object(settings): Object,
) -> Result<Json<TestResult>, Failure> {
    let kind = super::restore::kind(query.required("type")?)?;
    if kind == DestinationKind::Local {
        let error = "a local directory has no credentials; ask /admin/server-wide/backup-data-directory whether it can be used";
        return Ok(Json(TestResult { success: false, error: Some(error.to_owned()) }));
    }
    let settings = DestinationSettings::read(kind, &settings).map_err(ServiceError::from)?;
    // What makes no sense cannot be used either; RavenDB says so in the answer.
    let tests = match app.service.test_settings(settings).await {
        Ok(tests) => tests,
        Err(error) => return Ok(Json(TestResult { success: false, error: Some(error.to_string()) })),
    };
    let errors: Vec<String> = tests.into_iter().filter_map(|test| test.error).collect();
    let error = (!errors.is_empty()).then(|| errors.join("\n"));
    Ok(Json(TestResult { success: error.is_none(), error }))
}

/// Says what the administrator of the host allows.
pub(crate) async fn allowed(State(app): State<App>) -> Json<Allowed> {
    let settings = app.service.settings();
    Json(Allowed {
        local_root_path: settings.local_root.as_ref().map(|root| root.display().to_string()),
        allowed_aws_regions: settings.allowed_aws_regions.clone(),
        allowed_destinations: settings.allowed_destinations.clone(),
    })
}

pub(crate) async fn allowed_for_database(app: State<App>, _database: Named) -> Json<Allowed> {
    allowed(app).await
}

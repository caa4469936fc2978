//! Turns what the service remembers of a task's runs into RavenDB's status.

use super::failure::{Failure, class};
use super::product::NODE;
use super::shape::status::{LastRaftIndex, PeriodicBackupStatus, RunError};
use super::shape::upload::{self, LocalBackup, Outcome, Upload, UploadProgress, UploadState};
use super::time::Stamp;
use crate::server::App;
use larder_model::DatabaseName;
use larder_model::task::{BackupType, DestinationKind};
use larder_service::{DestinationStatus, FailureCause, TaskError, TaskSelector, TaskStatus};

/// Returns the status of a task, or that of one-time backups where the number is 0; `None` where nothing ever ran.
pub(crate) fn of(
    app: &App,
    database: &DatabaseName,
    id: u64,
) -> Result<Option<PeriodicBackupStatus>, Failure> {
    let (status, backup_type, retains) = match id {
        0 => (app.service.once_status(database.as_str())?.unwrap_or_default(), BackupType::Backup, false),
        _ => match app.service.task_of(database.as_str(), TaskSelector::Id(id))? {
            Some(view) => {
                let retains = view.task.retention_policy.is_some_and(|policy| !policy.disabled);
                (view.status, view.task.backup.backup_type, retains)
            }
            None => return Ok(None),
        },
    };
    // RavenDB keeps a status from the first delay or the first run that ended, and a run that was killed did not.
    if !has_ended_once(&status) && status.delay_until.is_none() {
        return Ok(None);
    }
    let unchanged =
        status.last_operation.and_then(|id| app.service.operation(id).ok()).is_some_and(|one| one.unchanged);
    // RavenDB names no uploads where the last run moved nothing, failed, or did not end.
    let moved = has_ended_once(&status) && status.error.is_none() && !unchanged;
    let mut shown = show(&status, id, backup_type, moved);
    // Where there is nothing to remove it takes no time; otherwise it is a part of the run, and not timed apart.
    shown.local_retention_duration_ms = (moved && !retains).then_some(0);
    Ok(Some(shown))
}

/// Says whether any run came to its end, good or bad, instead of being stopped.
pub(crate) const fn has_ended_once(status: &TaskStatus) -> bool {
    status.duration_ms.is_some() || status.error.is_some() || status.last_good.is_some()
}

fn show(status: &TaskStatus, id: u64, backup_type: BackupType, moved: bool) -> PeriodicBackupStatus {
    let upload = |kind| uploaded(status, kind, moved);
    PeriodicBackupStatus {
        task_id: id,
        backup_type,
        is_full: status.is_full.unwrap_or(false),
        node_tag: NODE,
        delay_until: status.delay_until.map(Stamp),
        original_backup_time: status.original_backup_time.map(Stamp),
        last_full_backup: status.last_full_backup.map(Stamp),
        last_incremental_backup: status.last_incremental_backup.map(Stamp),
        last_full_backup_internal: status.last_full_attempt.map(Stamp),
        last_incremental_backup_internal: status.last_incremental_attempt.map(Stamp),
        local_backup: Some(local(status)),
        upload_to_s3: upload(DestinationKind::S3),
        upload_to_glacier: upload(DestinationKind::Glacier),
        upload_to_azure: upload(DestinationKind::Azure),
        upload_to_google_cloud: upload(DestinationKind::GoogleCloud),
        upload_to_ftp: upload(DestinationKind::Ftp),
        last_etag: status.last_etag,
        last_raft_index: LastRaftIndex::default(),
        // RavenDB names it with the first good backup.
        folder_name: status.folder.clone().filter(|_| status.last_good.is_some()),
        duration_ms: status.duration_ms,
        local_retention_duration_ms: None,
        version: status.version,
        error: status
            .error
            .as_ref()
            .map(|error| RunError { exception: exception(error), at: Stamp(error.at) }),
        last_operation_id: status.last_operation,
        last_database_change_vector: None,
        is_encrypted: status.is_encrypted,
    }
}

/// Puts the type before the sentence, as an exception of .NET is written.
fn exception(error: &TaskError) -> String {
    let class = match error.cause {
        FailureCause::Destination => class::IO,
        FailureCause::Source | FailureCause::Suspicious | FailureCause::Other => class::OPERATION,
    };
    format!("{class}: {}", error.message)
}

fn of_kind(status: &TaskStatus, kind: DestinationKind) -> Vec<&DestinationStatus> {
    status.destinations.iter().filter(|place| place.kind == kind).collect()
}

/// Joins what is known of all destinations of a kind: the latest moments, and every error.
fn outcome(places: &[&DestinationStatus]) -> Outcome {
    let errors: Vec<&str> = places.iter().filter_map(|place| place.exception.as_deref()).collect();
    let latest = |moment: fn(&DestinationStatus) -> Option<jiff::Timestamp>| {
        places.iter().filter_map(|place| moment(place)).max().map(Stamp)
    };
    Outcome {
        last_full_backup: latest(|place| place.last_full_backup),
        last_incremental_backup: latest(|place| place.last_incremental_backup),
        full_backup_duration_ms: places.iter().filter_map(|place| place.full_backup_duration_ms).max(),
        incremental_backup_duration_ms: places
            .iter()
            .filter_map(|place| place.incremental_backup_duration_ms)
            .max(),
        exception: (!errors.is_empty()).then(|| errors.join("\n")),
    }
}

fn uploaded(status: &TaskStatus, kind: DestinationKind, moved: bool) -> Option<Upload> {
    let places = of_kind(status, kind);
    if places.is_empty() {
        return moved.then(Upload::skipped);
    }
    let bytes = places.iter().map(|place| place.bytes_stored).sum();
    let upload_time_ms = status.duration_ms.unwrap_or_default();
    Some(Upload {
        outcome: outcome(&places),
        skipped: false,
        upload_progress: UploadProgress {
            upload_state: UploadState::Done,
            uploaded_in_bytes: bytes,
            total_in_bytes: bytes,
            bytes_per_second: upload::rate(bytes, upload_time_ms),
            upload_time_ms,
            ..UploadProgress::default()
        },
    })
}

fn local(status: &TaskStatus) -> LocalBackup {
    let places = of_kind(status, DestinationKind::Local);
    LocalBackup {
        outcome: outcome(&places),
        backup_directory: places.iter().find_map(|place| place.address.clone()),
        file_name: None,
        temp_folder_used: false,
    }
}

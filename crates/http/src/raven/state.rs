//! Turns Larder's operations into RavenDB's.

use super::failure::class;
use super::shape::operation::{
    BACKUP_PROGRESS, BACKUP_RESULT, Description, DoneResult, EXCEPTION_RESULT, ExceptionResult, FilesRead,
    ListedOperation, OperationState, Outcome, Places, Progress, RESTORE_PROGRESS, RESTORE_RESULT, Restored,
    STATE, Status, Uploads,
};
use super::shape::smuggler::{Counts, Kinds};
use super::shape::upload::{self, LocalBackup, Upload, UploadProgress, UploadState};
use super::time::Stamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::operation::DestinationOutcome;
use larder_model::task::DestinationKind;
use larder_model::{BackupKind, Operation, OperationKind, OperationStatus, TimeSpan};

/// Shows how an operation stands.
pub(crate) fn state(operation: &Operation) -> OperationState {
    let status = status(operation.status);
    let runs = operation.status == OperationStatus::InProgress;
    OperationState {
        class: STATE,
        progress: runs.then(|| Box::new(progress(operation))),
        result: match status {
            Status::Completed => Some(Box::new(Outcome::Done(Box::new(done(operation))))),
            Status::Faulted => Some(Box::new(Outcome::Failed(Box::new(failed(operation))))),
            Status::InProgress | Status::Canceled => None,
        },
        status,
    }
}

/// Translates how an operation stands; RavenDB has no word for waiting.
pub(crate) const fn status(status: OperationStatus) -> Status {
    match status {
        OperationStatus::Queued | OperationStatus::InProgress => Status::InProgress,
        OperationStatus::Completed => Status::Completed,
        OperationStatus::Faulted => Status::Faulted,
        OperationStatus::Canceled => Status::Canceled,
    }
}

/// Shows an operation as lists do.
pub(crate) fn listed(operation: &Operation) -> ListedOperation {
    ListedOperation {
        id: operation.id,
        description: Description {
            description: describe(operation),
            task_type: task_type(operation.kind),
            start_time: start(operation),
            end_time: operation.ended.map(Stamp),
            detailed_description: None,
        },
        killable: !operation.status.is_final(),
        state: state(operation),
    }
}

/// Returns when an operation began, or was asked for where it still waits.
pub(crate) fn start(operation: &Operation) -> Stamp {
    Stamp(operation.started.unwrap_or(operation.created))
}

/// Says what an operation does.
pub(crate) fn describe(operation: &Operation) -> String {
    let database = &operation.database;
    match (operation.kind, &operation.task) {
        (OperationKind::Backup, Some(task)) => {
            let kind = match operation.backup_kind {
                Some(BackupKind::Incremental) => "Incremental",
                _ => "Full",
            };
            format!("{kind} backup task: '{task}'. Database: '{database}'")
        }
        (OperationKind::Backup, None) => format!("Manual backup for database: {database}"),
        (OperationKind::Restore, _) => format!("Database restore: {database}"),
        (OperationKind::Verify, _) => format!("Verification of a backup of database: {database}"),
        (OperationKind::Check, _) => format!("Check of the repository of database: {database}"),
        (OperationKind::Prune, _) => format!("Removal of old backups of database: {database}"),
        (OperationKind::Heal, _) => format!("Healing of the destinations of database: {database}"),
        (OperationKind::Repair, _) => format!("Repair of the repository of database: {database}"),
    }
}

/// Names the kind of an operation; those RavenDB has not are named alike.
pub(crate) const fn task_type(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Backup => "DatabaseBackup",
        OperationKind::Restore => "DatabaseRestore",
        OperationKind::Verify => "BackupVerification",
        OperationKind::Check => "RepositoryCheck",
        OperationKind::Prune => "RepositoryPrune",
        OperationKind::Heal => "RepositoryHeal",
        OperationKind::Repair => "RepositoryRepair",
    }
}

fn kinds(operation: &Operation, processed: bool) -> Kinds {
    let progress = &operation.progress;
    let bytes =
        if operation.kind == OperationKind::Restore { progress.bytes_done } else { progress.bytes_read };
    // RavenDB dates a kind when its first item comes.
    let begun = operation.started.filter(|_| processed || progress.items_done > 0 || bytes > 0);
    Kinds::of(begun.map(Stamp), progress.items_done, bytes, processed, operation.unchanged)
}

fn progress(operation: &Operation) -> Progress {
    let class = match operation.kind {
        OperationKind::Restore => RESTORE_PROGRESS,
        _ => BACKUP_PROGRESS,
    };
    let current = &operation.progress.current;
    let message = if current.is_empty() { describe(operation) } else { current.clone() };
    Progress {
        class,
        kinds: kinds(operation, false),
        message: Some(dated(operation.started.unwrap_or(operation.created), &message)),
        places: places(operation, false),
        larder: operation.clone(),
    }
}

fn done(operation: &Operation) -> DoneResult {
    let class = match operation.kind {
        OperationKind::Restore => RESTORE_RESULT,
        _ => BACKUP_RESULT,
    };
    DoneResult {
        class,
        kinds: kinds(operation, true),
        messages: messages(operation),
        elapsed: elapsed(operation),
        places: places(operation, true),
        larder: operation.clone(),
    }
}

fn failed(operation: &Operation) -> ExceptionResult {
    let message = operation.error.clone().unwrap_or_else(|| "it failed without saying why".to_owned());
    let exception = match operation.kind {
        OperationKind::Restore => class::ARGUMENT,
        _ => class::OPERATION,
    };
    ExceptionResult {
        class: EXCEPTION_RESULT,
        exception,
        error: format!("{exception}: {message}"),
        message,
        status_code: 500,
        limit_type: None,
    }
}

/// Dates each message as RavenDB does; Larder's have no moment of their own, so all have that of the end.
fn messages(operation: &Operation) -> Vec<String> {
    let at = operation.ended.unwrap_or(operation.created);
    let mut all = vec![format!("{}.", describe(operation).trim_end_matches('.'))];
    if operation.unchanged {
        all.push("Skipping incremental backup because nothing changed since the last backup.".to_owned());
    }
    all.extend(operation.messages.iter().cloned());
    all.iter().map(|message| dated(at, message)).collect()
}

fn dated(at: Timestamp, message: &str) -> String {
    format!("[{} INFO] {message}", TimeZone::UTC.to_datetime(at).strftime("%H:%M:%S"))
}

fn elapsed(operation: &Operation) -> TimeSpan {
    match (operation.started, operation.ended) {
        (Some(started), Some(ended)) => span(started, ended),
        _ => TimeSpan::default(),
    }
}

/// Returns the time from one moment to a later one.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> TimeSpan {
    TimeSpan::from_ticks(i64::try_from(to.duration_since(from).as_nanos() / 100).unwrap_or(i64::MAX))
}

fn places(operation: &Operation, over: bool) -> Places {
    if operation.kind == OperationKind::Restore {
        return Places::Restore(Box::new(Restored {
            data_directory: None,
            journal_storage_path: None,
            snapshot_restore: Counts { processed: over, skipped: true, ..Counts::default() },
            files: FilesRead {
                current_file_name: (!over)
                    .then(|| operation.progress.current.clone())
                    .filter(|name| !name.is_empty()),
                current_file: operation.progress.items_done,
                file_count: operation.progress.items_total.max(operation.progress.items_done),
            },
        }));
    }
    let upload = |kind| {
        if !over {
            return uploading(operation, kind).unwrap_or_else(Upload::skipped);
        }
        let reached: Vec<&DestinationOutcome> = reached(operation, kind).collect();
        if reached.is_empty() { Upload::skipped() } else { uploaded(operation, &reached) }
    };
    Places::Backup(Box::new(Uploads {
        snapshot_backup: Counts { processed: false, skipped: true, ..Counts::default() },
        s3_backup: upload(DestinationKind::S3),
        azure_backup: upload(DestinationKind::Azure),
        google_cloud_backup: upload(DestinationKind::GoogleCloud),
        glacier_backup: upload(DestinationKind::Glacier),
        ftp_backup: upload(DestinationKind::Ftp),
        local_backup: over.then(|| local(operation)),
    }))
}

fn reached(operation: &Operation, kind: DestinationKind) -> impl Iterator<Item = &DestinationOutcome> {
    operation.destinations.iter().filter(move |one| one.kind == Some(kind))
}

/// Shows how far a running backup has come at the destinations of a kind; what is still to come nobody knows.
fn uploading(operation: &Operation, kind: DestinationKind) -> Option<Upload> {
    let places = &operation.progress.destinations;
    let its: Vec<_> = places.iter().filter(|one| one.kind == Some(kind)).collect();
    let bytes = its.iter().map(|one| one.bytes_stored).sum();
    let bytes_per_second: u64 = its.iter().map(|one| one.bytes_per_second).sum();
    (!its.is_empty()).then(|| Upload {
        outcome: upload::Outcome::default(),
        skipped: false,
        upload_progress: UploadProgress {
            upload_state: UploadState::Uploading,
            uploaded_in_bytes: bytes,
            total_in_bytes: bytes,
            bytes_per_second: upload::rate(bytes_per_second, 1000),
            ..UploadProgress::default()
        },
    })
}

fn uploaded(operation: &Operation, reached: &[&DestinationOutcome]) -> Upload {
    let bytes = reached.iter().map(|one| one.bytes_stored).sum();
    let errors: Vec<&str> = reached.iter().filter_map(|one| one.error.as_deref()).collect();
    let upload_time_ms = u64::try_from(elapsed(operation).ticks() / 10_000).unwrap_or_default();
    Upload {
        outcome: outcome(operation, (!errors.is_empty()).then(|| errors.join("; "))),
        skipped: false,
        upload_progress: UploadProgress {
            upload_state: UploadState::Done,
            uploaded_in_bytes: bytes,
            total_in_bytes: bytes,
            bytes_per_second: upload::rate(bytes, upload_time_ms),
            upload_time_ms,
            ..UploadProgress::default()
        },
    }
}

fn outcome(operation: &Operation, exception: Option<String>) -> upload::Outcome {
    let duration = u64::try_from(elapsed(operation).ticks() / 10_000).ok();
    let at = operation.ended.map(Stamp);
    let is_full = operation.backup_kind != Some(BackupKind::Incremental);
    upload::Outcome {
        last_full_backup: at.filter(|_| is_full),
        last_incremental_backup: at.filter(|_| !is_full),
        full_backup_duration_ms: duration.filter(|_| is_full),
        incremental_backup_duration_ms: duration.filter(|_| !is_full),
        exception,
    }
}

fn local(operation: &Operation) -> LocalBackup {
    if operation.unchanged {
        // Nothing was written, so RavenDB names no file; `Larder` has the backup that still holds everything.
        return LocalBackup::default();
    }
    let found: Vec<&DestinationOutcome> = reached(operation, DestinationKind::Local).collect();
    let errors: Vec<&str> = found.iter().filter_map(|one| one.error.as_deref()).collect();
    LocalBackup {
        outcome: upload::Outcome {
            exception: (!errors.is_empty()).then(|| errors.join("; ")),
            ..upload::Outcome::default()
        },
        backup_directory: found.iter().find_map(|one| one.address.clone()),
        file_name: found.iter().find_map(|one| one.backup.as_ref().map(ToString::to_string)),
        temp_folder_used: false,
    }
}

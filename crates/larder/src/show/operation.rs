//! Operations in words, and what their ending means for a script.

use crate::exit::Exit;
use larder_model::{Operation, OperationKind, OperationStatus, human};

/// Says what an operation does: `full backup`, `restore`.
pub(crate) fn what(operation: &Operation) -> String {
    match operation.backup_kind {
        Some(kind) => format!("{kind} {}", operation.kind),
        None => operation.kind.to_string(),
    }
}

/// Says whether a backup was kept although it lacks something.
pub(crate) fn is_incomplete(operation: &Operation) -> bool {
    operation.kind == OperationKind::Backup
        && operation.status == OperationStatus::Faulted
        && operation.destinations.iter().any(|outcome| outcome.backup.is_some() && outcome.error.is_none())
        && operation.destinations.iter().all(|outcome| outcome.error.is_none())
}

/// Returns how the program ends after an operation that ended so.
pub(crate) fn exit(operation: &Operation) -> Exit {
    match operation.status {
        OperationStatus::Completed => Exit::Done,
        OperationStatus::Faulted if is_incomplete(operation) => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

/// Returns how long an operation ran, in seconds; 0 where it never began.
pub(crate) fn seconds(operation: &Operation) -> f64 {
    match (operation.started, operation.ended) {
        (Some(started), Some(ended)) => ended.duration_since(started).as_secs_f64().max(0.0),
        _ => 0.0,
    }
}

/// Says in one sentence how an operation ended or stands.
pub(crate) fn sentence(operation: &Operation) -> String {
    let name = format!("{}: {}", operation.database, what(operation));
    let took = format!("{:.1} s", seconds(operation));
    match operation.status {
        OperationStatus::Queued => format!("{name} waits for its turn (operation {}).", operation.id),
        OperationStatus::InProgress => format!("{name} runs (operation {}).", operation.id),
        OperationStatus::Completed if operation.unchanged => {
            format!("{name} found nothing changed; the last backup still holds.")
        }
        OperationStatus::Completed if operation.kind == OperationKind::Backup => format!(
            "{name} completed in {took}: {} read, {} stored.",
            human::size(operation.progress.bytes_read),
            human::size(operation.progress.bytes_stored)
        ),
        OperationStatus::Completed => format!("{name} completed in {took}."),
        OperationStatus::Canceled => format!("{name} was aborted (operation {}).", operation.id),
        // The error says itself what failed, and whether something was kept.
        OperationStatus::Faulted => match &operation.error {
            Some(error) => format!("{}: {error}", operation.database),
            None => format!("{name} failed; no reason was given"),
        },
    }
}

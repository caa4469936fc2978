//! States as pages show them: a word, a shape and a hue, never a hue alone.

use larder_model::{BackupQuality, Operation, OperationKind, OperationStatus};
use larder_service::{ChangeKind, Health, Verdict};

/// A state: the word, and the name of its shape and hue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) shape: &'static str,
    pub(crate) word: &'static str,
}

const fn mark(shape: &'static str, word: &'static str) -> Mark {
    Mark { shape, word }
}

/// Shows how a database stands.
pub(crate) const fn of_health(health: Health) -> Mark {
    match health {
        Health::Verified => mark("verified", "verified"),
        Health::Good => mark("good", "good"),
        Health::Running => mark("running", "running"),
        Health::Waiting => mark("waiting", "waiting"),
        Health::Late => mark("late", "late"),
        Health::Failed => mark("failed", "failed"),
        Health::Unprotected => mark("unprotected", "unprotected"),
        Health::Missing => mark("missing", "missing"),
    }
}

/// Orders states by how soon a person should look.
pub(crate) const fn urgency(health: Health) -> u8 {
    match health {
        Health::Failed => 0,
        Health::Late => 1,
        Health::Missing => 2,
        Health::Unprotected => 3,
        Health::Running => 4,
        Health::Waiting | Health::Good | Health::Verified => 5,
    }
}

/// Shows how an operation stands.
pub(crate) const fn of_operation(operation: &Operation) -> Mark {
    match operation.status {
        OperationStatus::Queued => mark("waiting", "queued"),
        OperationStatus::InProgress => mark("running", "running"),
        OperationStatus::Completed if operation.unchanged => mark("good", "nothing changed"),
        OperationStatus::Completed => match operation.kind {
            OperationKind::Verify => mark("verified", "verified"),
            _ => mark("good", "completed"),
        },
        OperationStatus::Faulted => mark("failed", "failed"),
        OperationStatus::Canceled => mark("aborted", "aborted"),
    }
}

/// Shows how a backup stands that ended, and that was restored and compared since or was not.
pub(crate) const fn of_backup(operation: &Operation, proof: Option<bool>) -> Mark {
    match (operation.status, proof) {
        (OperationStatus::Completed, Some(true)) => mark("verified", "verified"),
        (OperationStatus::Completed, Some(false)) => mark("failed", "found to differ"),
        _ => of_operation(operation),
    }
}

/// Shows how much a backup can be relied on.
pub(crate) const fn of_quality(quality: BackupQuality) -> Mark {
    match quality {
        BackupQuality::Verified => mark("verified", "verified"),
        BackupQuality::Good => mark("good", "good"),
        BackupQuality::Incomplete => mark("failed", "incomplete"),
        BackupQuality::Suspicious => mark("late", "suspicious"),
    }
}

/// Shows how something differs between two backups.
pub(crate) const fn of_change(change: ChangeKind) -> Mark {
    match change {
        ChangeKind::Added => mark("added", "added"),
        ChangeKind::Removed => mark("removed", "removed"),
        ChangeKind::Changed => mark("changed", "changed"),
        ChangeKind::Metadata => mark("metadata", "metadata"),
    }
}

/// Shows a decision about a task.
pub(crate) const fn of_verdict(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Due => mark("waiting", "due"),
        Verdict::Started => mark("running", "started"),
        Verdict::Waits => mark("waiting", "waits"),
        Verdict::Skipped => mark("aborted", "skipped"),
        Verdict::Delayed => mark("late", "delayed"),
        Verdict::Completed => mark("good", "completed"),
        Verdict::Failed => mark("failed", "failed"),
        Verdict::Aborted => mark("aborted", "aborted"),
    }
}

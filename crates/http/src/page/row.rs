//! The rows of the status page's tables.

use super::{Face, Moment};
use larder_model::human::{length, size};
use larder_model::{Operation, OperationKind, OperationStatus, human};
use larder_service::{DatabaseView, Health, NextRun};

/// The longest name of a file that is shown whole, in characters.
const CURRENT_CHARACTERS: usize = 60;

/// A state as it is shown: a word, and the name of its shape and hue.
pub(crate) trait Shown {
    fn shape(&self) -> &'static str;
    fn word(&self) -> String;
}

impl Shown for Health {
    fn shape(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Good => "good",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Unprotected => "unprotected",
            Self::Missing => "missing",
        }
    }

    fn word(&self) -> String {
        self.to_string()
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

/// One database.
pub(crate) struct DatabaseRow {
    pub(crate) name: String,
    pub(crate) engine: &'static str,
    pub(crate) source: String,
    pub(crate) locator: String,
    pub(crate) health: Health,
    /// Said where a person should look.
    pub(crate) reason: Option<String>,
    pub(crate) last_good: Option<Moment>,
    pub(crate) next: Option<(Moment, String)>,
}

impl DatabaseRow {
    pub(crate) fn new(view: &DatabaseView, face: &Face) -> Self {
        Self {
            name: view.database.name.to_string(),
            engine: view.database.engine.as_str(),
            source: view.database.source.to_string(),
            locator: view.database.locator.clone(),
            health: view.health,
            reason: (urgency(view.health) < 4).then(|| view.reason.clone()),
            last_good: view.last_good_backup.as_ref().map(|backup| face.moment(backup.time)),
            next: view.next_run.as_ref().map(|run| (face.moment(run.time), run.kind.to_string())),
        }
    }
}

/// One run to come.
pub(crate) struct RunRow {
    pub(crate) database: String,
    pub(crate) task: String,
    pub(crate) kind: String,
    pub(crate) when: Moment,
}

impl RunRow {
    pub(crate) fn new(run: &NextRun, face: &Face) -> Self {
        Self {
            database: run.database.to_string(),
            task: run.task.clone(),
            kind: run.kind.to_string(),
            when: face.moment(run.time),
        }
    }
}

/// One operation, running or ended.
pub(crate) struct OperationRow {
    pub(crate) id: u64,
    pub(crate) what: String,
    pub(crate) database: String,
    pub(crate) shape: &'static str,
    pub(crate) word: &'static str,
    pub(crate) when: Moment,
    pub(crate) took: String,
    pub(crate) read: String,
    pub(crate) stored: String,
    pub(crate) error: Option<String>,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    pub(crate) progress: String,
}

impl OperationRow {
    pub(crate) fn new(operation: &Operation, face: &Face) -> Self {
        let (shape, word) = state(operation);
        let progress = &operation.progress;
        let ended = operation.ended.unwrap_or(face.now);
        let seconds = operation.started.map(|started| ended.as_second().saturating_sub(started.as_second()));
        let moves_data = operation.kind == OperationKind::Backup && !operation.unchanged;
        Self {
            id: operation.id,
            what: what(operation),
            database: operation.database.to_string(),
            shape,
            word,
            when: face.moment(operation.ended.unwrap_or(operation.created)),
            took: seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(length).unwrap_or_default(),
            read: if moves_data { size(progress.bytes_read) } else { String::new() },
            stored: if moves_data { size(progress.bytes_stored) } else { String::new() },
            error: operation.error.clone(),
            bytes_done: progress.bytes_done.min(progress.bytes_total),
            bytes_total: progress.bytes_total,
            progress: describe_progress(operation),
        }
    }
}

fn what(operation: &Operation) -> String {
    match operation.backup_kind {
        Some(kind) => format!("{kind} {}", operation.kind),
        None => operation.kind.to_string(),
    }
}

const fn state(operation: &Operation) -> (&'static str, &'static str) {
    match operation.status {
        OperationStatus::Queued => ("waiting", "queued"),
        OperationStatus::InProgress => ("running", "running"),
        OperationStatus::Completed if operation.unchanged => ("good", "nothing changed"),
        OperationStatus::Completed => match operation.kind {
            OperationKind::Verify => ("verified", "verified"),
            _ => ("good", "completed"),
        },
        OperationStatus::Faulted => ("failed", "failed"),
        OperationStatus::Canceled => ("aborted", "aborted"),
    }
}

/// Says how far an operation has come: `40 % · 12.0 MiB of 30.0 MiB · 310 items · docs/a.txt`.
fn describe_progress(operation: &Operation) -> String {
    let progress = &operation.progress;
    if operation.status == OperationStatus::Queued {
        return "waits for its turn".to_owned();
    }
    let mut parts = Vec::new();
    if progress.bytes_total > 0 {
        let done = progress.bytes_done.min(progress.bytes_total);
        let percent = u128::from(done) * 100 / u128::from(progress.bytes_total);
        parts.push(format!("{percent} %"));
        parts.push(format!("{} of {}", size(done), size(progress.bytes_total)));
    } else if progress.bytes_done > 0 {
        parts.push(size(progress.bytes_done));
    }
    if progress.items_done > 0 {
        parts.push(human::count(usize::try_from(progress.items_done).unwrap_or(usize::MAX), "item"));
    }
    if !progress.current.is_empty() {
        let characters = progress.current.chars().count();
        let skipped = characters.saturating_sub(CURRENT_CHARACTERS);
        let tail: String = progress.current.chars().skip(skipped).collect();
        parts.push(if skipped > 0 { format!("…{tail}") } else { tail });
    }
    if parts.is_empty() { "begins".to_owned() } else { parts.join(" · ") }
}

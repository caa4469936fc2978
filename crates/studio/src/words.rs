//! Operations in words and numbers.

use crate::face::{Face, Moment};
use crate::state::{self, Mark};
use jiff::Timestamp;
use larder_model::human::{self, length, size};
use larder_model::operation::DestinationOutcome;
use larder_model::{Operation, OperationKind, OperationStatus};

/// The longest name of a file that is shown whole, in characters.
const CURRENT_CHARACTERS: usize = 60;

/// One operation, waiting, running or ended.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) id: u64,
    pub(crate) what: String,
    pub(crate) database: String,
    pub(crate) task: Option<String>,
    pub(crate) mark: Mark,
    pub(crate) when: Moment,
    pub(crate) started: Option<Moment>,
    pub(crate) took: String,
    pub(crate) read: String,
    pub(crate) stored: String,
    pub(crate) error: Option<String>,
    pub(crate) messages: Vec<String>,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    pub(crate) progress: String,
    pub(crate) destinations: Vec<Place>,
    pub(crate) is_final: bool,
    /// Whether it can be put off.
    pub(crate) delays: bool,
}

/// How an operation went, or goes, at one destination.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) backup: Option<String>,
    pub(crate) stored: String,
    pub(crate) rate: String,
    pub(crate) error: Option<String>,
}

impl Place {
    fn of(outcome: &DestinationOutcome) -> Self {
        Self {
            name: outcome.destination.clone(),
            address: outcome.address.clone(),
            backup: outcome.backup.as_ref().map(|id| id.short().to_owned()),
            stored: size(outcome.bytes_stored),
            rate: String::new(),
            error: outcome.error.clone(),
        }
    }
}

impl Work {
    pub(crate) fn new(operation: &Operation, face: &Face) -> Self {
        let progress = &operation.progress;
        let is_final = operation.status.is_final();
        let moves_data = operation.kind == OperationKind::Backup && !operation.unchanged;
        let mut destinations: Vec<Place> = operation.destinations.iter().map(Place::of).collect();
        if destinations.is_empty() {
            destinations.extend(progress.destinations.iter().map(|one| Place {
                name: one.destination.clone(),
                address: None,
                backup: None,
                stored: size(one.bytes_stored),
                rate: if one.bytes_per_second > 0 {
                    format!("{}/s", size(one.bytes_per_second))
                } else {
                    String::new()
                },
                error: None,
            }));
        }
        Self {
            id: operation.id,
            what: what(operation),
            database: operation.database.to_string(),
            task: operation.task.clone(),
            mark: state::of_operation(operation),
            when: face.moment(operation.ended.or(operation.started).unwrap_or(operation.created)),
            started: operation.started.map(|started| face.moment(started)),
            took: operation.started.map(|_| lasting(lasted(operation, face.now))).unwrap_or_default(),
            read: if moves_data { size(progress.bytes_read) } else { String::new() },
            stored: if moves_data { size(progress.bytes_stored) } else { String::new() },
            error: operation.error.clone(),
            messages: operation.messages.clone(),
            bytes_done: progress.bytes_done.min(progress.bytes_total),
            bytes_total: progress.bytes_total,
            progress: describe_progress(operation),
            destinations,
            is_final,
            delays: !is_final && operation.kind == OperationKind::Backup && operation.task.is_some(),
        }
    }
}

/// Returns how long an operation took, or has taken by now, in milliseconds.
pub(crate) fn lasted(operation: &Operation, now: Timestamp) -> u64 {
    let ended = operation.ended.unwrap_or(now);
    let span = operation.started.map_or(0, |started| ended.as_millisecond() - started.as_millisecond());
    u64::try_from(span).unwrap_or(0)
}

/// Writes a length of time in milliseconds; what is short with a digit behind the point.
pub(crate) fn lasting(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => length(milliseconds / 1000),
    }
}

/// Says what an operation does: `full backup`.
pub(crate) fn what(operation: &Operation) -> String {
    match operation.backup_kind {
        Some(kind) => format!("{kind} {}", operation.kind),
        None => operation.kind.to_string(),
    }
}

/// Says how far an operation has come: `40 % · 12.0 MiB of 30.0 MiB · 8.0 MiB/s · 3 s left · 310 items · docs/a.txt`.
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
    if progress.bytes_per_second > 0 {
        parts.push(format!("{}/s", size(progress.bytes_per_second)));
    }
    parts.extend(progress.seconds_left.map(|seconds| format!("{} left", length(seconds))));
    if progress.items_done > 0 {
        parts.push(human::count(usize::try_from(progress.items_done).unwrap_or(usize::MAX), "item"));
    }
    if !progress.current.is_empty() {
        let skipped = progress.current.chars().count().saturating_sub(CURRENT_CHARACTERS);
        let tail: String = progress.current.chars().skip(skipped).collect();
        parts.push(if skipped > 0 { format!("…{tail}") } else { tail });
    }
    if parts.is_empty() { "begins".to_owned() } else { parts.join(" · ") }
}

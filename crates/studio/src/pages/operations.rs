//! The notification centre: what runs, what waits and why, and what was.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::frame::{Frame, Here};
use crate::words::Work;
use askama::Template;
use axum::extract::{Query, State};
use larder_model::{OperationKind, OperationStatus};
use larder_service::OperationFilter;
use serde::Deserialize;

/// How many operations one page shows.
const ON_A_PAGE: usize = 100;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    database: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    status: String,
}

/// A choice of a list, and whether it is the one.
struct Choice {
    value: &'static str,
    name: &'static str,
    chosen: bool,
}

struct Waiting {
    position: usize,
    operation: u64,
    database: String,
    kind: String,
    due: Moment,
    reason: String,
}

#[derive(Template)]
#[template(path = "operations.html")]
struct Operations {
    frame: Frame,
    database: String,
    kinds: Vec<Choice>,
    statuses: Vec<Choice>,
    running: Vec<Work>,
    waiting: Vec<Waiting>,
    ended: Vec<Work>,
    is_filtered: bool,
}

const KINDS: [(&str, &str, Option<OperationKind>); 8] = [
    ("", "every kind", None),
    ("backup", "backup", Some(OperationKind::Backup)),
    ("restore", "restore", Some(OperationKind::Restore)),
    ("verify", "verification", Some(OperationKind::Verify)),
    ("check", "check", Some(OperationKind::Check)),
    ("prune", "prune", Some(OperationKind::Prune)),
    ("heal", "healing", Some(OperationKind::Heal)),
    ("repair", "repair", Some(OperationKind::Repair)),
];

const STATUSES: [(&str, &str, Option<OperationStatus>); 4] = [
    ("", "however it ended", None),
    ("completed", "completed", Some(OperationStatus::Completed)),
    ("failed", "failed", Some(OperationStatus::Faulted)),
    ("aborted", "aborted", Some(OperationStatus::Canceled)),
];

pub(super) async fn show(State(studio): State<Studio>, Query(asked): Query<Asked>) -> Page {
    let face = studio.face();
    let kind = KINDS.iter().find(|(value, ..)| *value == asked.kind).and_then(|(.., kind)| *kind);
    let status = STATUSES.iter().find(|(value, ..)| *value == asked.status).and_then(|(.., status)| *status);
    let database = Some(asked.database.trim().to_owned()).filter(|name| !name.is_empty());
    let running = studio.service.operations(&OperationFilter {
        status: Some(OperationStatus::InProgress),
        ..OperationFilter::default()
    });
    let queue = studio.service.queue();
    // What has not ended yet comes among the newest, and is shown above.
    let limit = Some(ON_A_PAGE + running.len() + queue.len());
    let filter = OperationFilter { database: database.clone(), kind, status, limit };
    let all = studio.service.operations(&filter);
    let waiting = queue.into_iter().map(|entry| Waiting {
        position: entry.position,
        operation: entry.operation,
        database: entry.database.to_string(),
        kind: entry.backup_kind.map_or_else(|| "operation".to_owned(), |kind| format!("{kind} backup")),
        due: face.moment(entry.due),
        reason: entry.reason,
    });
    page(&Operations {
        frame: studio.frame(Here::Operations, "Operations"),
        kinds: KINDS
            .iter()
            .map(|(value, name, _)| Choice { value, name, chosen: *value == asked.kind })
            .collect(),
        statuses: STATUSES
            .iter()
            .map(|(value, name, _)| Choice { value, name, chosen: *value == asked.status })
            .collect(),
        running: running.iter().map(|operation| Work::new(operation, &face)).collect(),
        waiting: waiting.collect(),
        ended: all
            .iter()
            .filter(|operation| operation.status.is_final())
            .take(ON_A_PAGE)
            .map(|operation| Work::new(operation, &face))
            .collect(),
        is_filtered: kind.is_some() || status.is_some() || database.is_some(),
        database: asked.database,
    })
}

//! What waits in the queue, and why.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::job::Job;
use crate::queue::Hold;
use jiff::Timestamp;
use larder_model::{BackupKind, DatabaseName, OperationId};
use serde::{Deserialize, Serialize};

/// One operation that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct QueueEntry {
    /// The operation.
    pub operation: OperationId,
    /// The database it is about.
    pub database: DatabaseName,
    /// The task that asked for it, as the database knows it.
    pub task: Option<String>,
    /// Full or incremental, for a backup.
    pub backup_kind: Option<BackupKind>,
    /// When it should have begun.
    pub due: Timestamp,
    /// Its place, from 1.
    pub position: usize,
    /// Why it waits, in one sentence.
    pub reason: String,
}

/// Says whether a job may start now: one that the schedule asked for, only within its backup window.
pub(crate) fn is_ready(catalog: &Catalog, job: &Job, now: Timestamp) -> bool {
    match job {
        Job::Backup { key, cause, .. } if cause.scheduled => {
            catalog.task(key).is_none_or(|(_, task)| task.schedule.opens(now) == now)
        }
        _ => true,
    }
}

/// Says what holds a job, in words that follow "because".
pub(crate) fn hold_in_words(hold: Hold, catalog: &Catalog, job: &Job) -> String {
    match hold {
        Hold::NotReady => match job {
            Job::Backup { key, .. } => {
                let window = catalog.task(key).and_then(|(_, task)| task.periodic().backup_window.clone());
                let window = window.map(|window| format!(" from {} to {}", window.from, window.to));
                format!("its backup window is closed; it is open{}", window.unwrap_or_default())
            }
            _ => "it may not start now".to_owned(),
        },
        Hold::Busy(other) => format!("operation {other} of the same database runs"),
        Hold::Full(1) => "another one runs, and one at a time may".to_owned(),
        Hold::Full(limit) => format!("{limit} run already, as many as may at once"),
        Hold::Behind => "those before it start first".to_owned(),
    }
}

impl Core {
    /// Lists what waits, in the order in which it will start.
    pub(crate) fn show_queue(&self) -> Vec<QueueEntry> {
        let catalog = self.catalog();
        let now = self.now();
        let board = self.board();
        let held = board.queue.held(|job| is_ready(&catalog, job, now));
        held.zip(1..)
            .map(|((turn, database, job, hold), position)| {
                let operation = self.operations.get(turn.id).ok();
                QueueEntry {
                    operation: turn.id,
                    database: database.clone(),
                    task: operation.as_ref().and_then(|operation| operation.task.clone()),
                    backup_kind: operation.and_then(|operation| operation.backup_kind),
                    due: turn.due,
                    position,
                    reason: format!("it waits, because {}", hold_in_words(hold, &catalog, job)),
                }
            })
            .collect()
    }
}

//! Putting a backup off: it stops, frees everything, and goes on at the time; what it stored is not sent again.

use crate::core::Core;
use crate::decision::{Decision, Decisions, Verdict};
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::job::Job;
use crate::planning::Planner;
use crate::record;
use crate::view::TaskStatus;
use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupKind, OperationId, TimeSpan};
use std::sync::Arc;

/// What a delay needs to know of the operation that it stops.
#[derive(Clone, Debug)]
pub(crate) struct Delayable {
    pub(crate) key: TaskKey,
    pub(crate) kind: BackupKind,
    pub(crate) scheduled: bool,
    pub(crate) due: Timestamp,
}

impl Delayable {
    /// Returns what a job needs to be put off; `None` for what is no backup of a task.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        match job {
            Job::Backup { key, kind, cause, .. } if key.task != 0 => {
                Some(Self { key: key.clone(), kind: *kind, scheduled: cause.scheduled, due: cause.due })
            }
            _ => None,
        }
    }
}

impl Core {
    /// Stops a backup that runs or waits, and lets its task go on after a time.
    ///
    /// The delay is stored before anything is stopped, so that it survives a crash at any moment.
    pub(crate) async fn delay(self: &Arc<Self>, id: OperationId, span: TimeSpan) -> Result<(), ServiceError> {
        let negative = || {
            ServiceError::invalid(
                "duration",
                format!("a backup cannot be put off by {span}; give a time from 00:00:00 on"),
            )
        };
        let by = span.to_duration().and_then(|by| SignedDuration::try_from(by).ok()).ok_or_else(negative)?;
        {
            let _writer = self.writer.lock().await;
            let delayed = self.delayable(id)?;
            let now = self.now();
            let until = now.checked_add(by).map_err(|_| negative())?;
            let status = self.delayed_status(&delayed, until);
            let mut decisions = Decisions::default();
            let reason = format!("it was put off by {span}, until {until}");
            let decision = Decision { at: now, decision: Verdict::Delayed, reason, operation: Some(id) };
            decisions.note(&delayed.key, decision);
            let write = record::put(record::status(&delayed.key), &status)?;
            self.store_with(decisions, vec![write]).await?;
            self.catalog_mut().statuses.insert(delayed.key.clone(), status);
            self.board().delayed.insert(id);
            self.reschedule(std::iter::once(&delayed.key));
        }
        self.abort(id).await
    }

    fn delayable(&self, id: OperationId) -> Result<Delayable, ServiceError> {
        let operation = self.operations.get(id)?;
        if operation.status.is_final() {
            return Err(ServiceError::conflict(format!(
                "operation {id} has ended already ({}), so there is nothing to put off",
                operation.status
            )));
        }
        self.operations.delayable(id).ok_or_else(|| {
            ServiceError::conflict(format!(
                "operation {id} is a {} and no backup of a task, so it cannot be put off; abort it instead",
                operation.kind
            ))
        })
    }

    fn delayed_status(&self, delayed: &Delayable, until: Timestamp) -> TaskStatus {
        let catalog = self.catalog();
        let mut status = catalog.status(&delayed.key);
        let planner = Planner { core: self, catalog: &catalog, now: self.now() };
        // Put off twice, the first moment stays the original one.
        let original = status.delay_until.and(status.original_backup_time);
        let original = original.or(delayed.scheduled.then_some(delayed.due));
        status.original_backup_time = original.or_else(|| planner.next_by_schedule(&delayed.key));
        status.delay_until = Some(until);
        status.delayed_kind = Some(delayed.kind);
        status
    }
}

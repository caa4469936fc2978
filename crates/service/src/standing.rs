//! How a task stands now: why it does not run at this moment.

use crate::core::Core;
use crate::decision::{Decision, Verdict};
use crate::identity::TaskKey;
use crate::planning::Planner;
use crate::waiting::{hold_in_words, is_ready};
use jiff::Timestamp;
use larder_model::OperationStatus;

impl Core {
    /// Says why a task does not run now, or that it does.
    pub(crate) fn standing(&self, key: &TaskKey) -> Decision {
        let at = self.now();
        let said = |decision, reason: String| Decision { at, decision, reason, operation: None };
        if let Some(decision) = self.under_way(key, at) {
            return decision;
        }
        let catalog = self.catalog();
        let Some((database, task)) = catalog.task(key) else {
            return said(Verdict::Waits, "there is no such task any more".to_owned());
        };
        if let Some(since) = database.missing_since {
            return said(Verdict::Waits, format!("the database is gone from its source since {since}"));
        }
        if !catalog.runs(database, task) {
            return said(Verdict::Waits, "it is disabled".to_owned());
        }
        let board = self.board();
        let planner = Planner { core: self, catalog: &catalog, now: at };
        let shown = |time: Timestamp| {
            time.to_zoned(task.schedule.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
        };
        let lost =
            self.changes().lost(&key.database).map(|cause| format!("; changes are not watched: {cause}"));
        let lost = lost.unwrap_or_default();
        match planner.appointment(key, database, task, &board) {
            Some(plan) if plan.original.is_some() => {
                said(Verdict::Delayed, format!("somebody put it off until {}", shown(plan.begins)))
            }
            Some(plan) if plan.begins > plan.run.time => said(
                Verdict::Waits,
                format!(
                    "its next moment is {} ({}); it begins at {}, since starts are spread{lost}",
                    shown(plan.run.time),
                    plan.run.kind,
                    shown(plan.begins)
                ),
            ),
            Some(plan) => said(
                Verdict::Waits,
                format!("its next moment is {} ({}){lost}", shown(plan.run.time), plan.run.kind),
            ),
            None if task.schedule.after_changes().is_some() => {
                said(Verdict::Waits, format!("nothing changed since its last run began{lost}"))
            }
            None => {
                said(Verdict::Waits, "it has no moments of its own: it runs when it is asked for".to_owned())
            }
        }
    }

    /// Says that a task's backup runs or waits in the queue.
    fn under_way(&self, key: &TaskKey, at: Timestamp) -> Option<Decision> {
        let id = self.operations.of_task(key)?;
        let operation = self.operations.get(id).ok()?;
        let said = |decision, reason| Some(Decision { at, decision, reason, operation: Some(id) });
        if operation.status == OperationStatus::InProgress {
            return said(Verdict::Started, "it runs now".to_owned());
        }
        let catalog = self.catalog();
        let board = self.board();
        let held = board.queue.held(|job| is_ready(&catalog, job, at));
        let reason = held
            .filter(|(turn, ..)| turn.id == id)
            .map(|(_, _, job, hold)| hold_in_words(hold, &catalog, job));
        let reason = reason.last().unwrap_or_else(|| "it is about to start".to_owned());
        said(Verdict::Waits, format!("it was due and waits for its turn, because {reason}"))
    }
}

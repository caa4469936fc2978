//! Runs that were missed and are not made up for: told in the decision log, so that nobody wonders.

use crate::core::Core;
use crate::decision::{Decision, Decisions, Verdict};
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::plan::Plan;
use jiff::Timestamp;
use larder_model::task::CatchUp;
use larder_schedule::Attempts;
use std::sync::Arc;

impl Core {
    /// Notes the runs that came due while nobody was there, of the tasks that skip such runs. Each is noted once, however
    /// often the server starts before the next.
    pub(crate) async fn note_skipped(&self) -> Result<(), ServiceError> {
        let now = self.now();
        let mut decisions = Decisions::default();
        for (key, reason) in self.skipped(now) {
            let told = self.stored_decisions(&key).await;
            let is_told =
                |decision: &Decision| decision.decision == Verdict::Skipped && decision.reason == reason;
            if !told.iter().any(is_told) {
                decisions
                    .note(&key, Decision { at: now, decision: Verdict::Skipped, reason, operation: None });
            }
        }
        if decisions.is_empty() {
            return Ok(());
        }
        self.store_with(decisions, Vec::new()).await.map(drop)
    }

    /// Finds those runs, with the sentence that tells of each.
    fn skipped(&self, now: Timestamp) -> Vec<(TaskKey, String)> {
        let catalog = self.catalog();
        let skips = |plan: &&Arc<Plan>| plan.schedule.catch_up == CatchUp::Skip;
        if !catalog.all_plans().any(|plan| skips(&plan)) {
            return Vec::new();
        }
        let awake_since = self.board().awake_since;
        let mut found = Vec::new();
        for database in catalog.databases.values() {
            for plan in catalog.plans_of(database).filter(skips) {
                let key = TaskKey { database: database.name.clone(), task: plan.uid };
                let delayed = catalog.statuses.get(&key).is_some_and(|status| status.delay_until.is_some());
                if catalog.runs(database, plan) && !delayed {
                    let attempts = catalog.attempts(database, plan, awake_since);
                    found.extend(missed(plan, attempts, now).map(|reason| (key, reason)));
                }
            }
        }
        found
    }
}

/// Tells of the run of a task that nobody was there to begin.
fn missed(plan: &Plan, attempts: Attempts, now: Timestamp) -> Option<String> {
    let back = attempts.awake_since;
    // What would be due had somebody always been there.
    let attempts = Attempts { awake_since: attempts.since.min(back), ..attempts };
    let run = plan.schedule.next(&attempts, now).filter(|run| run.time < back)?;
    let entries = plan.schedule.reasons(&attempts, now).join(" and ");
    let shown = run.time.to_zoned(plan.schedule.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    Some(format!(
        "{entries} made it due at {shown}; nobody was there then, and this task skips what was missed"
    ))
}

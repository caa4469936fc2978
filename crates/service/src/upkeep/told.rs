//! What the decision logs say of upkeep.

use crate::core::Core;
use crate::decision::{Decision, Decisions, Verdict as Said};
use crate::identity::TaskKey;
use crate::job::Job;
use larder_model::{Operation, OperationStatus};

/// Says in the decision logs of all tasks that write to some destinations what was done for these.
pub(crate) fn decisions(core: &Core, job: &Job, operation: &Operation) -> Decisions {
    let mut decisions = Decisions::default();
    let (destinations, what) = match job {
        Job::Check { destinations, depth, upkeep: Some(_), .. } => {
            let part = depth.part.map_or_else(|| "all".to_owned(), |part| format!("part {part}"));
            (destinations, format!("{part} of what is stored was read"))
        }
        Job::Prune { destinations, dry_run: false, .. } => {
            (destinations, "the space of what no backup needs was freed".to_owned())
        }
        Job::Repair { destinations, request, .. } if !request.dry_run => {
            (destinations, "the repository was repaired".to_owned())
        }
        _ => return decisions,
    };
    let names = destinations.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    let (decision, reason) = match operation.status {
        OperationStatus::Completed => (Said::Completed, format!("upkeep at {names}: {what}")),
        OperationStatus::Faulted => {
            let error = operation.error.as_deref().unwrap_or("it failed");
            (Said::Failed, format!("upkeep at {names}: {error}"))
        }
        _ => return decisions,
    };
    let at = operation.ended.unwrap_or(operation.created);
    let catalog = core.catalog();
    let Some(database) = catalog.databases.get(job.database()) else { return decisions };
    for plan in catalog.plans_of(database) {
        let writes_there = |address: &str| destinations.iter().any(|one| one.spot.address == address);
        if catalog.aims_of(plan).iter().any(|(_, spot)| writes_there(&spot.address)) {
            let key = TaskKey { database: database.name.clone(), task: plan.uid };
            let reason = reason.clone();
            decisions.note(&key, Decision { at, decision, reason, operation: Some(operation.id) });
        }
    }
    decisions
}

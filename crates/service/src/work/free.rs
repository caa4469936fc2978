//! Freeing the space of what no backup needs: by hand, after retention, and once a grace period is over.

use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::work::vault::Vault;
use crate::work::{Order, Place};
use larder_model::operation::DestinationOutcome;
use larder_model::{Counters, Database, human};
use larder_repository::{PruneOptions, PruneSummary, RepositoryError};
use std::sync::Arc;

/// Repositories whose unneeded space is to be freed.
#[derive(Debug)]
pub(crate) struct Free {
    pub(crate) database: Arc<Database>,
    pub(crate) places: Vec<Place>,
    pub(crate) dry_run: bool,
}

impl Free {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let mut done = Done::default();
        let mut failed = Vec::new();
        for place in &self.places {
            let freed = self.free(order, place);
            if order.live.cancel.is_canceled() {
                return Done { verdict: Verdict::Canceled, ..done };
            }
            let destination = place.destination.name.clone();
            let error = match freed {
                Ok(summary) => {
                    if !self.dry_run && waits(&summary) {
                        done.retired.push(place.destination.spot.address.clone());
                    }
                    done.messages.push(format!("{destination}: {}", told(&summary, self.dry_run)));
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            failed.extend(error.iter().map(|error| format!("{destination}: {error}")));
            done.destinations.push(DestinationOutcome {
                destination,
                error,
                ..DestinationOutcome::default()
            });
        }
        done.verdict = match failed.is_empty() {
            true => Verdict::Completed,
            false => Verdict::Faulted(format!(
                "the space of {} could not be freed: {}",
                self.database.name,
                failed.join("; ")
            )),
        };
        done
    }

    fn free(&self, order: &Order, place: &Place) -> Result<PruneSummary, ServiceError> {
        let vault = order.site.open(place, &self.database)?;
        let root = order.site.connections.open(&place.destination.spot)?;
        let writers = order.site.writers(&*root, &self.database.name)?;
        let found = vault.snapshots(&order.site)?;
        if !writers.others.is_empty() || found.iter().any(|found| order.site.is_others(found)) {
            return Err(ServiceError::conflict(
                "another installation writes to the same repository, so space is not freed there; give each installation a folder of its own",
            ));
        }
        Ok(prune(order, &vault, self.dry_run, &order.live.counters)?)
    }
}

/// Removes what no backup needs, or retires it where a grace period is set.
pub(crate) fn prune(
    order: &Order,
    vault: &Vault,
    dry_run: bool,
    counters: &Counters,
) -> Result<PruneSummary, RepositoryError> {
    let options = PruneOptions { dry_run, grace: order.site.prune_grace, ..PruneOptions::default() };
    vault.repository.prune(&options, &order.live.cancel, counters)
}

/// Says whether something stays for now, so that another prune must come.
pub(crate) const fn waits(summary: &PruneSummary) -> bool {
    summary.packs_retired + summary.packs_waiting + summary.protected > 0
}

/// Says what was freed, or would be.
pub(crate) fn told(summary: &PruneSummary, dry_run: bool) -> String {
    let freed = summary.removed_bytes.saturating_sub(summary.repacked_bytes);
    let mut text = match dry_run {
        true => format!("{} would be freed", human::size(freed)),
        false => format!("{} freed", human::size(freed)),
    };
    let packs = summary.packs_retired + summary.packs_waiting;
    if packs > 0 {
        let bytes = human::size(summary.retired_bytes);
        text.push_str(&format!("; {packs} packs ({bytes}) that no backup needs stay for the grace period"));
    }
    if let Some(because) = &summary.protected_because {
        let objects = summary.protected;
        text.push_str(&format!(
            "; {objects} objects that no backup needs are protected, and are removed later: {because}"
        ));
    }
    text
}

//! After a good backup: what the policy no longer keeps goes, and the space with it.

use crate::identity::TaskUid;
use crate::retention::{Candidate, Policy, removable};
use crate::work::Order;
use crate::work::vault::{Found, Vault};
use larder_model::{BackupId, Counters};
use larder_repository::{PruneOptions, PruneSummary, RepositoryError};

/// Removes what a task's policy no longer keeps at one destination, and returns it.
///
/// Only this installation's own backups of this task are looked at. Nothing that goes wrong here takes anything from
/// the backup just made: it is told, and tried again after the next one.
pub(crate) fn apply(
    order: &Order,
    vault: &Vault,
    task: (TaskUid, &str),
    policy: Option<&Policy>,
    messages: &mut Vec<String>,
) -> Vec<BackupId> {
    let Some(policy) = policy else { return Vec::new() };
    let place = &vault.place.destination.name;
    match remove(order, vault, task, policy) {
        Ok((removed, _)) if removed.is_empty() => removed,
        Ok((removed, others)) => {
            messages.push(format!("{place}: {} that no rule keeps any more removed", backups(removed.len())));
            if others {
                messages.push(format!(
                    "{place}: another installation writes to the same repository, so the space is not freed"
                ));
                return removed;
            }
            match prune(order, vault) {
                Ok(summary) => {
                    let freed_bytes = summary.removed_bytes.saturating_sub(summary.repacked_bytes);
                    messages.push(format!("{place}: {freed_bytes} bytes freed"));
                    if let Some(because) = summary.protected_because {
                        messages.push(format!(
                            "{place}: {} objects that no backup needs are protected, and are removed later: {because}",
                            summary.protected
                        ));
                    }
                }
                Err(error) => messages
                    .push(format!("{place}: the space of removed backups could not be freed yet: {error}")),
            }
            removed
        }
        Err(error) => {
            messages.push(format!("{place}: old backups were left as they are: {error}"));
            Vec::new()
        }
    }
}

/// Returns what a policy may speak about: a backup of this task, made by this installation.
pub(crate) fn candidate(found: &Found) -> Candidate {
    Candidate {
        id: found.snapshot.id.clone(),
        time: found.snapshot.time,
        good: found.quality.is_good(),
        periodicities: found.mark.periodicities.clone(),
        // Every snapshot is whole: what an incremental one has in common with others is shared, not referred to.
        needs: None,
    }
}

/// Says whether a backup was made by a task. Names change and numbers do not; what has no number was made before tasks
/// had one.
pub(crate) fn is_of(found: &Found, (uid, name): (TaskUid, &str)) -> bool {
    found.mark.task_uid.map_or_else(|| found.mark.task.as_deref() == Some(name), |its| its == uid)
}

/// Returns what it removed, and whether another installation writes to the same repository.
fn remove(
    order: &Order,
    vault: &Vault,
    task: (TaskUid, &str),
    policy: &Policy,
) -> Result<(Vec<BackupId>, bool), crate::error::ServiceError> {
    let found = vault.snapshots(&order.site)?;
    let others = !vault.others.is_empty() || found.iter().any(|found| order.site.is_others(found));
    let ours = found.iter().filter(|found| order.site.is_ours(found) && is_of(found, task));
    let candidates: Vec<Candidate> = ours.map(candidate).collect();
    let removable = removable(&candidates, policy, order.site.clock.now());
    if !removable.is_empty() {
        vault.repository.remove_snapshots(&removable)?;
    }
    Ok((removable, others))
}

/// Frees the space of what no backup needs.
fn prune(order: &Order, vault: &Vault) -> Result<PruneSummary, RepositoryError> {
    // Counters of its own: this is no progress of the backup.
    let counters = Counters::default();
    vault.repository.prune(&PruneOptions::default(), &order.live.cancel, &counters)
}

fn backups(count: usize) -> String {
    if count == 1 { "1 backup".to_owned() } else { format!("{count} backups") }
}

//! After a good backup: what the policy no longer keeps goes, and the space with it.

use crate::identity::TaskUid;
use crate::retention::{Candidate, Policy, removable};
use crate::work::mark::Mark;
use crate::work::vault::{Found, Vault};
use crate::work::{Order, free};
use jiff::Timestamp;
use larder_model::{BackupId, BackupQuality, Counters};

/// What came of it at one destination.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    /// Backups that were removed.
    pub(crate) removed: Vec<BackupId>,
    /// Whether another prune must come: packs stay for the grace period, or this one failed.
    pub(crate) retired: bool,
}

/// Removes what a task's policy no longer keeps at one destination, and frees the space.
///
/// Only this installation's own backups of this task are looked at. Nothing that goes wrong here takes anything from
/// the backup just made: it is told, and tried again after the next one.
pub(crate) fn apply(
    order: &Order,
    vault: &Vault,
    task: (TaskUid, &str),
    policy: Option<&Policy>,
    messages: &mut Vec<String>,
) -> Retained {
    let mut retained = Retained::default();
    let Some(policy) = policy else { return retained };
    let place = &vault.place.destination.name;
    match remove(order, vault, task, policy) {
        Ok((removed, _)) if removed.is_empty() => {}
        Ok((removed, others)) => {
            messages.push(format!("{place}: {} that no rule keeps any more removed", backups(removed.len())));
            retained.removed = removed;
            if others {
                messages.push(format!(
                    "{place}: another installation writes to the same repository, so the space is not freed"
                ));
                return retained;
            }
            // Counters of its own: this is no progress of the backup.
            match free::prune(order, vault, false, &Counters::default()) {
                Ok(summary) => {
                    retained.retired = free::waits(&summary);
                    messages.push(format!("{place}: {}", free::told(&summary, false)));
                }
                Err(error) => {
                    retained.retired = !error.is_canceled();
                    messages.push(format!(
                        "{place}: the space of removed backups could not be freed yet; it is tried again: {error}"
                    ));
                }
            }
        }
        Err(error) => {
            messages.push(format!("{place}: old backups were left as they are: {error}"));
        }
    }
    retained
}

/// Returns what a policy may speak about: a backup of this task, made by this installation.
pub(crate) fn candidate(found: &Found) -> Candidate {
    candidate_of(&found.snapshot.id, found.snapshot.time, found.quality, &found.mark)
}

pub(crate) fn candidate_of(id: &BackupId, time: Timestamp, quality: BackupQuality, mark: &Mark) -> Candidate {
    Candidate {
        id: id.clone(),
        time,
        good: quality.is_good(),
        periodicities: mark.periodicities.clone(),
        // Every snapshot is whole: what an incremental one has in common with others is shared, not referred to.
        needs: None,
    }
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
    let ours = found.iter().filter(|found| order.site.is_ours(found) && found.mark.is_of(task));
    let candidates: Vec<Candidate> = ours.map(candidate).collect();
    let removable = removable(&candidates, policy, order.site.clock.now());
    if !removable.is_empty() {
        vault.repository.remove_snapshots(&removable)?;
    }
    Ok((removable, others))
}

fn backups(count: usize) -> String {
    if count == 1 { "1 backup".to_owned() } else { format!("{count} backups") }
}

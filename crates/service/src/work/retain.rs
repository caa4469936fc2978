//! After a good backup: what the policy no longer keeps goes, and the space with it.

use crate::identity::TaskUid;
use crate::retention::{Candidate, Policy, removable};
use crate::work::Order;
use crate::work::vault::{Found, Vault};
use larder_model::task::PeriodicBackupConfiguration;
use larder_model::{BackupId, Counters};
use larder_repository::{PruneOptions, RepositoryError};

/// Removes what a task's policy no longer keeps at one destination, and returns it.
///
/// Only this installation's own backups of this task are looked at. Nothing that goes wrong here takes anything from
/// the backup just made: it is told, and tried again after the next one.
pub(crate) fn apply(
    order: &Order,
    vault: &Vault,
    task: TaskUid,
    settings: &PeriodicBackupConfiguration,
    messages: &mut Vec<String>,
) -> Vec<BackupId> {
    let Some(policy) = Policy::of(settings) else { return Vec::new() };
    let place = &vault.place.destination.name;
    match remove(order, vault, task, settings, &policy) {
        Ok(removed) if removed.is_empty() => removed,
        Ok(removed) => {
            messages.push(format!("{place}: {} older than the policy keeps removed", backups(removed.len())));
            match prune(order, vault) {
                Ok(freed_bytes) => messages.push(format!("{place}: {freed_bytes} bytes freed")),
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

fn remove(
    order: &Order,
    vault: &Vault,
    task: TaskUid,
    settings: &PeriodicBackupConfiguration,
    policy: &Policy,
) -> Result<Vec<BackupId>, crate::error::ServiceError> {
    let found = vault.snapshots(&order.site)?;
    let of_task = |found: &&Found| {
        let by_name = || found.mark.task.as_deref() == Some(settings.name.as_str());
        // Names change and numbers do not; what has no number was made before tasks had one.
        order.site.is_ours(found) && found.mark.task_uid.map_or_else(by_name, |uid| uid == task)
    };
    let candidates: Vec<Candidate> = found
        .iter()
        .filter(of_task)
        .map(|found| Candidate {
            id: found.snapshot.id.clone(),
            time: found.snapshot.time,
            good: found.quality.is_good(),
        })
        .collect();
    let removable = removable(&candidates, policy, order.site.clock.now());
    if !removable.is_empty() {
        vault.repository.remove_snapshots(&removable)?;
    }
    Ok(removable)
}

/// Frees the space of what no backup needs; returns how many bytes there are fewer.
fn prune(order: &Order, vault: &Vault) -> Result<u64, RepositoryError> {
    // Counters of its own: this is no progress of the backup.
    let counters = Counters::default();
    let summary = vault.repository.prune(&PruneOptions::default(), &order.live.cancel, &counters)?;
    Ok(summary.removed_bytes.saturating_sub(summary.repacked_bytes))
}

fn backups(count: usize) -> String {
    if count == 1 { "1 backup".to_owned() } else { format!("{count} backups") }
}

//! A destination that missed runs gets the backups it lacks from another one: the source is not read for them again.

use crate::derivation::same_name;
use crate::identity::TaskUid;
use crate::retention::{Candidate, Policy, removable};
use crate::work::vault::{Found, Vault};
use crate::work::{Order, retain};
use larder_model::{BackupId, Counters};
use larder_repository::{HealOptions, Repository, Snapshot};
use std::collections::HashSet;

/// How many backups that could not be brought are named.
const NAMED: usize = 3;

/// A destination that can give backups and take them.
pub(crate) struct Member<'a> {
    pub(crate) vault: &'a Vault,
    /// What lay there when the run began.
    pub(crate) before: &'a [Found],
}

/// What a healing says, and to which destination alone it may be limited.
pub(crate) struct Told<'a> {
    pub(crate) messages: &'a mut Vec<String>,
    /// The destinations that still lack something.
    pub(crate) failed: Vec<String>,
    pub(crate) counters: &'a Counters,
    pub(crate) only: Option<&'a str>,
}

/// Brings the backups of a task to the destinations that lack them.
///
/// Told by the lists that the run has read anyway, so it costs nothing where nothing lacks. What the task's policy would
/// remove at once is not brought. Nothing that goes wrong here takes anything from the backup just made: it is told, and
/// tried again after the next one.
pub(crate) fn apply(
    order: &Order,
    members: &[Member<'_>],
    task: (TaskUid, &str),
    policy: Option<&Policy>,
    told: &mut Told<'_>,
) {
    let mut all: Vec<&Found> = Vec::new();
    for found in members.iter().flat_map(|member| member.before) {
        let is_meant = order.site.is_ours(found) && found.mark.is_of(task);
        if is_meant && !holds(&all, found) {
            all.push(found);
        }
    }
    let leaving: HashSet<BackupId> = policy.map_or_else(HashSet::new, |policy| {
        let candidates: Vec<Candidate> = all.iter().map(|found| retain::candidate(found)).collect();
        removable(&candidates, policy, order.site.clock.now()).into_iter().collect()
    });
    all.retain(|found| !leaving.contains(&found.snapshot.id));
    for (number, member) in members.iter().enumerate() {
        let here: Vec<&Found> = member.before.iter().collect();
        let lacking: Vec<&Found> = all.iter().copied().filter(|found| !holds(&here, found)).collect();
        if lacking.is_empty() || order.live.cancel.is_canceled() {
            continue;
        }
        if told.only.is_some_and(|only| !same_name(only, &member.vault.place.destination.name)) {
            continue;
        }
        let others = members.iter().enumerate().filter(|(other, _)| *other != number);
        heal(order, member, others.map(|(_, other)| other), &lacking, told);
    }
}

/// Brings what one destination lacks.
fn heal<'a>(
    order: &Order,
    member: &Member<'_>,
    others: impl Iterator<Item = &'a Member<'a>>,
    lacking: &[&Found],
    told: &mut Told<'_>,
) {
    let (mut sources, mut names): (Vec<Repository>, Vec<BackupId>) = (Vec::new(), Vec::new());
    for other in others {
        sources.push(other.vault.repository.clone());
        // Each destination has its own name for a backup.
        let its = other.before.iter().filter(|found| holds(lacking, found));
        names.extend(its.map(|found| found.snapshot.id.clone()));
    }
    let options = HealOptions { backups: Some(names), ..HealOptions::default() };
    let place = &member.vault.place.destination.name;
    let Told { messages, failed, counters, .. } = told;
    match member.vault.repository.heal_from(&sources, &options, &order.live.cancel, counters) {
        Ok(summary) => {
            failed.extend((!summary.failures.is_empty()).then(|| place.clone()));
            if !summary.backups.is_empty() {
                messages.push(format!(
                    "{place}: {} that it lacked brought from the other destinations, {} bytes copied",
                    backups(summary.backups.len()),
                    summary.bytes_copied
                ));
            }
            if !summary.failures.is_empty() {
                let named = summary.failures.iter().take(NAMED);
                let named = named.map(|failure| format!("{} ({})", failure.backup.short(), failure.cause));
                messages.push(format!(
                    "{place}: {} that it lacks could not be brought, because no other destination holds all of it: {}",
                    backups(summary.failures.len()),
                    named.collect::<Vec<_>>().join(", ")
                ));
            }
        }
        Err(error) => {
            failed.push(place.clone());
            messages.push(format!(
                "{place}: {} that it lacks could not be brought yet: {error}",
                backups(lacking.len())
            ));
        }
    }
}

/// Says whether a list has the same backup, whatever it is called there.
fn holds(list: &[&Found], wanted: &Found) -> bool {
    list.iter().any(|found| is_same(&found.snapshot, &wanted.snapshot))
}

fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    one.id == other.id
        || (one.time == other.time
            && one.tree == other.tree
            && one.hostname == other.hostname
            && one.paths == other.paths)
}

fn backups(count: usize) -> String {
    if count == 1 { "1 backup".to_owned() } else { format!("{count} backups") }
}

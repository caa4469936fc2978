//! Every operation that is remembered, with the indexes by which pages find some without looking at all.

use crate::request::OperationFilter;
use jiff::Timestamp;
use larder_model::{DatabaseName, Operation, OperationId, OperationKind, OperationStatus};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The grain of what was added, in seconds: every zone's days begin at a quarter of an hour.
const GRAIN_SECONDS: i64 = 15 * 60;

/// The operations by their numbers.
#[derive(Debug, Default)]
pub(crate) struct History {
    all: BTreeMap<OperationId, Operation>,
    /// By the database's name in lower case.
    of_database: HashMap<String, BTreeSet<OperationId>>,
    /// By what they do and how they stand.
    standing: HashMap<(OperationKind, OperationStatus), BTreeSet<OperationId>>,
    /// The bytes that backups added at all destinations, by the quarter of an hour in which they ended.
    added: BTreeMap<i64, u64>,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: OperationId) -> Option<&Operation> {
        self.all.get(&id)
    }

    /// Returns the highest number; 0 where there is none.
    pub(crate) fn last_id(&self) -> OperationId {
        self.all.keys().next_back().copied().unwrap_or(0)
    }

    /// Lists the numbers, the oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = OperationId> {
        self.all.keys().copied()
    }

    /// Enters an operation.
    pub(crate) fn insert(&mut self, operation: Operation) {
        self.remove(operation.id);
        let name = operation.database.as_str().to_lowercase();
        self.of_database.entry(name).or_default().insert(operation.id);
        self.index(&operation);
        self.all.insert(operation.id, operation);
    }

    /// Strikes an operation off.
    pub(crate) fn remove(&mut self, id: OperationId) {
        let Some(operation) = self.all.remove(&id) else { return };
        self.unindex(&operation);
        let name = operation.database.as_str().to_lowercase();
        if let Some(its) = self.of_database.get_mut(&name) {
            its.remove(&id);
            if its.is_empty() {
                self.of_database.remove(&name);
            }
        }
    }

    /// Changes an operation and returns it; its number and its database stay.
    pub(crate) fn change(
        &mut self,
        id: OperationId,
        change: impl FnOnce(&mut Operation),
    ) -> Option<&Operation> {
        let mut operation = self.all.remove(&id)?;
        self.unindex(&operation);
        change(&mut operation);
        self.index(&operation);
        Some(self.all.entry(id).or_insert(operation))
    }

    fn index(&mut self, operation: &Operation) {
        self.standing.entry((operation.kind, operation.status)).or_default().insert(operation.id);
        if let Some((grain, bytes)) = addition(operation) {
            *self.added.entry(grain).or_default() += bytes;
        }
    }

    fn unindex(&mut self, operation: &Operation) {
        if let Some(alike) = self.standing.get_mut(&(operation.kind, operation.status)) {
            alike.remove(&operation.id);
        }
        if let Some((grain, bytes)) = addition(operation)
            && let Some(added) = self.added.get_mut(&grain)
        {
            *added = added.saturating_sub(bytes);
            if *added == 0 {
                self.added.remove(&grain);
            }
        }
    }

    /// Lists operations, the newest first.
    pub(crate) fn list(&self, filter: &OperationFilter) -> Vec<Operation> {
        let most = filter.limit.unwrap_or(usize::MAX);
        let fits = |kind: OperationKind, status: OperationStatus| {
            filter.kind.is_none_or(|wanted| wanted == kind)
                && filter.status.is_none_or(|wanted| wanted == status)
        };
        if let Some(name) = &filter.database {
            let its = self.of_database(name).filter(|one| fits(one.kind, one.status));
            return its.take(most).cloned().collect();
        }
        if filter.kind.is_none() && filter.status.is_none() {
            return self.all.values().rev().take(most).cloned().collect();
        }
        let alike = self.standing.iter().filter(|((kind, status), _)| fits(*kind, *status));
        let mut ids: Vec<OperationId> =
            alike.flat_map(|(_, ids)| ids.iter().rev().take(most).copied()).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(most);
        ids.iter().filter_map(|id| self.all.get(id)).cloned().collect()
    }

    /// The operations of a database, the newest first; upper and lower case count as the same.
    fn of_database(&self, name: &str) -> impl Iterator<Item = &Operation> {
        let ids = self.of_database.get(&name.to_lowercase());
        ids.into_iter().flatten().rev().filter_map(|id| self.all.get(id))
    }

    /// Lists the last backups of a database that have ended, the oldest first.
    pub(crate) fn ended_backups(&self, database: &DatabaseName, most: usize) -> Vec<Operation> {
        let ended = |one: &&Operation| one.kind == OperationKind::Backup && one.status.is_final();
        let newest = self.of_database(database.as_str()).filter(ended);
        let mut backups: Vec<Operation> = newest.take(most).cloned().collect();
        backups.reverse();
        backups
    }

    /// Lists the bytes that backups added since a moment, each with the beginning of its quarter of an hour.
    pub(crate) fn added_since(&self, since: Timestamp) -> Vec<(Timestamp, u64)> {
        let from = since.as_second().div_euclid(GRAIN_SECONDS);
        let moment = |grain: i64| Timestamp::from_second(grain * GRAIN_SECONDS).ok();
        self.added.range(from..).filter_map(|(grain, bytes)| Some((moment(*grain)?, *bytes))).collect()
    }
}

/// Returns what a backup added and when, where it has ended and added anything.
fn addition(operation: &Operation) -> Option<(i64, u64)> {
    let ended = operation.ended.filter(|_| operation.kind == OperationKind::Backup)?;
    let bytes = match operation.destinations.is_empty() {
        true => operation.progress.bytes_stored,
        false => operation.destinations.iter().map(|one| one.bytes_stored).sum(),
    };
    (bytes > 0).then(|| (ended.as_second().div_euclid(GRAIN_SECONDS), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::operation::Progress;

    fn operation(id: OperationId, database: &str, status: OperationStatus) -> Operation {
        Operation {
            id,
            kind: if id.is_multiple_of(5) { OperationKind::Verify } else { OperationKind::Backup },
            backup_kind: None,
            database: database.parse().unwrap(),
            engine: None,
            task: None,
            task_uid: None,
            status,
            created: Timestamp::UNIX_EPOCH,
            started: None,
            ended: status.is_final().then(|| Timestamp::from_second(id.cast_signed() * 1000).unwrap()),
            progress: Progress { bytes_stored: 10, ..Progress::default() },
            messages: Vec::new(),
            error: None,
            unchanged: false,
            destinations: Vec::new(),
        }
    }

    fn history() -> History {
        let mut history = History::default();
        for id in 1..=20 {
            let status = if id % 3 == 0 { OperationStatus::Faulted } else { OperationStatus::Completed };
            history.insert(operation(id, if id % 2 == 0 { "even" } else { "Odd" }, status));
        }
        history.insert(operation(21, "even", OperationStatus::InProgress));
        history
    }

    fn ids(found: &[Operation]) -> Vec<OperationId> {
        found.iter().map(|operation| operation.id).collect()
    }

    #[test]
    fn every_filter_finds_what_a_look_at_all_would_find() {
        let history = history();
        let kinds =
            [None, Some(OperationKind::Backup), Some(OperationKind::Verify), Some(OperationKind::Heal)];
        let statuses = [None, Some(OperationStatus::Faulted), Some(OperationStatus::InProgress)];
        for database in [None, Some("ODD"), Some("even"), Some("nobody")] {
            for kind in kinds {
                for status in statuses {
                    for limit in [None, Some(3)] {
                        let database = database.map(str::to_owned);
                        let filter = OperationFilter { database: database.clone(), kind, status, limit };
                        let all = history.all.values().rev().filter(|one| {
                            database.as_ref().is_none_or(|name| {
                                one.database.as_str().to_lowercase() == name.to_lowercase()
                            }) && kind.is_none_or(|kind| one.kind == kind)
                                && status.is_none_or(|status| one.status == status)
                        });
                        let expected: Vec<_> =
                            all.map(|one| one.id).take(limit.unwrap_or(usize::MAX)).collect();
                        assert_eq!(ids(&history.list(&filter)), expected, "{filter:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_ended_backups_come_oldest_first() {
        let even = "even".parse().unwrap();
        assert_eq!(ids(&history().ended_backups(&even, 3)), [14, 16, 18]);
    }

    #[test]
    fn what_was_added_is_counted_once_and_goes_with_its_operation() {
        let mut history = history();
        let sum = |history: &History| -> u64 {
            history.added_since(Timestamp::UNIX_EPOCH).iter().map(|(_, bytes)| bytes).sum()
        };
        assert_eq!(sum(&history), 160, "16 backups have ended");
        history.change(21, |running| {
            running.status = OperationStatus::Completed;
            running.ended = Some(Timestamp::from_second(30_000).unwrap());
        });
        assert_eq!(sum(&history), 170);
        assert_eq!(history.added_since(Timestamp::from_second(30_000).unwrap()).len(), 1);
        for id in 1..=20 {
            history.remove(id);
        }
        assert_eq!((sum(&history), history.len()), (10, 1));
        assert!(
            history
                .list(&OperationFilter { database: Some("odd".to_owned()), ..Default::default() })
                .is_empty()
        );
    }
}

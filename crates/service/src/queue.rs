//! Which operation starts next: one a database at a time, a limited number at once, longest overdue first.

use jiff::Timestamp;
use larder_model::{DatabaseName, OperationId};
use std::collections::{BTreeMap, HashMap};

/// Work that takes turns with its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Backups.
    Backup,
    /// Verifications and checks: they may take hours, so they hold no backup up.
    Proof,
}

/// What decides when an operation starts: what people ask for first, then the longest overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// Whether the schedule asked for it, and not a person.
    pub(crate) scheduled: bool,
    /// When it should have begun.
    pub(crate) due: Timestamp,
    /// Its number, so that no two turns are the same.
    pub(crate) id: OperationId,
}

/// Why an operation does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It may not start now, whatever else happens.
    NotReady,
    /// Another operation of its database runs.
    Busy(OperationId),
    /// As many run as may.
    Full(usize),
    /// Those before it come first.
    Behind,
}

/// Operations that wait and run; `T` is what is to be done.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: BTreeMap<Turn, (DatabaseName, Lane, T)>,
    turns: HashMap<OperationId, Turn>,
    running: HashMap<OperationId, (DatabaseName, Lane)>,
    busy: HashMap<DatabaseName, OperationId>,
    limit: usize,
}

impl<T> Queue<T> {
    /// Makes an empty queue that starts at most `limit` operations of each lane at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            turns: HashMap::new(),
            running: HashMap::new(),
            busy: HashMap::new(),
            limit: limit.max(1),
        }
    }

    /// Adds an operation at its place.
    pub(crate) fn push(&mut self, turn: Turn, database: DatabaseName, lane: Lane, work: T) {
        self.turns.insert(turn.id, turn);
        self.waiting.insert(turn, (database, lane, work));
    }

    /// Returns how many more may start in a lane.
    pub(crate) fn free_places(&self, lane: Lane) -> usize {
        let running = self.running.values().filter(|(_, other)| *other == lane).count();
        let waiting = self.waiting.values().filter(|(_, other, _)| *other == lane).count();
        self.limit.saturating_sub(running + waiting)
    }

    /// Returns what runs for a database.
    pub(crate) fn busy_with(&self, database: &DatabaseName) -> Option<OperationId> {
        self.busy.get(database).copied()
    }

    fn is_free(&self, lane: Lane) -> bool {
        self.running.values().filter(|(_, other)| *other == lane).count() < self.limit
    }

    /// Takes the next operation that may start, and counts it as running until [`Queue::finished`]. What `ready` says no
    /// to keeps its place.
    pub(crate) fn start_next(&mut self, ready: impl Fn(&T) -> bool) -> Option<(OperationId, T)> {
        let (backup, proof) = (self.is_free(Lane::Backup), self.is_free(Lane::Proof));
        if !backup && !proof {
            return None;
        }
        let may_start = |database: &DatabaseName, lane, work: &T| {
            let free = match lane {
                Lane::Backup => backup,
                Lane::Proof => proof,
            };
            free && !self.busy.contains_key(database) && ready(work)
        };
        let (turn, _) =
            self.waiting.iter().find(|(_, (database, lane, work))| may_start(database, *lane, work))?;
        let turn = *turn;
        let (database, lane, work) = self.waiting.remove(&turn)?;
        self.turns.remove(&turn.id);
        self.busy.insert(database.clone(), turn.id);
        self.running.insert(turn.id, (database, lane));
        Some((turn.id, work))
    }

    /// Takes a waiting operation out of the queue; `None` where it does not wait.
    pub(crate) fn withdraw(&mut self, id: OperationId) -> Option<T> {
        let turn = self.turns.remove(&id)?;
        self.waiting.remove(&turn).map(|(_, _, work)| work)
    }

    /// Notes that an operation has ended, so that its place and its database are free.
    pub(crate) fn finished(&mut self, id: OperationId) {
        if let Some((database, _)) = self.running.remove(&id) {
            self.busy.remove(&database);
        }
    }

    /// Lists what waits, in its order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&Turn, &DatabaseName, &T)> {
        self.waiting.iter().map(|(turn, (database, _, work))| (turn, database, work))
    }

    /// Lists what waits, in its order, each with what holds it.
    pub(crate) fn held(
        &self,
        ready: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = (&Turn, &DatabaseName, &T, Hold)> {
        let (backup, proof) = (self.is_free(Lane::Backup), self.is_free(Lane::Proof));
        self.waiting.iter().map(move |(turn, (database, lane, work))| {
            let free = if *lane == Lane::Backup { backup } else { proof };
            let hold = match self.busy.get(database) {
                _ if !ready(work) => Hold::NotReady,
                Some(other) => Hold::Busy(*other),
                None if !free => Hold::Full(self.limit),
                None => Hold::Behind,
            };
            (turn, database, work, hold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue<()>, id: OperationId, database: &str, due: i64, scheduled: bool, lane: Lane) {
        let due = Timestamp::from_second(due).unwrap();
        queue.push(Turn { scheduled, due, id }, database.parse().unwrap(), lane, ());
    }

    fn started(queue: &mut Queue<()>) -> Vec<OperationId> {
        std::iter::from_fn(|| queue.start_next(|()| true).map(|(id, ())| id)).collect()
    }

    fn holds(queue: &Queue<()>) -> Vec<(OperationId, Hold)> {
        queue.held(|()| true).map(|(turn, _, (), hold)| (turn.id, hold)).collect()
    }

    #[test]
    fn the_longest_overdue_starts_first_and_people_before_all() {
        let mut queue = Queue::new(9);
        push(&mut queue, 1, "a", 300, true, Lane::Backup);
        push(&mut queue, 2, "b", 100, true, Lane::Backup);
        push(&mut queue, 3, "c", 900, false, Lane::Backup);
        assert_eq!(started(&mut queue), [3, 2, 1]);
    }

    #[test]
    fn a_database_has_one_operation_at_a_time_and_others_pass_it() {
        let mut queue = Queue::new(9);
        push(&mut queue, 1, "a", 100, true, Lane::Backup);
        push(&mut queue, 2, "a", 200, true, Lane::Backup);
        push(&mut queue, 3, "a", 200, true, Lane::Proof);
        push(&mut queue, 4, "b", 300, true, Lane::Backup);
        assert_eq!(started(&mut queue), [1, 4]);
        assert_eq!(holds(&queue), [(2, Hold::Busy(1)), (3, Hold::Busy(1))]);
        queue.finished(1);
        assert_eq!(started(&mut queue), [2]);
        queue.finished(2);
        assert_eq!(started(&mut queue), [3]);
    }

    #[test]
    fn no_more_run_at_once_than_are_allowed_and_proofs_hold_no_backup_up() {
        let mut queue = Queue::new(2);
        for id in 1..=4 {
            push(&mut queue, id, &format!("db{id}"), 100, true, Lane::Backup);
        }
        push(&mut queue, 5, "db5", 100, true, Lane::Proof);
        assert_eq!(started(&mut queue), [1, 2, 5]);
        assert_eq!(holds(&queue), [(3, Hold::Full(2)), (4, Hold::Full(2))]);
        queue.finished(5);
        assert_eq!(started(&mut queue), [0; 0]);
        queue.finished(2);
        assert_eq!(started(&mut queue), [3]);
    }

    #[test]
    fn what_is_not_ready_keeps_its_place_and_holds_nobody_up() {
        let mut queue = Queue::new(2);
        push(&mut queue, 1, "a", 100, true, Lane::Backup);
        assert!(queue.start_next(|()| false).is_none());
        assert!(queue.held(|()| false).all(|(_, _, (), hold)| hold == Hold::NotReady));
        assert_eq!(started(&mut queue), [1]);
    }

    #[test]
    fn what_waits_can_be_withdrawn_and_what_runs_cannot() {
        let mut queue = Queue::new(1);
        push(&mut queue, 1, "a", 100, true, Lane::Backup);
        push(&mut queue, 2, "b", 100, true, Lane::Backup);
        assert_eq!(started(&mut queue), [1]);
        assert!(queue.withdraw(1).is_none());
        assert!(queue.withdraw(2).is_some());
        queue.finished(1);
        assert_eq!(started(&mut queue), [0; 0]);
    }
}

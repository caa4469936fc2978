//! What runs when: every task of every database by its next moment.

use crate::identity::TaskKey;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// Keeps the next moment of each task; looking at what is due costs only what is due.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Timestamp, TaskKey)>,
    times: HashMap<TaskKey, Timestamp>,
}

impl Agenda {
    /// Sets a task's next moment, or strikes it off.
    pub(crate) fn set(&mut self, key: &TaskKey, time: Option<Timestamp>) {
        if let Some(old) = self.times.remove(key) {
            self.by_time.remove(&(old, key.clone()));
        }
        if let Some(time) = time {
            self.times.insert(key.clone(), time);
            self.by_time.insert((time, key.clone()));
        }
    }

    /// Takes out everything that is due, longest overdue first.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, TaskKey)> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(time, _)| *time <= now) {
            if let Some((time, key)) = self.by_time.pop_first() {
                self.times.remove(&key);
                due.push((time, key));
            }
        }
        due
    }

    /// Returns the next moment of any task.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Strikes everything off.
    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.times.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(database: &str) -> TaskKey {
        TaskKey { database: database.parse().unwrap(), task: 7 }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_due_comes_out_once_longest_overdue_first() {
        let mut agenda = Agenda::default();
        agenda.set(&key("a"), Some(at(30)));
        agenda.set(&key("b"), Some(at(10)));
        agenda.set(&key("c"), Some(at(50)));
        agenda.set(&key("b"), Some(at(20)));
        assert_eq!(agenda.next(), Some(at(20)));
        assert_eq!(agenda.take_due(at(30)), [(at(20), key("b")), (at(30), key("a"))]);
        assert_eq!(agenda.take_due(at(30)), []);
        agenda.set(&key("c"), None);
        assert_eq!(agenda.next(), None);
    }
}

//! What runs when: every task of every database by its next moment.

use crate::identity::TaskKey;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// Keeps the next moment of each task; looking at what is due costs only what is due.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Timestamp, TaskKey)>,
    times: HashMap<TaskKey, Timestamp>,
    /// How many runs are planned in each minute.
    load: HashMap<i64, u32>,
}

fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

impl Agenda {
    /// Sets a task's next moment, or strikes it off.
    pub(crate) fn set(&mut self, key: &TaskKey, time: Option<Timestamp>) {
        if self.times.get(key).copied() == time {
            return;
        }
        if let Some(old) = self.times.remove(key) {
            self.by_time.remove(&(old, key.clone()));
            self.lighten(old);
        }
        if let Some(time) = time {
            self.times.insert(key.clone(), time);
            self.by_time.insert((time, key.clone()));
            *self.load.entry(minute_of(time)).or_default() += 1;
        }
    }

    /// Takes out everything that is due, longest overdue first.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, TaskKey)> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(time, _)| *time <= now) {
            if let Some((time, key)) = self.by_time.pop_first() {
                self.times.remove(&key);
                self.lighten(time);
                due.push((time, key));
            }
        }
        due
    }

    /// Returns a task's next moment.
    pub(crate) fn time_of(&self, key: &TaskKey) -> Option<Timestamp> {
        self.times.get(key).copied()
    }

    /// Returns how many runs are planned in the minute of a moment.
    pub(crate) fn load_at(&self, time: Timestamp) -> u32 {
        self.load.get(&minute_of(time)).copied().unwrap_or(0)
    }

    /// Returns the next moment of any task.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Strikes everything off.
    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.times.clear();
        self.load.clear();
    }

    fn lighten(&mut self, time: Timestamp) {
        let minute = minute_of(time);
        if let Some(load) = self.load.get_mut(&minute) {
            *load -= 1;
            if *load == 0 {
                self.load.remove(&minute);
            }
        }
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

    #[test]
    fn it_knows_how_much_is_planned_in_each_minute() {
        let mut agenda = Agenda::default();
        for (database, second) in [("a", 60), ("b", 119), ("c", 120)] {
            agenda.set(&key(database), Some(at(second)));
        }
        assert_eq!((agenda.load_at(at(80)), agenda.load_at(at(130)), agenda.load_at(at(10))), (2, 1, 0));
        agenda.set(&key("b"), Some(at(125)));
        assert_eq!((agenda.load_at(at(80)), agenda.load_at(at(130))), (1, 2));
        agenda.take_due(at(124));
        assert_eq!((agenda.load_at(at(80)), agenda.load_at(at(130))), (0, 1));
        assert_eq!(agenda.time_of(&key("b")), Some(at(125)));
    }
}

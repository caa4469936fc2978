//! Which repository's upkeep comes next.

use super::record::Upkeep;
use crate::record::StoredPlace;
use jiff::Timestamp;
use larder_model::DatabaseName;
use std::collections::{BTreeMap, BTreeSet};

/// Every repository's upkeep by its next moment; looking at what is due costs only what is due.
#[derive(Debug, Default)]
pub(crate) struct Rota {
    /// Whether parts are read.
    reads: bool,
    all: BTreeMap<StoredPlace, Upkeep>,
    times: BTreeMap<StoredPlace, Timestamp>,
    by_time: BTreeSet<(Timestamp, StoredPlace)>,
    /// Places whose operation waits or runs: whatever else changes there, nothing more is begun.
    under_way: BTreeSet<StoredPlace>,
}

impl Rota {
    /// Makes an empty one; parts are read only where `reads` says so.
    pub(crate) const fn new(reads: bool) -> Self {
        Self {
            reads,
            all: BTreeMap::new(),
            times: BTreeMap::new(),
            by_time: BTreeSet::new(),
            under_way: BTreeSet::new(),
        }
    }

    /// Enters what is to be done at a place, in the place of what was.
    pub(crate) fn set(&mut self, upkeep: Upkeep) {
        if !self.under_way.contains(&upkeep.place) {
            self.appoint(&upkeep.place, upkeep.next(self.reads));
        }
        self.all.insert(upkeep.place.clone(), upkeep);
    }

    /// Notes that what was taken for a place has ended: it comes up again at its next moment.
    pub(crate) fn ended(&mut self, place: &StoredPlace) {
        self.under_way.remove(place);
        let next = self.all.get(place).and_then(|upkeep| upkeep.next(self.reads));
        self.appoint(place, next);
    }

    /// Puts a place for which nothing could be begun back at a moment.
    pub(crate) fn put_back(&mut self, place: &StoredPlace, time: Timestamp) {
        self.under_way.remove(place);
        self.appoint(place, Some(time));
    }

    /// Takes out everything that is due; each comes back with [`Rota::ended`] or [`Rota::put_back`].
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<Upkeep> {
        let mut due = Vec::new();
        while self.by_time.first().is_some_and(|(time, _)| *time <= now) {
            if let Some((_, place)) = self.by_time.pop_first() {
                self.times.remove(&place);
                due.extend(self.all.get(&place).cloned());
                self.under_way.insert(place);
            }
        }
        due
    }

    /// Returns the next moment of any place.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Returns what is known of a place.
    pub(crate) fn get(&self, place: &StoredPlace) -> Option<&Upkeep> {
        self.all.get(place)
    }

    /// Returns the newest damage that is known of a database's repositories, and when it was found.
    pub(crate) fn damage_of(&self, database: &DatabaseName) -> Option<(Timestamp, &str)> {
        let first = StoredPlace { database: database.clone(), root: String::new() };
        let its = self.all.range(first..).take_while(|(place, _)| place.database == *database);
        let damage = its.filter_map(|(_, upkeep)| upkeep.damage.as_ref()).max_by_key(|damage| damage.at);
        damage.map(|damage| (damage.at, damage.sentence.as_str()))
    }

    fn appoint(&mut self, place: &StoredPlace, time: Option<Timestamp>) {
        if let Some(old) = self.times.remove(place) {
            self.by_time.remove(&(old, place.clone()));
        }
        if let Some(time) = time {
            self.times.insert(place.clone(), time);
            self.by_time.insert((time, place.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn upkeep(root: &str, due: i64, prune_due: Option<i64>) -> Upkeep {
        let place = StoredPlace { database: "shop".parse().unwrap(), root: root.to_owned() };
        let prune_due = prune_due.map(at);
        Upkeep { due: at(due), prune_due, ..Upkeep::begin(place, 30, at(0)) }
    }

    fn roots(due: &[Upkeep]) -> Vec<&str> {
        due.iter().map(|upkeep| upkeep.place.root.as_str()).collect()
    }

    #[test]
    fn what_is_due_comes_out_once_and_comes_back_when_it_is_set() {
        let mut rota = Rota::new(true);
        rota.set(upkeep("/a", 30, None));
        rota.set(upkeep("/b", 90, Some(20)));
        rota.set(upkeep("/c", 50, None));
        let due = rota.take_due(at(30));
        assert_eq!(roots(&due), ["/b", "/a"]);
        assert_eq!(rota.take_due(at(30)), []);
        rota.set(upkeep("/a", 40, None));
        assert_eq!(rota.next(), Some(at(50)), "what is under way is not begun once more");
        rota.ended(&due[1].place);
        rota.put_back(&due[0].place, at(35));
        assert_eq!(rota.next(), Some(at(35)));
        assert_eq!(roots(&rota.take_due(at(60))), ["/b", "/a", "/c"]);
    }

    #[test]
    fn where_nothing_is_read_only_what_was_retired_comes_up() {
        let mut rota = Rota::new(false);
        rota.set(upkeep("/a", 30, None));
        rota.set(upkeep("/b", 90, Some(200)));
        assert_eq!(rota.next(), Some(at(200)));
    }
}

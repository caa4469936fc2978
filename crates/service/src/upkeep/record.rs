//! What is remembered of the upkeep of one repository: which part of it is read next, and when.

use crate::record::StoredPlace;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A part is read each day, so a round of so many parts takes so many days.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What was late does not bring the next part forward further than this: after a long silence there is no burst.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_hours(12);

/// Damage that a part was found to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FoundDamage {
    /// The part, from 1.
    pub(crate) part: u32,
    /// When it was found.
    pub(crate) at: Timestamp,
    /// What is wrong, in one sentence.
    pub(crate) sentence: String,
}

/// The upkeep of the repository of one database at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Upkeep {
    /// Where it is.
    pub(crate) place: StoredPlace,
    /// How many parts this round has.
    pub(crate) parts: u32,
    /// The part that is read next, from 1.
    pub(crate) next_part: u32,
    /// When that part is due.
    pub(crate) due: Timestamp,
    /// When the first part of this round was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round_began: Option<Timestamp>,
    /// When the last round ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round_ended: Option<Timestamp>,
    /// When the last part was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_read: Option<Timestamp>,
    /// The newest damage, until the same part is found right or the repository was repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) damage: Option<FoundDamage>,
    /// When packs that a prune retired may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prune_due: Option<Timestamp>,
}

impl Upkeep {
    /// Begins: the first part is due within a day, at an hour of that repository's own.
    pub(crate) fn begin(place: StoredPlace, parts: u32, now: Timestamp) -> Self {
        let name = format!("{}/{}", place.database, place.root);
        Self {
            due: after(now, larder_schedule::spread(&name, DAY)),
            place,
            parts,
            next_part: 1,
            round_began: None,
            round_ended: None,
            last_read: None,
            damage: None,
            prune_due: None,
        }
    }

    /// Takes over how many parts a round is to have; another number begins a new round.
    pub(crate) fn settle_parts(&mut self, parts: u32) {
        if self.parts != parts {
            self.parts = parts;
            self.next_part = 1;
            self.round_began = None;
        }
    }

    /// Returns when something is to be done; parts are read only where `reads` says so.
    pub(crate) fn next(&self, reads: bool) -> Option<Timestamp> {
        let read = reads.then_some(self.due);
        read.into_iter().chain(self.prune_due).min()
    }

    /// Notes that the part whose turn it was has been read, and what is wrong with it.
    pub(crate) fn read(&mut self, now: Timestamp, wrong: Option<String>) {
        let part = self.next_part;
        self.round_began = self.round_began.filter(|_| part > 1).or(Some(now));
        self.last_read = Some(now);
        if part >= self.parts {
            self.round_ended = Some(now);
            self.next_part = 1;
        } else {
            self.next_part = part + 1;
        }
        match wrong {
            Some(sentence) => self.damage = Some(FoundDamage { part, at: now, sentence }),
            None if self.damage.as_ref().is_some_and(|damage| damage.part == part) => self.damage = None,
            None => {}
        }
        self.due = after(self.due, DAY).max(after(now, LEAST_PAUSE));
    }
}

/// Returns a moment so much later, or the last there is.
pub(crate) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        after("2026-05-13T00:00:00Z".parse().unwrap(), SignedDuration::from_hours(hour))
    }

    fn upkeep(parts: u32) -> Upkeep {
        let place = StoredPlace { database: "shop".parse().unwrap(), root: "/srv/backups".to_owned() };
        Upkeep { due: at(0), ..Upkeep::begin(place, parts, at(0)) }
    }

    #[test]
    fn a_round_of_so_many_parts_takes_so_many_days_and_then_the_next_begins() {
        let mut upkeep = upkeep(3);
        for day in 0..7_i64 {
            assert_eq!((upkeep.due, i64::from(upkeep.next_part)), (at(24 * day), day % 3 + 1));
            upkeep.read(at(24 * day + 1), None);
        }
        assert_eq!((upkeep.round_began, upkeep.round_ended), (Some(at(24 * 6 + 1)), Some(at(24 * 5 + 1))));
    }

    #[test]
    fn after_a_long_silence_parts_come_no_closer_than_half_a_day() {
        let mut upkeep = upkeep(30);
        upkeep.read(at(1000), None);
        assert_eq!((upkeep.due, upkeep.next_part), (at(1012), 2));
        upkeep.read(at(1012), None);
        assert_eq!(upkeep.due, at(1036));
    }

    #[test]
    fn damage_is_remembered_until_the_same_part_is_right() {
        let mut upkeep = upkeep(2);
        upkeep.read(at(0), Some("a pack is gone".to_owned()));
        upkeep.read(at(24), None);
        assert_eq!(upkeep.damage.as_ref().map(|damage| damage.part), Some(1));
        upkeep.read(at(48), None);
        assert_eq!(upkeep.damage, None);
    }

    #[test]
    fn another_number_of_days_begins_a_new_round() {
        let mut upkeep = upkeep(5);
        upkeep.read(at(0), None);
        upkeep.settle_parts(5);
        assert_eq!(upkeep.next_part, 2);
        upkeep.settle_parts(7);
        assert_eq!((upkeep.next_part, upkeep.parts, upkeep.round_began), (1, 7, None));
    }

    #[test]
    fn the_first_part_is_due_within_a_day() {
        let place = |root: &str| StoredPlace { database: "shop".parse().unwrap(), root: root.to_owned() };
        let dues: Vec<_> = ["/a", "/b", "/c"].map(|root| Upkeep::begin(place(root), 9, at(0)).due).into();
        assert!(dues.iter().all(|due| (at(0)..at(24)).contains(due)), "{dues:?}");
        assert!(dues[0] != dues[1] && dues[1] != dues[2]);
    }
}

//! Which rule keeps which backup.

use super::policy::{Calendar, Limit, Policy};
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupId;
use larder_model::task::Periodicity;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

/// One backup that the policy may speak about: made by this installation, for this database and task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: BackupId,
    /// When it was begun.
    pub time: Timestamp,
    /// Whether it counts as good: complete, and not found to differ.
    pub good: bool,
    /// What it was made as.
    pub periodicities: BTreeSet<Periodicity>,
    /// The backup it cannot be restored without.
    pub needs: Option<BackupId>,
}

/// Why a backup is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Keep {
    /// The newest backup is not good: while backups fail, the old ones are all there is.
    NewestIsNotGood,
    /// It is among the good ones that are kept in any case.
    MinimumBackups,
    /// It is younger than the minimum age.
    Age,
    /// It is among the last.
    Last,
    /// It is the newest of its hour, day, week, month or year.
    Calendar(Calendar),
    /// The rule for backups of its periodicity.
    Periodicity(Periodicity),
    /// No rule speaks about backups like it.
    NoRule,
    /// A backup that is kept cannot be restored without it.
    Needed,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestIsNotGood => f.write_str("the newest backup is not good"),
            Self::MinimumBackups => f.write_str("one of the minimum of good backups"),
            Self::Age => f.write_str("younger than the minimum age"),
            Self::Last => f.write_str("one of the last"),
            Self::Calendar(unit) => write!(f, "the newest of its {unit}"),
            Self::Periodicity(periodicity) => write!(f, "kept as {periodicity:?}"),
            Self::NoRule => f.write_str("no rule speaks about it"),
            Self::Needed => f.write_str("another backup needs it"),
        }
    }
}

/// What is to become of one backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The backup.
    pub id: BackupId,
    /// When it was begun.
    pub time: Timestamp,
    /// Every rule that keeps it, none where it may go.
    pub keep: Vec<Keep>,
}

/// Says for each backup which rules keep it, the newest first.
///
/// Only good backups use up a rule's number; where an hour, a day or a periodicity has none that is good, the newest of
/// it is kept in its place. While the newest backup of all is not good, everything is kept.
#[must_use]
pub fn judge(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<Judgement> {
    let mut newest_first: Vec<&Candidate> = candidates.iter().collect();
    newest_first.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id)));
    let mut bench = Bench { reasons: vec![BTreeSet::new(); newest_first.len()], candidates: newest_first };
    if bench.candidates.first().is_some_and(|newest| !newest.good) {
        bench.keep_where(&Keep::NewestIsNotGood, |_| true);
    }
    bench.keep_newest(
        &Keep::MinimumBackups,
        policy.minimum_backups.max(1),
        |c| c.good,
        |index, _| as_key(index),
    );
    if let Some(age) = policy.minimum_age {
        bench.keep_where(&Keep::Age, |candidate| is_younger(candidate, age, now));
    }
    if let Some(count) = policy.last {
        bench.keep_newest(&Keep::Last, count, |_| true, |index, _| as_key(index));
    }
    for (unit, count) in &policy.calendar {
        let key = |_, candidate: &Candidate| unit.number(policy.zone.to_datetime(candidate.time));
        bench.keep_newest(&Keep::Calendar(*unit), *count, |_| true, key);
    }
    for (periodicity, limit) in &policy.periodicities {
        let (reason, of_it) =
            (Keep::Periodicity(*periodicity), |c: &Candidate| c.periodicities.contains(periodicity));
        match limit {
            Limit::Count(count) => bench.keep_newest(&reason, *count, of_it, |index, _| as_key(index)),
            Limit::Age(age) => bench.keep_where(&reason, |c| of_it(c) && is_younger(c, *age, now)),
        }
    }
    if !policy.is_general() {
        bench.keep_where(&Keep::NoRule, |candidate| {
            let ruled = |periodicity| policy.periodicities.contains_key(periodicity);
            candidate.periodicities.is_empty() || !candidate.periodicities.iter().all(ruled)
        });
    }
    bench.keep_needed();
    bench.judgements()
}

/// Returns what may be removed, oldest first.
#[must_use]
pub fn removable(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<BackupId> {
    let judged = judge(candidates, policy, now);
    judged.into_iter().rev().filter(|one| one.keep.is_empty()).map(|one| one.id).collect()
}

fn as_key(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// An age that reaches back before the calendar's beginning keeps everything.
fn is_younger(candidate: &Candidate, age: Duration, now: Timestamp) -> bool {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).map_or(true, |horizon| candidate.time > horizon)
}

/// The backups, the newest first, with the reasons found so far.
struct Bench<'a> {
    candidates: Vec<&'a Candidate>,
    reasons: Vec<BTreeSet<Keep>>,
}

impl Bench<'_> {
    fn keep_where(&mut self, reason: &Keep, wanted: impl Fn(&Candidate) -> bool) {
        for (candidate, reasons) in self.candidates.iter().zip(&mut self.reasons) {
            if wanted(candidate) {
                reasons.insert(reason.clone());
            }
        }
    }

    /// Keeps one of each group, of `count` groups that have a good one: the newest good, or else the newest.
    fn keep_newest(
        &mut self,
        reason: &Keep,
        count: u32,
        among: impl Fn(&Candidate) -> bool,
        group: impl Fn(usize, &Candidate) -> i64,
    ) {
        let mut left = count;
        let mut begin = 0;
        let indices: Vec<usize> =
            (0..self.candidates.len()).filter(|index| among(self.candidates[*index])).collect();
        while left > 0 && begin < indices.len() {
            let key = group(indices[begin], self.candidates[indices[begin]]);
            let of_group = |index: &&usize| group(**index, self.candidates[**index]) == key;
            let length = indices[begin..].iter().take_while(of_group).count();
            let members = &indices[begin..begin + length];
            let good = members.iter().find(|index| self.candidates[**index].good);
            if let Some(kept) = good.or(members.first()) {
                self.reasons[*kept].insert(reason.clone());
            }
            left -= u32::from(good.is_some());
            begin += length;
        }
    }

    /// Keeps what a kept backup needs, and what that needs.
    fn keep_needed(&mut self) {
        let numbers: HashMap<&BackupId, usize> =
            self.candidates.iter().enumerate().map(|(number, candidate)| (&candidate.id, number)).collect();
        let mut seen = HashSet::new();
        let mut open: Vec<usize> =
            (0..self.reasons.len()).filter(|number| !self.reasons[*number].is_empty()).collect();
        while let Some(number) = open.pop() {
            let needed = self.candidates[number].needs.as_ref().and_then(|id| numbers.get(id));
            if let Some(needed) = needed.filter(|needed| seen.insert(**needed)) {
                self.reasons[*needed].insert(Keep::Needed);
                open.push(*needed);
            }
        }
    }

    fn judgements(self) -> Vec<Judgement> {
        let pairs = self.candidates.into_iter().zip(self.reasons);
        pairs
            .map(|(candidate, keep)| Judgement {
                id: candidate.id.clone(),
                time: candidate.time,
                keep: keep.into_iter().collect(),
            })
            .collect()
    }
}

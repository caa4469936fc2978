//! Retention once more, in the plainest words, to judge the decision over random policies and histories.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupId;
use larder_model::task::Periodicity;
use larder_service::retention::{Calendar, Candidate, Limit, Policy, judge, removable};
use larder_testbed::Random;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

const PERIODICITIES: [Periodicity; 7] = [
    Periodicity::Hourly,
    Periodicity::Daily,
    Periodicity::Weekly,
    Periodicity::Monthly,
    Periodicity::Bimonthly,
    Periodicity::Shutdown,
    Periodicity::Manual,
];

/// Says whether a backup stays, from the definition: it counts, for one backup at a time, what stands above it.
fn stays(all: &[Candidate], one: &Candidate, policy: &Policy, now: Timestamp) -> bool {
    let rank = |c: &Candidate| (c.time, c.id.clone());
    let newer = |c: &&Candidate| rank(c) > rank(one);
    let young = |age: Duration| now.duration_since(one.time) < SignedDuration::try_from(age).unwrap();
    // One of each group: the newest good one, or where there is none the newest; of the `count` newest groups with a good one.
    let first_of = |group: &dyn Fn(&Candidate) -> Option<String>, count: u32| {
        let Some(own) = group(one) else { return false };
        let same = |c: &&Candidate| group(c).as_ref() == Some(&own);
        let good_in_it = all.iter().filter(same).any(|c| c.good);
        let beaten =
            all.iter().filter(same).filter(newer).any(|c| c.good == one.good) || (!one.good && good_in_it);
        let later: HashSet<String> = all.iter().filter(newer).filter(|c| c.good).filter_map(group).collect();
        !beaten && later.iter().filter(|other| **other != own).count() < count as usize
    };
    let format = |unit: &Calendar| match unit {
        Calendar::Hour => "%Y %j %H",
        Calendar::Day => "%Y %j",
        Calendar::Week => "%G %V",
        Calendar::Month => "%Y %m",
        Calendar::Year => "%Y",
    };
    let each = |c: &Candidate| Some(c.id.0.clone());
    let by_periodicity = |(periodicity, limit): (&Periodicity, &Limit)| {
        one.periodicities.contains(periodicity)
            && match limit {
                Limit::Age(age) => young(*age),
                Limit::Count(count) => {
                    first_of(&|c| c.periodicities.contains(periodicity).then(|| c.id.0.clone()), *count)
                }
            }
    };
    let unruled = one.periodicities.iter().any(|p| !policy.periodicities.contains_key(p));
    let general = policy.minimum_age.is_some() || policy.last.is_some() || !policy.calendar.is_empty();
    all.iter().max_by_key(|c| rank(c)).is_some_and(|newest| !newest.good)
        || (one.good
            && all.iter().filter(newer).filter(|c| c.good).count() < policy.minimum_backups.max(1) as usize)
        || policy.minimum_age.is_some_and(young)
        || policy.last.is_some_and(|count| first_of(&each, count))
        || policy
            .calendar
            .iter()
            .any(|(unit, count)| first_of(&|c| Some(c.time.strftime(format(unit)).to_string()), *count))
        || policy.periodicities.iter().any(by_periodicity)
        || (!general && (one.periodicities.is_empty() || unruled))
        || all.iter().any(|c| c.needs.as_ref() == Some(&one.id) && stays(all, c, policy, now))
}

fn count(random: &mut Random, below: u64) -> u32 {
    u32::try_from(random.below(below)).unwrap()
}

fn some<T>(random: &mut Random, one_in: u64, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(one_in) == 0).then(|| value(random))
}

fn history(random: &mut Random, now: Timestamp) -> Vec<Candidate> {
    let span_hours = [72, 24 * 60, 24 * 800][usize::try_from(random.below(3)).unwrap()];
    let mut candidates: Vec<Candidate> = Vec::new();
    for number in 0..random.below(14) {
        let time = now - SignedDuration::from_mins((random.below(span_hours * 60)).cast_signed() - 90);
        let tags = PERIODICITIES.into_iter().filter(|_| random.below(5) == 0);
        let periodicities: BTreeSet<Periodicity> = tags.collect();
        let needs = (number > 0 && random.below(6) == 0).then(|| BackupId(random.below(number).to_string()));
        let good = random.below(5) > 0;
        candidates.push(Candidate { id: BackupId(number.to_string()), time, good, periodicities, needs });
    }
    candidates
}

fn policy(random: &mut Random) -> Policy {
    let days = |random: &mut Random| Duration::from_secs((1 + random.below(40)) * 86_400);
    let calendar =
        Calendar::ALL.into_iter().filter_map(|unit| some(random, 3, |r| (unit, 1 + count(r, 6)))).collect();
    let periodicities = PERIODICITIES.into_iter().filter_map(|periodicity| {
        some(random, 4, |r| {
            (periodicity, if r.below(2) == 0 { Limit::Count(count(r, 5)) } else { Limit::Age(days(r)) })
        })
    });
    let periodicities = periodicities.collect();
    Policy {
        minimum_age: some(random, 3, days),
        last: some(random, 3, |r| 1 + count(r, 6)),
        calendar,
        periodicities,
        minimum_backups: count(random, 4),
        zone: TimeZone::UTC,
    }
}

/// Compares the decision with the model over so many random cases.
pub(crate) fn compare(cases: u64, seed: u64) {
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let mut random = Random::new(seed);
    let (mut kept, mut gone_in_all) = (0_u64, 0_u64);
    for _ in 0..cases {
        let candidates = history(&mut random, now);
        let policy = policy(&mut random);
        let gone: HashSet<BackupId> = removable(&candidates, &policy, now).into_iter().collect();
        let judged = judge(&candidates, &policy, now);
        assert_eq!(judged.len(), candidates.len());
        for candidate in &candidates {
            let expected = stays(&candidates, candidate, &policy, now);
            let found = !gone.contains(&candidate.id);
            assert_eq!(found, expected, "{candidate:?} of {candidates:#?} by {policy:#?}");
            let chain_holds =
                gone.contains(&candidate.id) || candidate.needs.as_ref().is_none_or(|id| !gone.contains(id));
            assert!(chain_holds, "a backup that is kept lost what it needs: {candidate:?}");
            if found { kept += 1 } else { gone_in_all += 1 }
        }
        let good = candidates.iter().filter(|c| c.good).count();
        let left = candidates.iter().filter(|c| c.good && !gone.contains(&c.id)).count();
        assert!(
            left >= good.min(policy.minimum_backups.max(1) as usize),
            "below the minimum of good backups"
        );
    }
    assert!(
        kept > cases && gone_in_all > cases / 2,
        "the cases are worth something: {kept} kept, {gone_in_all} gone"
    );
}

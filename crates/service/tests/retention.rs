//! What retention keeps, and by which rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod oracle;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::task::{self, PeriodicBackupConfiguration, Periodicity, RetentionPolicy};
use larder_model::{BackupId, TimeSpan};
use larder_schedule::time_zone;
use larder_service::retention::{Calendar, Candidate, Keep, Limit, Policy, judge, removable};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const DAY: u64 = 86_400;

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn backup(age_days: i64, good: bool) -> Candidate {
    let time = now() - SignedDuration::from_hours(age_days * 24);
    let id = BackupId(format!("{age_days:04}"));
    Candidate { id, time, good, periodicities: BTreeSet::new(), needs: None }
}

fn none() -> Policy {
    Policy {
        minimum_age: None,
        last: None,
        calendar: BTreeMap::new(),
        periodicities: BTreeMap::new(),
        minimum_backups: 1,
        zone: TimeZone::UTC,
    }
}

fn aged(days: u64, minimum_backups: u32) -> Policy {
    Policy { minimum_age: Some(Duration::from_secs(days * DAY)), minimum_backups, ..none() }
}

fn removed(candidates: &[Candidate], policy: &Policy) -> Vec<String> {
    removable(candidates, policy, now()).into_iter().map(|id| id.0).collect()
}

fn kept(candidates: &[Candidate], policy: &Policy) -> Vec<String> {
    let judged = judge(candidates, policy, now());
    judged.into_iter().filter(|one| !one.keep.is_empty()).map(|one| one.id.0).collect()
}

#[test]
fn what_is_older_than_the_age_goes_but_for_the_minimum() {
    let daily: Vec<_> = (0..10).map(|age| backup(age, true)).collect();
    assert_eq!(removed(&daily, &aged(7, 3)), ["0009", "0008", "0007"]);
    assert_eq!(removed(&daily, &aged(1, 3)), ["0009", "0008", "0007", "0006", "0005", "0004", "0003"]);
    assert_eq!(removed(&daily, &aged(1, 30)), [""; 0]);
}

#[test]
fn only_good_backups_count_for_the_minimum() {
    let mixed = [backup(0, true), backup(8, false), backup(9, true), backup(10, false), backup(11, true)];
    assert_eq!(removed(&mixed, &aged(7, 3)), ["0010", "0008"]);
}

#[test]
fn nothing_goes_while_the_newest_backup_is_not_good() {
    let failing: Vec<_> = (0..20).map(|age| backup(age, age > 0)).collect();
    assert_eq!(removed(&failing, &aged(1, 1)), [""; 0]);
    assert_eq!(removed(&[], &aged(1, 1)), [""; 0]);
    let judged = judge(&failing, &aged(1, 1), now());
    assert!(judged.iter().all(|one| one.keep.contains(&Keep::NewestIsNotGood)));
}

#[test]
fn a_backup_from_the_future_is_kept() {
    let skewed = [backup(-3, true), backup(0, true), backup(5, true)];
    assert_eq!(removed(&skewed, &aged(1, 1)), ["0005"]);
}

#[test]
fn of_days_weeks_months_and_years_the_newest_good_one_is_kept() {
    let daily: Vec<_> = (0..800).map(|age| backup(age, true)).collect();
    let calendar = [(Calendar::Day, 3), (Calendar::Week, 2), (Calendar::Month, 3), (Calendar::Year, 5)];
    let policy = Policy { calendar: BTreeMap::from(calendar), ..none() };
    // The 1st of June 2026 is a Monday: the week before ended yesterday, and so did May.
    let expected = ["0000", "0001", "0002", "0032", "0152", "0517"];
    assert_eq!(kept(&daily, &policy), expected);
    let reasons = judge(&daily, &policy, now()).swap_remove(1).keep;
    let units = [Calendar::Day, Calendar::Week, Calendar::Month].map(Keep::Calendar);
    assert_eq!(reasons, units, "every rule that keeps it is named");
}

#[test]
fn a_day_whose_only_backup_is_not_good_keeps_it_and_does_not_count() {
    let mixed = [backup(0, true), backup(1, false), backup(2, true), backup(3, true)];
    let policy = Policy { calendar: BTreeMap::from([(Calendar::Day, 2)]), ..none() };
    assert_eq!(kept(&mixed, &policy), ["0000", "0001", "0002"]);
}

#[test]
fn days_are_those_of_the_tasks_zone() {
    let at = |id: &str, time: &str| Candidate {
        id: BackupId(id.to_owned()),
        time: time.parse().unwrap(),
        ..backup(0, true)
    };
    // In Tokyo both fall on the 31st, in UTC on two days.
    let two = [at("a", "2026-05-30T16:00:00Z"), at("b", "2026-05-31T10:00:00Z")];
    let policy = Policy { calendar: BTreeMap::from([(Calendar::Day, 9)]), ..none() };
    assert_eq!(removed(&two, &policy), [""; 0]);
    let tokyo = Policy { zone: time_zone("Asia/Tokyo").unwrap(), ..policy };
    assert_eq!(removed(&two, &tokyo), ["a"]);
}

#[test]
fn each_periodicity_has_a_rule_of_its_own_and_what_no_rule_speaks_about_is_kept() {
    use Periodicity::{Daily, Hourly, Manual};
    let tagged = |age: i64, tags: &[Periodicity]| Candidate {
        periodicities: tags.iter().copied().collect(),
        ..backup(age, true)
    };
    let history = [
        tagged(0, &[Hourly]),
        tagged(1, &[Hourly, Daily]),
        tagged(2, &[Hourly]),
        tagged(3, &[Daily]),
        tagged(4, &[Manual]),
        tagged(5, &[]),
        tagged(90, &[Daily]),
    ];
    let rules = [(Hourly, Limit::Count(2)), (Daily, Limit::Age(Duration::from_secs(30 * DAY)))];
    let policy = Policy { periodicities: BTreeMap::from(rules), ..none() };
    assert_eq!(removed(&history, &policy), ["0090", "0002"]);
    let judged = judge(&history, &policy, now());
    assert_eq!(judged[1].keep, [Keep::Periodicity(Hourly), Keep::Periodicity(Daily)]);
    assert_eq!(judged[4].keep, [Keep::NoRule]);
}

#[test]
fn what_a_kept_backup_needs_is_kept() {
    let needing =
        |age: i64, needs: &str| Candidate { needs: Some(BackupId(needs.to_owned())), ..backup(age, true) };
    let chain = [needing(0, "0008"), backup(1, true), needing(8, "0020"), backup(9, true), backup(20, true)];
    assert_eq!(removed(&chain, &aged(7, 1)), ["0009"]);
}

#[test]
fn a_task_without_a_rule_keeps_everything() {
    let task = |policy: RetentionPolicy| PeriodicBackupConfiguration {
        retention_policy: Some(policy),
        time_zone: Some("Asia/Tokyo".to_owned()),
        ..PeriodicBackupConfiguration::default()
    };
    let age = Some(TimeSpan::from_days(7));
    let of = |policy| Policy::of(&task(policy), &TimeZone::UTC);
    let plain = RetentionPolicy::default;
    assert_eq!(Policy::of(&PeriodicBackupConfiguration::default(), &TimeZone::UTC), None);
    assert_eq!(of(plain()), None);
    assert_eq!(of(RetentionPolicy { keep_last: Some(0), ..plain() }), None);
    assert_eq!(of(RetentionPolicy { disabled: true, minimum_backup_age_to_keep: age, ..plain() }), None);
    let zone = time_zone("Asia/Tokyo").unwrap();
    let read = of(RetentionPolicy { minimum_backup_age_to_keep: age, ..plain() });
    assert_eq!(read, Some(Policy { zone: zone.clone(), ..aged(7, 3) }));
    let per_periodicity = [(Periodicity::Hourly, task::Keep::Count(24))].into();
    let read = of(RetentionPolicy { keep_daily: Some(7), keep_yearly: Some(2), per_periodicity, ..plain() });
    let expected = Policy {
        calendar: BTreeMap::from([(Calendar::Day, 7), (Calendar::Year, 2)]),
        periodicities: BTreeMap::from([(Periodicity::Hourly, Limit::Count(24))]),
        minimum_backups: 3,
        zone,
        ..none()
    };
    assert_eq!(read, Some(expected));
}

#[test]
fn over_ten_thousand_random_policies_and_histories_it_equals_the_model() {
    oracle::compare(10_000, 1);
}

//! When a task is due, entry by entry and all together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use BackupKind::{Full, Incremental};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupKind;
use larder_model::task::{BackupWindow, CatchUp, PeriodicBackupConfiguration, Periodicity, ScheduleEntry};
use larder_schedule::{Attempts, Changes, Entry, OpenHours, Run, Schedule, time_zone};
use std::collections::BTreeMap;

fn at(text: &str) -> Timestamp {
    format!("2026-05-{text}:00Z").parse().unwrap()
}

fn schedule(entries: &[(&str, BackupKind)]) -> Schedule {
    let zone = TimeZone::UTC;
    let entries =
        entries.iter().map(|(when, kind)| Entry::new(when.parse().unwrap(), *kind, None, zone.clone()));
    Schedule { entries: entries.collect(), zone: TimeZone::UTC, catch_up: CatchUp::Once, hours: None }
}

fn nightly(catch_up: CatchUp) -> Schedule {
    Schedule { catch_up, ..schedule(&[("0 2 * * *", Full), ("*/20 * * * *", Incremental)]) }
}

fn attempts(full: Option<&str>, incremental: Option<&str>, since: &str) -> Attempts {
    let since = at(since);
    let (full, incremental) = (full.map(at), incremental.map(at));
    Attempts { full, incremental, since, awake_since: since, changes: None }
}

fn run(time: &str, kind: BackupKind) -> Option<Run> {
    Some(Run { time: at(time), latest: at(time), kind })
}

#[test]
fn a_task_that_never_ran_waits_for_its_first_moment() {
    let new = attempts(None, None, "10T01:45");
    let schedule = nightly(CatchUp::Once);
    assert_eq!(schedule.next(&new, at("10T01:45")), run("10T02:00", Full), "both at once: the full");
    assert_eq!(schedule.due(&new, at("10T01:59")), None);
    assert_eq!(schedule.due(&new, at("10T02:00")), run("10T02:00", Full));
}

#[test]
fn the_earlier_of_both_kinds_is_next() {
    let schedule = nightly(CatchUp::Once);
    let after = attempts(Some("10T02:00"), Some("10T01:40"), "01T00:00");
    assert_eq!(schedule.next(&after, at("10T02:01")), run("10T02:20", Incremental), "the full served 02:00");
    let later = attempts(Some("10T02:00"), Some("11T01:20"), "01T00:00");
    assert_eq!(schedule.next(&later, at("11T01:21")), run("11T01:40", Incremental));
    let last = attempts(Some("10T02:00"), Some("11T01:40"), "01T00:00");
    assert_eq!(schedule.next(&last, at("11T01:41")), run("11T02:00", Full));
}

#[test]
fn missed_runs_are_caught_up_once_and_full_wins() {
    let schedule = nightly(CatchUp::Once);
    let missed =
        Attempts { awake_since: at("12T10:05"), ..attempts(Some("10T02:00"), Some("10T11:00"), "01T00:00") };
    assert_eq!(schedule.due(&missed, at("12T10:05")), run("10T11:20", Full), "overdue since the oldest");
    let caught_up = Attempts { full: Some(at("12T10:05")), ..missed };
    assert_eq!(schedule.due(&caught_up, at("12T10:06")), None);
    assert_eq!(schedule.next(&caught_up, at("12T10:06")), run("12T10:20", Incremental));
    let short = Attempts { incremental: Some(at("10T02:40")), ..missed };
    assert_eq!(schedule.due(&short, at("10T04:05")), run("10T03:00", Incremental), "no full was missed");
}

#[test]
fn missed_runs_can_be_skipped() {
    let schedule = nightly(CatchUp::Skip);
    let missed =
        Attempts { awake_since: at("12T10:05"), ..attempts(Some("10T02:00"), Some("10T11:00"), "01T00:00") };
    assert_eq!(schedule.due(&missed, at("12T10:05")), None);
    assert_eq!(schedule.next(&missed, at("12T10:05")), run("12T10:20", Incremental));
    assert_eq!(schedule.due(&missed, at("12T10:20")), run("12T10:20", Incremental));
}

#[test]
fn a_clock_that_was_ahead_does_not_silence_a_task_and_a_correction_runs_nothing_twice() {
    let schedule = nightly(CatchUp::Once);
    let ahead = attempts(Some("30T02:00"), Some("30T11:00"), "01T00:00");
    let ahead = Attempts { awake_since: at("12T10:05"), ..ahead };
    assert_eq!(schedule.next(&ahead, at("12T10:05")), run("12T10:20", Incremental));
    assert_eq!(schedule.due(&ahead, at("12T10:20")), run("12T10:20", Incremental));
    let just_run = attempts(Some("12T02:00"), Some("12T10:20"), "01T00:00");
    assert_eq!(
        schedule.next(&just_run, at("12T10:18")),
        run("12T10:40", Incremental),
        "set back by two minutes"
    );
}

#[test]
fn the_next_runs_are_listed_in_order_each_moment_once() {
    let berlin = time_zone("Europe/Berlin").unwrap();
    let entry = |text: &str, kind| Entry::new(text.parse().unwrap(), kind, None, berlin.clone());
    let entries = vec![entry("0 */2 * * *", Full), entry("0 * * * *", Incremental)];
    let schedule = Schedule { entries, ..schedule(&[]) };
    let runs = schedule.upcoming(at("10T00:30"), 4);
    // Berlin is two hours ahead of UTC in May, so even hours there are even here.
    let expected =
        [("10T01:00", Incremental), ("10T02:00", Full), ("10T03:00", Incremental), ("10T04:00", Full)];
    assert_eq!(runs, expected.map(|(time, kind)| run(time, kind).unwrap()));
}

#[test]
fn a_task_without_moments_never_runs_by_itself() {
    for entries in [&[][..], &[("Manual", Full), ("Shutdown", Incremental)]] {
        let schedule = schedule(entries);
        assert_eq!(schedule.next(&attempts(None, None, "01T00:00"), at("02T00:00")), None);
        assert!(schedule.upcoming(at("01T00:00"), 5).is_empty());
    }
}

#[test]
fn a_window_opens_and_ends_so_long_after_the_last_run() {
    let schedule = schedule(&[("every 4h..6h", Incremental)]);
    let ran = attempts(Some("10T03:10"), Some("10T09:00"), "01T00:00");
    let next = schedule.next(&ran, at("10T09:01")).unwrap();
    assert_eq!((next.time, next.latest, next.kind), (at("10T13:00"), at("10T15:00"), Incremental));
    let new = schedule.next(&attempts(None, None, "10T09:00"), at("10T09:00")).unwrap();
    assert_eq!((new.time, new.latest), (at("10T09:00"), at("10T15:00")), "the first one need not wait");
    let moments: Vec<Timestamp> = schedule.upcoming(at("10T09:00"), 3).iter().map(|run| run.time).collect();
    assert_eq!(moments, [at("10T13:00"), at("10T17:00"), at("10T21:00")]);
}

#[test]
fn a_run_after_changes_waits_for_quiet_and_keeps_its_distance() {
    let schedule = schedule(&[("after changes, quiet 2m, at most every 30m", Incremental)]);
    let ran = attempts(None, Some("10T09:00"), "01T00:00");
    let changed = |first: &str, last: &str| {
        let changes = Some(Changes { first: at(first), last: at(last) });
        schedule.next(&Attempts { changes, ..ran }, at("10T12:00")).unwrap().time
    };
    assert_eq!(schedule.next(&ran, at("10T12:00")), None, "nothing changed");
    assert_eq!(changed("10T11:00", "10T11:10"), at("10T11:12"), "two minutes after the last change");
    assert_eq!(changed("10T09:05", "10T09:06"), at("10T09:30"), "half an hour after the last run");
    assert_eq!(changed("10T10:00", "10T10:45"), at("10T10:30"), "what never pauses is not put off for ever");
}

#[test]
fn runs_begin_within_the_backup_window_only() {
    let hours = OpenHours::new("22:00", "06:00").unwrap();
    let schedule = Schedule { hours: Some(hours), ..schedule(&[("0 */4 * * *", Incremental)]) };
    let moments: Vec<Timestamp> = schedule.upcoming(at("10T05:00"), 4).iter().map(|run| run.time).collect();
    assert_eq!(moments, [at("10T22:00"), at("11T00:00"), at("11T04:00"), at("11T22:00")]);
    let ran = attempts(None, Some("10T04:00"), "01T00:00");
    assert_eq!(schedule.due(&ran, at("10T21:59")), None);
    assert_eq!(schedule.due(&ran, at("10T22:00")), run("10T22:00", Incremental));
    let window = Schedule {
        hours: Some(OpenHours::new("22:00", "06:00").unwrap()),
        ..self::schedule(&[("every 1h..3h", Incremental)])
    };
    let run = window.next(&attempts(None, Some("10T04:00"), "01T00:00"), at("10T04:00")).unwrap();
    assert_eq!(run.latest, at("10T06:00") - SignedDuration::from_secs(1), "no later than it closes");
}

#[test]
fn a_run_serves_all_periodicities_that_are_due_at_its_moment() {
    use Periodicity::{Daily, Hourly, Monthly, Weekly};
    let entries = [("Hourly", Incremental), ("Daily", Incremental), ("Weekly", Full), ("Monthly", Full)];
    let schedule = schedule(&entries);
    // The 11th is a Monday.
    let last = attempts(Some("10T23:00"), Some("10T23:00"), "01T00:00");
    let served = BTreeMap::from(
        [(Hourly, "10T23:00"), (Daily, "10T00:00"), (Weekly, "04T00:00"), (Monthly, "01T00:00")]
            .map(|(p, t)| (p, at(t))),
    );
    let owed =
        |time: &str, kind| schedule.owed(&served, &last, at(time), kind).into_iter().collect::<Vec<_>>();
    assert_eq!(schedule.due(&last, at("11T00:00")), run("11T00:00", Full), "the week asks for a full one");
    assert_eq!(owed("11T00:00", Full), [Hourly, Daily, Weekly]);
    assert_eq!(owed("11T00:00", Incremental), [Hourly, Daily], "an incremental one does not serve the week");
    assert_eq!(owed("10T23:59", Full), []);
    let failed_before = BTreeMap::from([(Daily, at("08T00:00")), (Hourly, at("10T22:00"))]);
    let owed = schedule.owed(&failed_before, &last, at("10T23:30"), Incremental);
    assert_eq!(
        owed.into_iter().collect::<Vec<_>>(),
        [Hourly, Daily],
        "what a failed run did not serve is still owed"
    );
}

#[test]
fn a_tasks_configuration_is_read_with_its_zones_and_window() {
    let more = |when: &str, time_zone: Option<&str>| ScheduleEntry {
        when: when.to_owned(),
        time_zone: time_zone.map(str::to_owned),
        ..ScheduleEntry::default()
    };
    let task = PeriodicBackupConfiguration {
        full_backup_frequency: Some("0 2 * * *".to_owned()),
        incremental_backup_frequency: Some(" ".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        schedules: vec![more("Daily at 12:00", Some("Asia/Tokyo")), more("Shutdown", None)],
        backup_window: Some(BackupWindow { from: "01:00".to_owned(), to: "06:00".to_owned() }),
        ..PeriodicBackupConfiguration::default()
    };
    let schedule = Schedule::of(&task, &TimeZone::UTC).unwrap();
    assert_eq!(schedule.entries.len(), 3);
    assert!(schedule.has(Periodicity::Shutdown) && schedule.has(Periodicity::Daily));
    let runs = schedule.upcoming(at("10T20:00"), 3);
    // 02:00 and 05:00 in Berlin: noon in Tokyo lies within Berlin's window.
    let expected = [("11T00:00", Full), ("11T03:00", Incremental), ("12T00:00", Full)];
    assert_eq!(runs, expected.map(|(time, kind)| run(time, kind).unwrap()));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let plain = PeriodicBackupConfiguration::default;
    let entry = ScheduleEntry { when: "now and then".to_owned(), ..ScheduleEntry::default() };
    let window = BackupWindow { from: "late".to_owned(), to: "06:00".to_owned() };
    let refused = [
        (
            PeriodicBackupConfiguration { time_zone: Some("Mars/Olympus".to_owned()), ..plain() },
            "'Mars/Olympus'",
        ),
        (PeriodicBackupConfiguration { schedules: vec![entry], ..plain() }, "'now and then'"),
        (PeriodicBackupConfiguration { backup_window: Some(window), ..plain() }, "'late'"),
        (PeriodicBackupConfiguration { full_backup_frequency: Some("* *".to_owned()), ..plain() }, "'* *'"),
    ];
    for (task, name) in refused {
        let error = Schedule::of(&task, &TimeZone::UTC).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_hundred_thousand_next_runs_are_found_within_a_few_seconds() {
    let schedule = nightly(CatchUp::Once);
    let begun = std::time::Instant::now();
    for minute in 0..100_000_i64 {
        let last = at("01T00:00") + SignedDuration::from_mins(minute);
        let attempts = Attempts {
            full: Some(last),
            incremental: Some(last),
            since: last,
            awake_since: last,
            changes: None,
        };
        assert!(schedule.next(&attempts, last).is_some());
    }
    // A debug build on a busy machine; the release figure is about ten times better.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

//! What fires when the clocks change, the host sleeps or the clock is set back, against a table made by another program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupKind;
use larder_model::task::CatchUp;
use larder_schedule::{Attempts, Entry, Schedule, When, time_zone};

/// Written by `clock_table.py`, which says how.
const TABLE: &str = include_str!("clock_table.txt");

struct Line {
    name: String,
    schedule: Schedule,
    from: Timestamp,
    until: Timestamp,
    instants: Vec<Timestamp>,
}

fn table() -> Vec<Line> {
    let at = |text: &str| format!("{text}:00Z").parse::<Timestamp>().unwrap();
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let [zone, expression, from, until, instants] = fields.as_slice() else { panic!("{line}") };
            let zone = time_zone(zone).unwrap();
            let when: When = expression.parse().unwrap();
            let entries = vec![Entry::new(when, BackupKind::Full, None, zone)];
            Line {
                name: line.chars().take(70).collect(),
                schedule: Schedule { entries, zone: TimeZone::UTC, catch_up: CatchUp::Once, hours: None },
                from: at(from),
                until: at(until),
                instants: instants.split_whitespace().map(at).collect(),
            }
        })
        .collect()
}

/// A scheduler in small: looks at the clock at each of these moments and runs what is due; returns when it ran.
fn fired(schedule: &Schedule, since: Timestamp, ticks: impl Iterator<Item = Timestamp>) -> Vec<Timestamp> {
    run(schedule, &mut Attempts { since, awake_since: since, ..Attempts::default() }, ticks)
}

fn run(
    schedule: &Schedule,
    attempts: &mut Attempts,
    ticks: impl Iterator<Item = Timestamp>,
) -> Vec<Timestamp> {
    let mut fired = Vec::new();
    for now in ticks {
        if schedule.due(attempts, now).is_some() {
            attempts.full = Some(now);
            fired.push(now);
        }
    }
    fired
}

fn minutes(from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let count = until.duration_since(from).as_mins();
    (0..count).map(move |minute| from + SignedDuration::from_mins(minute))
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[test]
fn what_fires_around_every_change_of_the_clocks_is_what_the_table_says() {
    let table = table();
    assert_eq!(table.len(), 140, "5 zones, 2 changes, 2 years, 6 expressions, and 4 more a zone");
    for line in table {
        let found = fired(&line.schedule, line.from - SECOND, minutes(line.from, line.until));
        assert_eq!(found, line.instants, "{}", line.name);
    }
}

#[test]
fn after_twelve_hours_asleep_everything_missed_is_one_run() {
    let mut caught_up = 0;
    for line in table().into_iter().filter(|line| line.until.duration_since(line.from).as_hours() == 72) {
        // The middle of the time is the change itself.
        let asleep = line.from + SignedDuration::from_hours(30);
        let awake = asleep + SignedDuration::from_hours(12);
        let ticks = minutes(line.from, asleep).chain(minutes(awake, line.until));
        let missed = |instant: &&Timestamp| asleep <= **instant && **instant < awake;
        let mut expected: Vec<Timestamp> =
            line.instants.iter().filter(|instant| !missed(instant)).copied().collect();
        if line.instants.iter().any(|instant| missed(&instant)) && !expected.contains(&awake) {
            expected.push(awake);
            expected.sort();
            caught_up += 1;
        }
        assert_eq!(fired(&line.schedule, line.from - SECOND, ticks), expected, "{}", line.name);
        // Whoever wants none of it waits for the next moment.
        let skipping = Schedule { catch_up: CatchUp::Skip, ..line.schedule };
        let attempts =
            Attempts { since: line.from - SECOND, awake_since: awake - SECOND, ..Attempts::default() };
        let next = skipping.next(&attempts, awake).map(|run| run.time);
        let later = line.instants.iter().find(|instant| **instant >= awake).copied();
        assert!(later.is_none() || next == later, "{}: {next:?} {later:?}", line.name);
    }
    assert!(caught_up > 50, "{caught_up}");
}

#[test]
fn a_clock_set_back_by_two_hours_runs_by_its_new_time() {
    let mut again = 0;
    for line in table() {
        let middle = line.from + line.until.duration_since(line.from) / 2;
        let back = middle - SignedDuration::from_hours(2);
        let mut attempts =
            Attempts { since: line.from - SECOND, awake_since: line.from - SECOND, ..Attempts::default() };
        let mut fired = run(&line.schedule, &mut attempts, minutes(line.from, middle));
        // Whoever ticks notices that the clock went back.
        attempts.awake_since = back;
        fired.extend(run(&line.schedule, &mut attempts, minutes(back, line.until)));
        let mut expected: Vec<Timestamp> =
            line.instants.iter().filter(|instant| **instant < middle).copied().collect();
        for instant in line.instants.iter().filter(|instant| **instant > back) {
            // A moment that has just been served, less than five minutes ago by the new clock, is not served again.
            let served = expected.last().is_some_and(|last| {
                *instant <= *last && last.duration_since(*instant) <= SignedDuration::from_mins(5)
            });
            if !served {
                again += u32::from(*instant < middle);
                expected.push(*instant);
            }
        }
        assert_eq!(fired, expected, "{}", line.name);
    }
    assert!(again > 50, "{again}");
}

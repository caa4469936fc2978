//! A year of ten thousand databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupKind::{Full, Incremental};
use larder_model::task::CatchUp;
use larder_schedule::{Attempts, Entry, Schedule, spread, time_zone};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

const DATABASES: usize = 10_000;

#[test]
fn ten_thousand_databases_and_a_year_take_less_than_a_minute() {
    let zone = time_zone("Europe/Berlin").unwrap();
    let entry = |text: &str, kind| Entry::new(text.parse().unwrap(), kind, None, zone.clone());
    let entries = vec![entry("0 2 * * 0", Full), entry("0 2 * * *", Incremental)];
    let schedule = Schedule { entries, zone: TimeZone::UTC, catch_up: CatchUp::Once, hours: None };
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let begun = Instant::now();
    let width = SignedDuration::from_mins(30);
    let spreads: Vec<SignedDuration> =
        (0..DATABASES).map(|number| spread(&format!("db{number}"), width)).collect();
    let mut attempts = vec![Attempts { since: begin, awake_since: begin, ..Attempts::default() }; DATABASES];
    let mut agenda = BinaryHeap::new();
    for (number, after) in spreads.iter().enumerate() {
        let next = schedule.next(&attempts[number], begin).unwrap();
        agenda.push(Reverse((next.time + *after, number)));
    }
    let (mut fulls, mut incrementals) = (0_u64, 0_u64);
    while let Some(Reverse((now, number))) = agenda.pop().filter(|Reverse((time, _))| *time < end) {
        let own = &mut attempts[number];
        match schedule.due(own, now).unwrap().kind {
            Full => {
                own.full = Some(now);
                fulls += 1;
            }
            Incremental => {
                own.incremental = Some(now);
                incrementals += 1;
            }
        }
        let next = schedule.next(own, now).unwrap();
        agenda.push(Reverse((next.time + spreads[number], number)));
    }
    // 2026 has 52 Sundays among its 365 nights.
    assert_eq!((fulls, incrementals), (52 * DATABASES as u64, 313 * DATABASES as u64));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

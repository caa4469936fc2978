//! What a prune costs beside restic's, on the same repository: about 1 GB, fifty backups, of which every other goes.
//!
//! `./test --long` runs it; the figures are printed, and both outcomes are judged by restic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{Cancel, Counters};
use larder_repository::PruneOptions;
use larder_storage::Local;
use larder_testbed::{ManualClock, Random, Restic};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Bench, PASSWORD};

const BACKUPS: u64 = 50;
const SMALL_FILES: u64 = 16_000;
const LARGE_FILES: u64 = 7;

/// User and system time of this process and of the children that it has waited for: see proc_pid_stat(5).
fn cpu() -> (Duration, Duration) {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse().unwrap())
        .collect();
    (Duration::from_millis((fields[0] + fields[1]) * 10), Duration::from_millis((fields[2] + fields[3]) * 10))
}

#[test]
fn a_prune_costs_no_more_than_that_of_restic() {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let bench = Bench { clock: clock.clone(), ..Bench::new() };
    let source = bench.path("source");
    let small = |number: u64| source.join(format!("{}/{number}", number % 160));
    for number in 0..160 {
        fs::create_dir_all(source.join(number.to_string())).unwrap();
    }
    for number in 0..SMALL_FILES {
        fs::write(small(number), Random::new(number + 1).bytes(20_000)).unwrap();
    }
    for number in 0..LARGE_FILES {
        fs::write(source.join(format!("large-{number}")), Random::new(number).bytes(80 << 20)).unwrap();
    }
    let (repository, _) = bench.local("larder");
    for round in 0..BACKUPS {
        for number in 0..SMALL_FILES / 100 {
            let at = (number * 101 + round * 37) % SMALL_FILES;
            fs::write(small(at), Random::new(round * 1_000_000 + at).bytes(20_000)).unwrap();
        }
        clock.advance(SignedDuration::from_hours(1));
        bench.back_up(std::slice::from_ref(&repository), &source);
    }
    let ids: Vec<_> = repository.snapshots().unwrap().into_iter().step_by(2).map(|one| one.id).collect();
    repository.remove_snapshots(&ids).unwrap();
    let copied = Command::new("cp").arg("-a").arg(bench.path("larder")).arg(bench.path("restic")).status();
    assert!(copied.unwrap().success());
    let judge = Restic::new(bench.path("restic"), PASSWORD);
    for (name, max_unused) in [("5%", 5.0), ("0", 0.0)] {
        let options = PruneOptions { max_unused_percent: max_unused, ..PruneOptions::default() };
        let storage = Arc::new(Local::open(bench.path("larder")).unwrap());
        let repository = bench.open(storage);
        let (before, began) = (cpu(), Instant::now());
        let done = repository.prune(&options, &Cancel::new(), &Counters::default()).unwrap();
        let (between, ours) = (cpu(), began.elapsed());
        let began = Instant::now();
        judge.run(["prune", "--max-unused", name]);
        let (after, theirs) = (cpu(), began.elapsed());
        let (own, other) = (between.0 - before.0, after.1 - between.1);
        println!(
            "prune to {name} unused of {} MiB: larder {:.2} CPU s, {:.2} s; restic {:.2} CPU s, {:.2} s; larder removed \
             {} MiB and copied {} MiB",
            done.before_bytes >> 20,
            own.as_secs_f64(),
            ours.as_secs_f64(),
            other.as_secs_f64(),
            theirs.as_secs_f64(),
            done.removed_bytes >> 20,
            done.repacked_bytes >> 20,
        );
        assert!(own <= other, "larder {own:?}, restic {other:?}");
    }
    for name in ["larder", "restic"] {
        Restic::new(bench.path(name), PASSWORD).run(["check"]);
    }
}

//! Stock restic judges a destination that missed runs and was healed from another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{Cancel, Counters};
use larder_repository::{HealOptions, Repository};
use larder_storage::Local;
use larder_testbed::{ManualClock, Random, Restic, compare_trees_restored_by_restic};
use std::fs;
use std::sync::Arc;
use support::{Bench, PASSWORD};

#[test]
fn one_of_three_down_for_some_runs_heals_and_all_are_clean() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    let (first, first_judge) = bench.local("first");
    let twin = |name: &str| -> (Repository, Restic) {
        let storage = Arc::new(Local::create(bench.path(name)).unwrap());
        let repository = first.create_twin(storage, &Bench::credentials()).unwrap();
        (repository, Restic::new(bench.path(name), PASSWORD))
    };
    let (second, second_judge) = twin("second");
    let (third, third_judge) = twin("third");
    for round in 0..4u64 {
        for number in 0..6 {
            let bytes = Random::new(round * 10 + number % 3 + 1).bytes(200_000);
            fs::write(source.join(format!("a/b/{number}")), bytes).unwrap();
        }
        let all = [first.clone(), second.clone(), third.clone()];
        // The third misses all but the first run, the second the last.
        let there = match round {
            0 => &all[..],
            1 | 2 => &all[..2],
            _ => &all[..1],
        };
        bench.back_up(there, &source);
    }
    // What restic stored at one of them comes along.
    first_judge.backup(&source);
    for (healed, from) in [(&second, &first), (&third, &second)] {
        let summary = healed
            .heal_from(
                std::slice::from_ref(from),
                &HealOptions::default(),
                &Cancel::new(),
                &Counters::default(),
            )
            .unwrap();
        assert!(summary.failures.is_empty(), "{summary:?}");
    }
    for (name, judge) in [("first", first_judge), ("second", second_judge), ("third", third_judge)] {
        judge.check_read_data();
        assert_eq!(judge.snapshots().len(), 5, "{name}");
        let target = bench.path(&format!("restored-{name}"));
        judge.restore("latest", &target);
        assert_eq!(compare_trees_restored_by_restic(&source, &target), [""; 0], "{name}");
    }
}

#[test]
fn an_empty_destination_gets_everything() {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let bench = Bench { clock: clock.clone(), ..Bench::new() };
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    let (first, _) = bench.local("first");
    for round in 0..3u64 {
        clock.advance(SignedDuration::from_mins(1));
        fs::write(source.join("file"), Random::new(round + 1).bytes(3 << 20)).unwrap();
        bench.back_up(std::slice::from_ref(&first), &source);
    }
    let storage = Arc::new(Local::create(bench.path("new")).unwrap());
    let new = first.create_twin(storage, &Bench::credentials()).unwrap();
    let sources = [first];
    let healed =
        new.heal_from(&sources, &HealOptions::default(), &Cancel::new(), &Counters::default()).unwrap();
    assert_eq!(healed.backups.len(), 3);
    let judge = Restic::new(bench.path("new"), PASSWORD);
    judge.check_read_data();
    judge.restore("latest", &bench.path("restored"));
    assert_eq!(compare_trees_restored_by_restic(&source, &bench.path("restored")), [""; 0]);
}

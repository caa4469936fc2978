//! Locks that are extended before they end, and what is locked that should go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupId, Cancel, Clock, Counters};
use larder_repository::{CheckOptions, PruneOptions, Repository, RepositoryError, Seal};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{LockingStorage, ManualClock};
use std::sync::Arc;
use std::time::Duration;
use support::Bench;
use support::made::add_all;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Backups are made each day; the lock must last until the next but one.
const NEXT: Duration = Duration::from_secs(2 * 24 * 3600);

fn bench() -> (Bench, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let mut bench = Bench::new();
    bench.clock = clock.clone();
    (bench, clock)
}

fn backup(bench: &Bench, repository: &Repository, seed: u64) -> BackupId {
    let mut writer = bench.writer(std::slice::from_ref(repository), bench.options());
    add_all(&mut writer, seed).unwrap();
    writer.finish(Seal::default()).unwrap().targets.remove(0).snapshot.unwrap()
}

fn protect(repository: &Repository) -> u64 {
    repository.protect(NEXT, &Cancel::new(), &Counters::default()).unwrap().extended
}

#[test]
fn what_backups_need_never_loses_its_lock_and_each_object_costs_one_call_a_period() {
    let (bench, clock) = bench();
    let storage = LockingStorage::new(10, bench.clock.clone());
    let repository = bench.create(storage.clone());
    let first = backup(&bench, &repository, 1);
    let mut calls = Vec::new();
    for day in 1..=30 {
        clock.advance(DAY);
        if day == 3 {
            backup(&bench, &repository, 2);
        }
        let extended = protect(&repository);
        calls.extend((extended > 0).then_some(day));
        let now = clock.now();
        for (path, until) in storage.locked_until() {
            assert!(until > now + DAY, "day {day}: {path} is locked until {until}");
        }
        // Everything that backups need, each once.
        let mut paths = storage.take_extended();
        paths.sort();
        let before = paths.len();
        paths.dedup();
        assert_eq!((paths.len(), extended), (before, before as u64));
    }
    // The period is ten days, and two must be left.
    assert_eq!(calls, [8, 16, 24]);
    assert!(repository.snapshots().unwrap().iter().any(|snapshot| snapshot.id == first));
}

#[test]
fn what_no_backup_needs_is_not_locked_for_longer() {
    let (bench, clock) = bench();
    let storage = LockingStorage::new(10, bench.clock.clone());
    let repository = bench.create(storage.clone());
    let first = backup(&bench, &repository, 1);
    backup(&bench, &repository, 2);
    clock.advance(DAY * 11);
    repository.remove_snapshots(&[first]).unwrap();
    repository.prune(&PruneOptions::default(), &Cancel::new(), &Counters::default()).unwrap();
    let there = bench.runtime.block_on(storage.list("")).unwrap();
    let needed = there.iter().filter(|object| !object.path.starts_with("larder/")).count();
    assert_eq!(protect(&repository), needed as u64);
    let extended = storage.take_extended();
    assert!(extended.iter().all(|path| there.iter().any(|object| object.path == *path)), "{extended:?}");
}

#[test]
fn where_the_moment_cannot_be_read_or_lies_ahead_everything_is_locked_anew() {
    let (bench, clock) = bench();
    let storage = LockingStorage::new(10, bench.clock.clone());
    let repository = bench.create(storage.clone());
    backup(&bench, &repository, 1);
    assert_eq!(protect(&repository), 0);
    let forged = bytes::Bytes::from_static(b"{\"Since\":\"2030-01-01T00:00:00Z\"}");
    bench.runtime.block_on(storage.put("larder/locked", forged)).unwrap();
    assert!(protect(&repository) > 0);
    assert_eq!(protect(&repository), 0);
    let ahead = clock.now() + DAY * 100;
    clock.set(ahead);
    assert!(protect(&repository) > 0);
    clock.set(ahead - DAY * 100);
    assert!(protect(&repository) > 0, "a clock that was ahead puts nothing off");
    assert_eq!(protect(&repository), 0);
}

#[test]
fn prune_leaves_what_is_protected_tells_until_when_and_removes_it_later() {
    let (bench, clock) = bench();
    let storage = LockingStorage::with_policy(10, bench.clock.clone());
    let repository = bench.create(storage.clone());
    assert_eq!(protect(&repository), 0, "nothing that could be extended");
    let first = backup(&bench, &repository, 1);
    let error = repository.remove_snapshots(std::slice::from_ref(&first)).unwrap_err();
    assert!(
        matches!(&error, RepositoryError::Storage(error) if error.kind == StorageErrorKind::Protected),
        "{error}"
    );
    clock.advance(DAY * 11);
    // The packs of the second backup and its index are locked, and so is the new index.
    let second = backup(&bench, &repository, 2);
    repository.remove_snapshots(&[first]).unwrap();
    let prune = || repository.prune(&PruneOptions::default(), &Cancel::new(), &Counters::default()).unwrap();
    let freed = prune();
    assert!(freed.removed_bytes > 0 && freed.protected == 0, "{freed:?}");
    backup(&bench, &repository, 3);
    let until: Timestamp = clock.now() + DAY * 10;
    // Of the second backup all is locked but the name that it has.
    storage.unlock("snapshots/");
    repository.remove_snapshots(&[second]).unwrap();
    let kept = prune();
    assert!(kept.protected > 0 && kept.packs_removed == 0 && kept.removed_bytes == 0, "{kept:?}");
    assert!(
        kept.protected_because.as_ref().is_some_and(|words| words.contains(&until.to_string())),
        "{kept:?}"
    );
    let check = || {
        let options = CheckOptions { read_data: true, part: None, threads: 1 };
        repository.check(&options, &Cancel::new(), &Counters::default()).unwrap().problems
    };
    assert!(check().is_empty(), "{:?}", check());
    clock.advance(DAY * 11);
    let later = prune();
    assert!(later.removed_bytes > 0 && later.protected == 0, "{later:?}");
    assert!(check().is_empty());
}

//! What a prune removes, what it never removes, and what a crash in the middle of it leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    CheckOptions, Lock, ObjectKind, PruneOptions, PruneSummary, Repository, RepositoryError, RestoreOptions,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{Call, ColdStorage, Fault, FaultyStorage, MemoryStorage, Random, compare_trees};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::Bench;

struct Place {
    bench: Bench,
    inner: Arc<MemoryStorage>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
    kept: PathBuf,
}

fn options() -> PruneOptions {
    PruneOptions { max_unused_percent: 0.0, wait: Duration::ZERO, ..PruneOptions::default() }
}

fn prune(repository: &Repository, options: &PruneOptions) -> Result<PruneSummary, RepositoryError> {
    repository.prune(options, &Cancel::new(), &Counters::default())
}

/// Two backups that share some files, of which the first was removed, and a pack of a backup that broke off.
fn place() -> Place {
    let bench = Bench::new();
    let inner = Arc::new(MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    for number in 0..12 {
        let bytes = Random::new(number + 1).bytes(20_000);
        fs::write(source.join(format!("file-{number}")), bytes).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    for number in 0..6 {
        fs::remove_file(source.join(format!("file-{number}"))).unwrap();
    }
    fs::write(source.join("new"), Random::new(99).bytes(30_000)).unwrap();
    bench.back_up(std::slice::from_ref(&repository), &source);
    let first = repository.snapshots().unwrap().iter().find(|s| s.parent.is_none()).unwrap().id.clone();
    repository.remove_snapshots(&[first]).unwrap();
    let leftover = bytes::Bytes::from(Random::new(5).bytes(5000));
    let path = ObjectKind::Pack.path(&larder_repository::Id::of(&leftover));
    bench.runtime.block_on(inner.put(&path, leftover)).unwrap();
    storage.forget_calls();
    Place { bench, inner, storage, repository, kept: source }
}

fn assert_sound(place: &Place, when: &str) {
    let options = CheckOptions { read_data: true, threads: 2, ..CheckOptions::default() };
    let report = place.repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
    assert!(report.is_clean(), "{when}: {:?}", report.problems);
    let snapshots = place.repository.snapshots().unwrap();
    assert_eq!(snapshots.len(), 1, "{when}");
    let target = place.bench.path("target");
    let _ = fs::remove_dir_all(&target);
    let restored = place.repository.restore(
        &snapshots[0],
        &target,
        &RestoreOptions::default(),
        &Cancel::new(),
        &Counters::default(),
    );
    restored.unwrap_or_else(|error| panic!("{when}: {error}"));
    assert_eq!(compare_trees(&place.kept, &target), [""; 0], "{when}");
}

#[test]
fn what_no_backup_needs_goes_and_the_rest_stays() {
    let place = place();
    let tried = prune(&place.repository, &PruneOptions { dry_run: true, ..options() }).unwrap();
    assert_eq!(
        place.storage.calls().iter().filter(|(c, p)| *c == Call::Delete && p.starts_with("data")).count(),
        0
    );
    let done = prune(&place.repository, &options()).unwrap();
    assert_eq!(PruneSummary { packs_written: 0, ..done.clone() }, tried);
    assert!(done.removed_bytes > 6 * 20_000 && done.unused_bytes == 0, "{done:?}");
    assert_sound(&place, "after a prune");
    let now: u64 = place.repository.list(ObjectKind::Pack).unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert!(now < 6 * 20_000 + 30_000 + 10_000, "{now}");
    let again = prune(&place.repository, &options()).unwrap();
    assert_eq!((again.removed_bytes, again.packs_written), (0, 0));
}

#[test]
fn a_crash_at_any_call_leaves_a_sound_repository_and_the_next_prune_ends_the_work() {
    for fault in [Fault::Fail(StorageErrorKind::Other), Fault::FailAfter(StorageErrorKind::Other)] {
        let mut completed = false;
        for nth in 1..200 {
            let place = place();
            place.storage.down_from(nth, fault);
            let outcome = prune(&place.repository, &options());
            place.storage.heal();
            let when = format!("{fault:?} from call {nth}");
            assert_sound(&place, &when);
            prune(&place.repository, &options()).unwrap_or_else(|error| panic!("{when}: {error}"));
            assert_sound(&place, &when);
            let left = place.repository.check(&CheckOptions::default(), &Cancel::new(), &Counters::default());
            assert_eq!(left.unwrap().unindexed_packs, 0, "{when}");
            if outcome.is_ok() {
                completed = true;
                break;
            }
        }
        assert!(completed, "the prune never got through");
    }
}

#[test]
fn nothing_is_removed_on_the_word_of_a_destination_that_lies() {
    for (call, text) in [
        (Call::List, "snapshots"),
        (Call::List, "index"),
        (Call::List, "data"),
        (Call::Put, "data/"),
        (Call::Put, "index/"),
    ] {
        let place = place();
        let before = place.inner.with_objects(|objects| objects.len());
        place.storage.always(call, text, Fault::Lose);
        let outcome = prune(&place.repository, &options());
        place.storage.heal();
        assert!(outcome.is_err(), "{call:?} {text}: {outcome:?}");
        assert!(place.inner.with_objects(|objects| objects.len()) >= before, "{call:?} {text}");
        assert_sound(&place, text);
    }
}

#[test]
fn a_prune_waits_for_nobody_who_uses_the_repository_to_lose_it() {
    let place = place();
    let lock = Lock::shared(&place.repository, Duration::ZERO, &Cancel::new()).unwrap();
    assert!(matches!(prune(&place.repository, &options()).unwrap_err(), RepositoryError::Locked { .. }));
    drop(lock);
    prune(&place.repository, &options()).unwrap();
}

#[test]
fn a_damaged_tree_stops_a_prune_before_anything_is_removed() {
    let place = place();
    let before = place.inner.with_objects(|objects| objects.len());
    place.storage.always(Call::GetRange, "data/", Fault::FlipBit(77));
    assert!(prune(&place.repository, &options()).is_err());
    place.storage.heal();
    assert_eq!(place.inner.with_objects(|objects| objects.len()), before);
}

#[test]
fn packs_in_a_cold_class_are_never_rewritten_and_go_when_nothing_in_them_is_needed() {
    let storage = Arc::new(ColdStorage::thawing_after(0));
    let bench = Bench::new();
    let repository = bench.create(storage.clone());
    let (source, other) = (bench.path("source"), bench.path("other"));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&other).unwrap();
    for number in 0..12 {
        fs::write(source.join(format!("file-{number}")), Random::new(number + 1).bytes(20_000)).unwrap();
    }
    fs::write(other.join("file"), Random::new(50).bytes(70_000)).unwrap();
    bench.back_up(std::slice::from_ref(&repository), &source);
    bench.back_up(std::slice::from_ref(&repository), &other);
    let unneeded = repository.snapshots().unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>();
    for number in 0..6 {
        fs::remove_file(source.join(format!("file-{number}"))).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    repository.remove_snapshots(&unneeded).unwrap();
    assert_eq!(storage.cold().len(), 2, "one pack of each backup that brought data");
    let done = prune(&repository, &options()).unwrap();
    assert!(done.unused_bytes > 6 * 19_000, "half of a pack stays without need: {done:?}");
    assert!(done.removed_bytes > 70_000 && done.packs_written == 0, "{done:?}");
    assert_eq!(storage.cold().len(), 1, "the pack that is wholly unneeded is gone");
    assert_eq!(storage.requests(), Vec::<Vec<String>>::new(), "nothing cold was asked for");
    let snapshots = repository.snapshots().unwrap();
    let target = bench.path("target");
    let restore = RestoreOptions { poll_cold: Duration::from_millis(5), ..RestoreOptions::default() };
    repository.restore(&snapshots[0], &target, &restore, &Cancel::new(), &Counters::default()).unwrap();
    assert_eq!(compare_trees(&source, &target), [""; 0]);
    let thawed = prune(&repository, &options()).unwrap();
    assert_eq!(
        (thawed.packs_repacked, thawed.unused_bytes),
        (1, 0),
        "what can be read is rewritten: {thawed:?}"
    );
}

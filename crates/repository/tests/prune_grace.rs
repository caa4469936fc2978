//! The two phases of a prune: packs are named no more at once, and go when nobody can still be reading them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{Cancel, Counters};
use larder_repository::{
    BlobKind, CheckOptions, IndexFile, IndexedPack, Lock, ObjectKind, PruneOptions, PruneSummary, Repository,
    RepositoryError, RestoreOptions, Snapshot,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{
    Call, Fault, FaultyStorage, ManualClock, MemoryStorage, Random, compare_trees, wait_until,
};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::Bench;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Place {
    bench: Bench,
    clock: Arc<ManualClock>,
    inner: Arc<MemoryStorage>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
    removed: Snapshot,
    kept: PathBuf,
}

fn options() -> PruneOptions {
    PruneOptions { max_unused_percent: 0.0, grace: DAY, wait: Duration::ZERO, ..PruneOptions::default() }
}

fn prune(repository: &Repository, options: &PruneOptions) -> Result<PruneSummary, RepositoryError> {
    repository.prune(options, &Cancel::new(), &Counters::default())
}

/// Two backups that share half of their files, of which the first was removed.
fn place() -> Place {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let bench = Bench { clock: clock.clone(), ..Bench::new() };
    let inner = Arc::new(MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    for number in 0..8 {
        fs::write(source.join(format!("{number}")), Random::new(number + 1).bytes(20_000)).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    let removed = repository.snapshots().unwrap().remove(0);
    for number in 0..4 {
        fs::remove_file(source.join(format!("{number}"))).unwrap();
    }
    clock.advance(SignedDuration::from_mins(1));
    bench.back_up(std::slice::from_ref(&repository), &source);
    repository.remove_snapshots(std::slice::from_ref(&removed.id)).unwrap();
    Place { bench, clock, inner, storage, repository, removed, kept: source }
}

impl Place {
    fn packs(&self) -> usize {
        self.inner.with_objects(|objects| objects.keys().filter(|path| path.starts_with("data/")).count())
    }

    fn assert_sound(&self, when: &str) {
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = self.repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        let newest = self.repository.snapshots().unwrap().pop().unwrap();
        let target = self.bench.path("target");
        let _ = fs::remove_dir_all(&target);
        let (options, cancel) = (RestoreOptions::default(), Cancel::new());
        self.repository.restore(&newest, &target, &options, &cancel, &Counters::default()).unwrap();
        assert_eq!(compare_trees(&self.kept, &target), [""; 0], "{when}");
    }
}

#[test]
fn packs_stay_for_the_grace_period_and_then_go() {
    let place = place();
    let before = place.packs();
    let first = prune(&place.repository, &options()).unwrap();
    assert_eq!((first.packs_removed, first.removed_bytes), (0, 0), "{first:?}");
    assert!(first.packs_retired >= 2 && first.retired_bytes > 8 * 20_000, "{first:?}");
    assert_eq!(place.packs(), before + first.packs_written as usize);
    place.assert_sound("in the grace period");
    place.clock.advance(SignedDuration::from_hours(23));
    let second = prune(&place.repository, &options()).unwrap();
    assert_eq!((second.packs_removed, second.packs_retired), (0, 0), "{second:?}");
    assert_eq!(second.packs_waiting, first.packs_retired);
    place.clock.advance(SignedDuration::from_hours(2));
    let third = prune(&place.repository, &options()).unwrap();
    assert_eq!((third.packs_removed, third.removed_bytes), (first.packs_retired, first.retired_bytes));
    place.assert_sound("after the grace period");
    let indexed = place.repository.load_index(&Cancel::new()).unwrap().packs().len();
    assert_eq!(place.packs(), indexed);
    let last = prune(&place.repository, &options()).unwrap();
    assert_eq!((last.packs_removed, last.packs_waiting, last.indexes_removed), (0, 0, 0), "{last:?}");
}

#[test]
fn a_prune_with_nothing_to_do_changes_nothing_however_often_it_runs() {
    let place = place();
    prune(&place.repository, &options()).unwrap();
    let objects = || place.inner.with_objects(|objects| objects.keys().cloned().collect::<Vec<_>>());
    let before = objects();
    for _ in 0..3 {
        prune(&place.repository, &options()).unwrap();
        assert_eq!(objects(), before);
    }
}

#[test]
fn whoever_read_the_index_before_still_finds_every_blob() {
    let place = place();
    let index = place.repository.load_index(&Cancel::new()).unwrap();
    prune(&place.repository, &options()).unwrap();
    for kind in BlobKind::ALL {
        for location in index.blobs(kind) {
            place.repository.load_blob_at(&location).unwrap();
        }
    }
    let now = place.repository.load_index(&Cancel::new()).unwrap();
    assert!(now.blob_count(BlobKind::Data) < index.blob_count(BlobKind::Data));
}

#[test]
fn a_backup_does_not_rely_on_what_is_retired() {
    let place = place();
    prune(&place.repository, &options()).unwrap();
    // The first backup's files are back: their blobs lie in retired packs only.
    for number in 0..4 {
        fs::write(place.kept.join(format!("{number}")), Random::new(number + 1).bytes(20_000)).unwrap();
    }
    place.clock.advance(SignedDuration::from_mins(1));
    place.bench.back_up(std::slice::from_ref(&place.repository), &place.kept);
    place.clock.advance(SignedDuration::from_hours(30));
    prune(&place.repository, &options()).unwrap();
    place.assert_sound("with the files again");
}

#[test]
fn what_a_program_without_locks_went_on_using_is_named_again() {
    let place = place();
    prune(&place.repository, &options()).unwrap();
    // Its backup was made from the index as it was before.
    let json = format!(
        r#"{{"time":"2026-03-01T12:00:30Z","tree":"{}","paths":["/x"],"program_version":"rustic 0.13"}}"#,
        place.removed.tree
    );
    let (id, sealed) = place.repository.seal_object(json.as_bytes()).unwrap();
    place.bench.runtime.block_on(place.inner.put(&ObjectKind::Snapshot.path(&id), sealed)).unwrap();
    place.clock.advance(SignedDuration::from_hours(30));
    prune(&place.repository, &options()).unwrap();
    assert_eq!(place.repository.snapshots().unwrap().len(), 2);
    place.assert_sound("with a backup of what was retired");
}

#[test]
fn a_retired_pack_that_is_named_again_stays() {
    let place = place();
    prune(&place.repository, &options()).unwrap();
    let mut again = IndexFile::default();
    for (id, _) in place.repository.list(ObjectKind::Index).unwrap() {
        let json = place.repository.read_object(ObjectKind::Index, &id).unwrap();
        for pack in serde_json::from_slice::<IndexFile>(&json).unwrap().packs_to_delete {
            again.packs.push(IndexedPack { id: pack.id, blobs: pack.blobs });
        }
    }
    place.repository.write_object(ObjectKind::Index, &again).unwrap();
    let json = format!(r#"{{"time":"2026-03-01T12:00:30Z","tree":"{}","paths":["/x"]}}"#, place.removed.tree);
    let (id, sealed) = place.repository.seal_object(json.as_bytes()).unwrap();
    place.bench.runtime.block_on(place.inner.put(&ObjectKind::Snapshot.path(&id), sealed)).unwrap();
    place.clock.advance(SignedDuration::from_hours(30));
    prune(&place.repository, &options()).unwrap();
    place.assert_sound("named again");
}

#[test]
fn a_clock_that_was_ahead_keeps_no_pack_for_ever() {
    let place = place();
    place.clock.advance(SignedDuration::from_hours(24 * 400));
    prune(&place.repository, &options()).unwrap();
    place.clock.advance(SignedDuration::from_hours(-24 * 400));
    assert!(prune(&place.repository, &options()).unwrap().packs_waiting > 0);
    place.clock.advance(SignedDuration::from_hours(25));
    let done = prune(&place.repository, &options()).unwrap();
    assert!(done.packs_removed > 0 && done.packs_waiting == 0, "{done:?}");
    place.assert_sound("with the clock set right");
}

#[test]
fn a_crash_at_any_call_of_either_phase_leaves_a_sound_repository() {
    for fault in [Fault::Fail(StorageErrorKind::Other), Fault::FailAfter(StorageErrorKind::Other)] {
        for phase in [1, 2] {
            for nth in (phase..200).step_by(7) {
                let place = place();
                if phase == 2 {
                    prune(&place.repository, &options()).unwrap();
                    place.clock.advance(SignedDuration::from_hours(25));
                }
                place.storage.down_from(nth, fault);
                let outcome = prune(&place.repository, &options());
                place.storage.heal();
                let when = format!("{fault:?} from call {nth} in phase {phase}");
                place.assert_sound(&when);
                place.clock.advance(SignedDuration::from_hours(25));
                prune(&place.repository, &options()).unwrap_or_else(|error| panic!("{when}: {error}"));
                place.clock.advance(SignedDuration::from_hours(25));
                prune(&place.repository, &options()).unwrap_or_else(|error| panic!("{when}: {error}"));
                place.assert_sound(&when);
                let indexed = place.repository.load_index(&Cancel::new()).unwrap().packs().len();
                assert_eq!(place.packs(), indexed, "{when}: nothing is left over");
                if outcome.is_ok() {
                    break;
                }
            }
        }
    }
}

#[test]
fn much_is_copied_while_backups_go_on() {
    let place = place();
    let options = PruneOptions { copy_excluding_bytes: 0, wait: Duration::from_secs(20), ..options() };
    place.storage.on_call(Call::Put, 2, Fault::Stall(Duration::from_secs(1)));
    std::thread::scope(|scope| {
        let work = scope.spawn(|| prune(&place.repository, &options));
        wait_until("a pack that is copied", Duration::from_secs(20), || {
            let copies = |(call, path): &(Call, String)| *call == Call::Put && path.starts_with("data/");
            place.storage.calls().iter().filter(|call| copies(call)).nth(1).map(|_| ())
        });
        // Others may come and go as long as prune copies.
        let lock = Lock::shared(&place.repository, Duration::from_secs(5), &Cancel::new()).unwrap();
        drop(lock);
        let done = work.join().unwrap().unwrap();
        assert!(done.packs_written > 0 && done.packs_retired > 0 && done.packs_repacked > 0, "{done:?}");
    });
    place.assert_sound("copied ahead");
    let again = prune(&place.repository, &options).unwrap();
    assert_eq!((again.packs_written, again.packs_retired), (0, 0), "{again:?}");
}

//! An error before and after every single call to a destination, of each kind: no backup is called good that is not, none
//! is lost, and no lock stays behind. Prune has its own such tests (`prune.rs`, `prune_faults.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_repository::{ObjectKind, Repository, RepositoryError};
use larder_storage::StorageErrorKind;
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use support::specimen::{Part, Specimen, check, prune, write_tree};

/// Cases that run at once: most of their time they wait to try again.
const AT_ONCE: usize = 12;

/// What goes wrong with one call, and with all after it where it says so.
const FAULTS: [(&str, Fault, bool); 11] = [
    ("refused", Fault::Fail(StorageErrorKind::Denied), false),
    ("failed", Fault::Fail(StorageErrorKind::Other), false),
    ("full", Fault::Fail(StorageErrorKind::Full), false),
    ("asked to come back later", Fault::Fail(StorageErrorKind::Unavailable), false),
    ("not there", Fault::Fail(StorageErrorKind::NotFound), false),
    ("timed out, but done", Fault::FailAfter(StorageErrorKind::Unavailable), false),
    ("broke off, but done", Fault::FailAfter(StorageErrorKind::Other), false),
    ("said done, and lost or empty", Fault::Lose, false),
    ("cut, or listed in part", Fault::Cut(1), false),
    ("down from there on", Fault::Fail(StorageErrorKind::Other), true),
    ("down from there on, but done", Fault::FailAfter(StorageErrorKind::Other), true),
];

struct Place<'a> {
    specimen: &'a Specimen,
    inner: Arc<MemoryStorage>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
}

impl<'a> Place<'a> {
    fn new(specimen: &'a Specimen) -> Self {
        let inner = specimen.copy();
        let storage = FaultyStorage::new(inner.clone());
        let repository = specimen.try_open(storage.clone()).unwrap();
        storage.forget_calls();
        Self { specimen, inner, storage, repository }
    }

    fn locks(&self) -> Vec<String> {
        self.inner.with_objects(|objects| {
            objects.keys().filter(|path| path.starts_with("locks/")).cloned().collect()
        })
    }

    /// Every backup that is listed comes back whole; returns how many there are.
    fn assert_all_restore(&self, repository: &Repository, when: &str) -> usize {
        let snapshots = repository.snapshots().unwrap_or_else(|error| panic!("{when}: {error}"));
        for snapshot in &snapshots {
            let known = self.specimen.backups.iter().find(|backup| backup.id == snapshot.id);
            let tree = known.map_or_else(|| self.specimen.bench.path("new"), |backup| backup.tree.clone());
            let restored = self.specimen.restore(repository, snapshot, &tree);
            restored.unwrap_or_else(|error| panic!("{when}: {} does not come back: {error}", snapshot.id));
        }
        snapshots.len()
    }

    /// No lock is left, unless the destination was down, refused to remove it, or said that it had; then the next who
    /// comes removes it.
    fn assert_no_lock_stays(&self, when: &str) {
        let left = self.locks();
        let not_removed =
            when.contains("Delete locks/") && (when.contains("refused") || when.contains("said done"));
        assert!(left.is_empty() || not_removed || when.contains("down"), "{when}: {left:?} stays");
    }

    /// The next run of everything works unaided.
    fn assert_next_works(&self, backups: usize, when: &str) {
        let repository = self.specimen.try_open(self.inner.clone()).unwrap();
        let wrong = |error: RepositoryError| panic!("{when}, then: {error}");
        self.specimen.back_up(&repository, &self.specimen.bench.path("new")).unwrap_or_else(wrong);
        prune(&repository).unwrap_or_else(|error| panic!("{when}, then prune: {error}"));
        assert_eq!(self.locks(), [""; 0], "{when}, then");
        let report = check(&repository).unwrap_or_else(|error| panic!("{when}, then: {error}"));
        assert!(report.is_clean(), "{when}, then: {:?}", report.problems);
        assert_eq!(self.assert_all_restore(&repository, when), backups + 1, "{when}");
    }
}

/// Runs work with a fault at each of its calls, for each kind of fault; returns how many cases there were.
fn at_every_call(specimen: &Specimen, work: impl Fn(&Place<'_>, &str) + Sync) -> u64 {
    let (cases, next) = (AtomicU64::new(0), Mutex::new((0, 1)));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let (fault, nth) = {
                        let mut next = next.lock().unwrap();
                        if next.0 == FAULTS.len() {
                            return;
                        }
                        next.1 += 1;
                        (next.0, next.1 - 1)
                    };
                    let (name, kind, lasting) = FAULTS[fault];
                    let place = Place::new(specimen);
                    if lasting {
                        place.storage.down_from(nth, kind);
                    } else {
                        place.storage.on_any(nth, kind);
                    }
                    work(&place, name);
                    cases.fetch_add(1, Ordering::Relaxed);
                    let calls = place.storage.calls().len() as u64;
                    let mut next = next.lock().unwrap();
                    // The work ended before its call number `nth`: no call is left to fail.
                    if calls < nth && next.0 == fault {
                        *next = (fault + 1, 1);
                    }
                }
            });
        }
    });
    cases.into_inner()
}

/// Tells a figure; shown by `cargo nextest run --success-output immediate`.
fn tell(figure: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), figure.as_bytes()).unwrap();
}

/// Names the case, with the call that was hit.
fn case(place: &Place<'_>, operation: &str, name: &str) -> String {
    let hit = place.storage.hit().map(|(call, path)| format!("{call:?} {path}")).unwrap_or_default();
    format!("{operation}: {name} at {hit}")
}

#[test]
fn a_backup_that_is_called_good_comes_back_whole_whatever_went_wrong() {
    let specimen = Specimen::new();
    write_tree(&specimen.bench.path("new"), 3);
    let good = AtomicU64::new(0);
    let cases = at_every_call(&specimen, |place, name| {
        let outcome = specimen.back_up(&place.repository, &specimen.bench.path("new"));
        let outcome = outcome.and_then(|summary| summary.targets.into_iter().next().unwrap().snapshot);
        place.storage.heal();
        let when = case(place, "backup", name);
        place.assert_no_lock_stays(&when);
        let repository = specimen.try_open(place.inner.clone()).unwrap();
        let listed = place.assert_all_restore(&repository, &when);
        if let Ok(id) = outcome {
            good.fetch_add(1, Ordering::Relaxed);
            assert!(repository.snapshots().unwrap().iter().any(|s| s.id == id), "{when}: a false green");
        }
        place.assert_next_works(listed, &when);
    });
    let good = good.into_inner();
    tell(&format!("backup: {cases} cases, {good} of them good\n"));
    assert!(cases > 200 && good > 20, "{cases} cases, {good} of them good");
}

#[test]
fn a_restore_gives_the_right_bytes_or_an_error_whatever_went_wrong() {
    let specimen = Specimen::new();
    write_tree(&specimen.bench.path("new"), 3);
    let cases = at_every_call(&specimen, |place, name| {
        let original = &specimen.backups[0];
        let snapshot = place.repository.snapshots();
        if let Ok(Some(snapshot)) = snapshot.map(|all| all.into_iter().find(|s| s.id == original.id)) {
            // Compares every byte where it went well, and what there is where it did not.
            let _ = specimen.restore(&place.repository, &snapshot, &original.tree);
        }
        place.storage.heal();
        let when = case(place, "restore", name);
        place.assert_no_lock_stays(&when);
        place.assert_next_works(2, &when);
    });
    tell(&format!("restore: {cases} cases\n"));
    assert!(cases > 100, "{cases}");
}

#[test]
fn a_check_never_calls_a_damaged_repository_sound_whatever_went_wrong() {
    let mut specimen = Specimen::new();
    write_tree(&specimen.bench.path("new"), 3);
    let sound = specimen.objects.clone();
    let gone = specimen.path(0, Part::DataPack);
    let flipped = specimen.path(1, Part::DataPack);
    for damaged in [&gone, &flipped] {
        specimen.objects.clone_from(&sound);
        if *damaged == gone {
            specimen.objects.remove(&gone);
        } else {
            let mut bytes = specimen.objects[&flipped].to_vec();
            bytes[1000] ^= 4;
            specimen.objects.insert(flipped.clone(), bytes.into());
        }
        let cases = at_every_call(&specimen, |place, name| {
            let outcome = check(&place.repository);
            place.storage.heal();
            let when = case(place, "check", name);
            if let Ok(report) = outcome {
                assert!(!report.is_clean(), "{when}: a false green");
            }
            place.assert_no_lock_stays(&when);
            assert_eq!(place.repository.list(ObjectKind::Snapshot).unwrap().len(), 2, "{when}");
        });
        tell(&format!("check: {cases} cases\n"));
        assert!(cases > 100, "{cases}");
    }
}

#[test]
fn a_call_that_fails_for_a_moment_is_tried_again() {
    let specimen = Specimen::new();
    write_tree(&specimen.bench.path("new"), 3);
    for (call, text) in
        [(Call::Put, "data/"), (Call::Put, "index/"), (Call::Put, "snapshots/"), (Call::Stat, "data/")]
    {
        let place = Place::new(&specimen);
        place.storage.sometimes(call, text, 2, Fault::Fail(StorageErrorKind::Unavailable));
        specimen.back_up(&place.repository, &specimen.bench.path("new")).unwrap();
        place.assert_next_works(3, text);
    }
}

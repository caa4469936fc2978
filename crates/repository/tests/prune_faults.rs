//! What a prune does when a destination loses, spoils or withholds what it was told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    CheckOptions, IndexFile, Lock, ObjectKind, PruneOptions, PruneSummary, Repository, RepositoryError, Seal,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage, Random, wait_until};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;

struct Place {
    bench: Bench,
    inner: Arc<MemoryStorage>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
}

fn options() -> PruneOptions {
    PruneOptions { max_unused_percent: 0.0, wait: Duration::ZERO, ..PruneOptions::default() }
}

fn prune(repository: &Repository) -> Result<PruneSummary, RepositoryError> {
    repository.prune(&options(), &Cancel::new(), &Counters::default())
}

/// Two backups that share half of their files, of which the first was removed.
fn place() -> Place {
    let bench = Bench::new();
    let inner = Arc::new(MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    for number in 0..8 {
        fs::write(source.join(format!("{number}")), Random::new(number + 1).bytes(20_000)).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    let first = repository.snapshots().unwrap()[0].id.clone();
    for number in 0..4 {
        fs::remove_file(source.join(format!("{number}"))).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    repository.remove_snapshots(&[first]).unwrap();
    storage.forget_calls();
    Place { bench, inner, storage, repository }
}

impl Place {
    fn assert_sound(&self, when: &str) {
        let options = CheckOptions { read_data: true, threads: 2, ..CheckOptions::default() };
        let report = self.repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        assert_eq!(report.snapshots, 1, "{when}");
        self.assert_index_names_only_what_is_there(when);
    }

    /// What a pack is named in, a backup takes for stored.
    fn assert_index_names_only_what_is_there(&self, when: &str) {
        for (id, _) in self.repository.list(ObjectKind::Index).unwrap() {
            let json = self.repository.read_object(ObjectKind::Index, &id).unwrap();
            for pack in serde_json::from_slice::<IndexFile>(&json).unwrap().packs {
                let path = ObjectKind::Pack.path(&pack.id);
                let there = self.inner.with_objects(|objects| objects.contains_key(&path));
                assert!(there, "{when}: index {id} names {path}");
            }
        }
    }

    fn objects(&self, kind: ObjectKind) -> usize {
        self.repository.list(kind).unwrap().len()
    }
}

#[test]
fn packs_stay_as_long_as_an_old_index_object_names_them() {
    let place = place();
    let packs = place.objects(ObjectKind::Pack);
    place.storage.always(Call::Delete, "index/", Fault::Lose);
    let error = prune(&place.repository).unwrap_err();
    assert!(error.to_string().contains("still listed"), "{error}");
    place.storage.heal();
    assert!(place.objects(ObjectKind::Pack) >= packs);
    place.assert_sound("with removals lost");
    prune(&place.repository).unwrap();
    place.assert_sound("after the next prune");
}

#[test]
fn a_new_object_that_does_not_come_back_as_it_was_written_stops_the_prune() {
    for (text, fault) in [
        ("data/", Fault::FlipBit(999)),
        ("data/", Fault::Cut(50)),
        ("data/", Fault::Lose),
        ("index/", Fault::FlipBit(99)),
        ("index/", Fault::Cut(20)),
        ("index/", Fault::Lose),
    ] {
        let place = place();
        let when = format!("{text} {fault:?}");
        let (packs, snapshots) = (place.objects(ObjectKind::Pack), place.objects(ObjectKind::Snapshot));
        place.storage.always(Call::Put, text, fault);
        assert!(prune(&place.repository).is_err(), "{when}");
        place.storage.heal();
        let calls = place.storage.calls();
        let was_new = |path: &String| calls.iter().any(|(call, put)| *call == Call::Put && put == path);
        let removed = |(call, path): &(Call, String)| *call == Call::Delete && !was_new(path);
        assert!(!calls.iter().any(removed), "{when}: nothing is removed but what is no good");
        assert!(place.objects(ObjectKind::Pack) >= packs, "{when}");
        assert_eq!(place.objects(ObjectKind::Snapshot), snapshots, "{when}");
    }
}

#[test]
fn an_incomplete_or_failing_listing_stops_the_prune() {
    for text in ["snapshots", "index", "data"] {
        for fault in [Fault::Lose, Fault::Fail(StorageErrorKind::Other)] {
            let place = place();
            let packs = place.objects(ObjectKind::Pack);
            place.storage.always(Call::List, text, fault);
            assert!(prune(&place.repository).is_err(), "{text} {fault:?}");
            place.storage.heal();
            assert!(place.objects(ObjectKind::Pack) >= packs, "{text} {fault:?}");
            place.assert_sound(text);
        }
    }
}

#[test]
fn a_damaged_source_is_never_copied() {
    let place = place();
    let damaged = place.inner.with_objects(|objects| {
        // The larger pack holds the files; its first blobs are in use or not, so all are spoilt.
        let (path, bytes) = objects
            .iter()
            .filter(|(path, _)| path.starts_with("data/"))
            .max_by_key(|(_, b)| b.len())
            .unwrap();
        let (path, mut bytes) = (path.clone(), bytes.to_vec());
        for byte in bytes.iter_mut().step_by(1000) {
            *byte ^= 1;
        }
        objects.insert(path.clone(), bytes.into());
        path
    });
    let before = place.objects(ObjectKind::Pack);
    let error = prune(&place.repository).unwrap_err();
    assert!(
        error.to_string().contains(&damaged) && error.to_string().contains("nothing was removed"),
        "{error}"
    );
    assert!(place.objects(ObjectKind::Pack) >= before);
}

#[test]
fn a_pack_that_a_backup_needs_and_that_is_gone_or_short_stops_the_prune() {
    for cut in [None, Some(100)] {
        let place = place();
        let path = place.inner.with_objects(|objects| {
            let packs = objects.iter().filter(|(path, _)| path.starts_with("data/"));
            let (path, bytes) = packs.max_by_key(|(_, bytes)| bytes.len()).unwrap();
            let (path, bytes) = (path.clone(), bytes.clone());
            match cut {
                None => objects.remove(&path),
                Some(bytes_less) => objects.insert(path.clone(), bytes.slice(..bytes.len() - bytes_less)),
            };
            path
        });
        let error = prune(&place.repository).unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains("nothing was removed"), "{error}");
        assert!(!place.storage.calls().iter().any(|(c, p)| *c == Call::Delete && !p.starts_with("locks/")));
    }
}

#[test]
fn an_abort_is_heard_within_a_second_and_leaves_everything_sound() {
    for (call, text) in [
        (Call::List, ""),
        (Call::Get, "index/"),
        (Call::GetRange, "data/"),
        (Call::Put, "data/"),
        (Call::Put, "index/"),
        (Call::Delete, "index/"),
        (Call::Delete, "data/"),
    ] {
        let place = place();
        if call == Call::List {
            // The first two are the lock's own.
            place.storage.on_call(call, 3, Fault::Stall(Duration::from_secs(3)));
        } else {
            place.storage.always(call, text, Fault::Stall(Duration::from_secs(3)));
        }
        let cancel = Cancel::new();
        let began = std::thread::scope(|scope| {
            let work = scope.spawn(|| place.repository.prune(&options(), &cancel, &Counters::default()));
            wait_until("the call that hangs", Duration::from_secs(20), || {
                let hangs = |(made, path): &(Call, String)| {
                    *made == call && if text.is_empty() { path.is_empty() } else { path.starts_with(text) }
                };
                place.storage.calls().iter().any(hangs).then_some(())
            });
            cancel.cancel();
            let began = Instant::now();
            let error = work.join().unwrap().unwrap_err();
            assert!(error.is_canceled(), "{call:?} {text}: {error}");
            began
        });
        assert!(began.elapsed() < Duration::from_secs(1), "{call:?} {text}: {:?}", began.elapsed());
        if call == Call::Put {
            // What is still on its way keeps the lock, so that nobody removes what it may name.
            assert_eq!(place.objects(ObjectKind::Lock), 1, "{call:?} {text}");
        }
        place.storage.heal();
        let until = PruneOptions { wait: Duration::from_secs(30), ..options() };
        place.repository.prune(&until, &Cancel::new(), &Counters::default()).unwrap();
        place.assert_sound(&format!("{call:?} {text}"));
    }
}

#[test]
fn a_backup_and_a_prune_exclude_each_other() {
    let place = place();
    let writer = place.bench.writer(std::slice::from_ref(&place.repository), place.bench.options());
    let error = prune(&place.repository).unwrap_err().to_string();
    assert!(error.contains("is locked by process") && error.contains("wait until"), "{error}");
    writer.finish(Seal::default()).unwrap();
    prune(&place.repository).unwrap();
    let exclusive = Lock::exclusive(&place.repository, Duration::ZERO, &Cancel::new()).unwrap();
    assert!(matches!(prune(&place.repository).unwrap_err(), RepositoryError::Locked { .. }));
    drop(exclusive);
}

#[test]
fn leftovers_stay_where_a_program_without_locks_writes_too() {
    let place = place();
    let leftover = bytes::Bytes::from(Random::new(5).bytes(5000));
    let path = ObjectKind::Pack.path(&larder_repository::Id::of(&leftover));
    place.bench.runtime.block_on(place.inner.put(&path, leftover)).unwrap();
    let snapshot = place.repository.snapshots().unwrap().remove(0);
    let json = format!(
        r#"{{"time":"2026-03-01T12:00:00Z","tree":"{}","paths":["/x"],"program_version":"rustic 0.13"}}"#,
        snapshot.tree
    );
    let (id, sealed) = place.repository.seal_object(json.as_bytes()).unwrap();
    place.bench.runtime.block_on(place.inner.put(&ObjectKind::Snapshot.path(&id), sealed)).unwrap();
    let done = prune(&place.repository).unwrap();
    assert_eq!((done.leftover_packs_kept, done.leftover_packs_removed), (1, 0));
    place.bench.runtime.block_on(place.inner.delete(&ObjectKind::Snapshot.path(&id))).unwrap();
    let done = prune(&place.repository).unwrap();
    assert_eq!((done.leftover_packs_kept, done.leftover_packs_removed), (0, 1));
    place.assert_sound("without leftovers");
}

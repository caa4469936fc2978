//! Who may work on a repository at the same time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::Cancel;
use larder_repository::{Lock, ObjectKind, Repository, RepositoryError};
use larder_storage::Storage;
use larder_testbed::{Call, Fault, FaultyStorage, ManualClock, MemoryStorage, wait_until};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;

const AT_ONCE: Duration = Duration::ZERO;

struct Place {
    bench: Bench,
    clock: Arc<ManualClock>,
    storage: Arc<FaultyStorage>,
    repository: Repository,
}

fn place() -> Place {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let bench = Bench { clock: clock.clone(), ..Bench::new() };
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let repository = bench.create(storage.clone());
    Place { bench, clock, storage, repository }
}

impl Place {
    fn shared(&self) -> Result<Lock, RepositoryError> {
        Lock::shared(&self.repository, AT_ONCE, &Cancel::new())
    }

    fn exclusive(&self) -> Result<Lock, RepositoryError> {
        Lock::exclusive(&self.repository, AT_ONCE, &Cancel::new())
    }

    fn locks(&self) -> Vec<String> {
        self.repository.list(ObjectKind::Lock).unwrap().into_iter().map(|(id, _)| id.to_hex()).collect()
    }

    /// Writes a lock as some other program would.
    fn foreign(&self, json: &str) {
        let (id, sealed) = self.repository.seal_object(json.as_bytes()).unwrap();
        let path = ObjectKind::Lock.path(&id);
        self.bench.runtime.block_on(self.storage.put(&path, sealed)).unwrap();
    }
}

#[test]
fn shared_locks_go_together_and_exclusive_ones_with_nothing() {
    let place = place();
    let (one, two) = (place.shared().unwrap(), place.shared().unwrap());
    let error = place.exclusive().unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop((one, two));
    assert_eq!(place.locks(), [""; 0]);
    let exclusive = place.exclusive().unwrap();
    assert!(matches!(place.shared().unwrap_err(), RepositoryError::Locked { .. }));
    assert!(matches!(place.exclusive().unwrap_err(), RepositoryError::Locked { .. }));
    drop(exclusive);
    assert_eq!(place.locks(), [""; 0]);
    place.shared().unwrap();
}

#[test]
fn whoever_waits_gets_the_lock_when_it_is_free() {
    let place = place();
    let held = place.exclusive().unwrap();
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| Lock::shared(&place.repository, Duration::from_secs(30), &Cancel::new()));
        let before = place.storage.count(Call::List);
        wait_until("a second look", Duration::from_secs(10), || {
            (place.storage.count(Call::List) > before).then_some(())
        });
        drop(held);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn an_abort_ends_the_wait_for_a_lock() {
    let place = place();
    let _held = place.exclusive().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let began = Instant::now();
    let error = Lock::shared(&place.repository, Duration::from_secs(60), &cancel).unwrap_err();
    assert!(error.is_canceled() && began.elapsed() < Duration::from_secs(1));
}

#[test]
fn of_two_who_take_an_exclusive_lock_at_once_never_both_get_it() {
    let place = place();
    for _ in 0..3 {
        let taken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| place.exclusive())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(taken.iter().filter(|lock| lock.is_ok()).count() < 2);
    }
}

#[test]
fn a_lock_of_another_host_counts_until_it_is_stale() {
    let place = place();
    place.foreign(
        r#"{"time":"2026-03-01T11:50:00Z","exclusive":true,"hostname":"elsewhere","username":"u","pid":5}"#,
    );
    let error = place.shared().unwrap_err().to_string();
    assert!(error.contains("process 5 on elsewhere") && error.contains("600 s"), "{error}");
    place.clock.advance(SignedDuration::from_mins(21));
    place.shared().unwrap();
    assert_eq!(place.locks(), [""; 0]);
}

#[test]
fn a_lock_of_an_ended_process_of_this_host_is_removed_at_once() {
    let place = place();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    place.foreign(&format!(
        r#"{{"time":"2026-03-01T12:00:00Z","exclusive":true,"hostname":"{host}","username":"u","pid":{}}}"#,
        child.id()
    ));
    place.exclusive().unwrap();
    assert_eq!(place.locks(), [""; 0]);
}

#[test]
fn a_lock_that_cannot_be_read_stands_for_thirty_minutes() {
    let place = place();
    let path = ObjectKind::Lock.path(&larder_repository::Id::of(b"other"));
    place.bench.runtime.block_on(place.storage.put(&path, "rubbish".into())).unwrap();
    assert!(matches!(place.shared().unwrap_err(), RepositoryError::Locked { .. }));
    place.clock.advance(SignedDuration::from_mins(31));
    place.shared().unwrap();
}

#[test]
fn a_held_lock_is_renewed_every_five_minutes() {
    let place = place();
    let lock = place.shared().unwrap();
    let before = place.locks();
    place.clock.advance(SignedDuration::from_mins(5));
    wait_until("a renewed lock", Duration::from_secs(10), || {
        let now = place.locks();
        (now.len() == 1 && now != before).then_some(())
    });
    assert!(!lock.is_lost());
    place.clock.advance(SignedDuration::from_mins(20));
    assert!(!lock.is_lost());
    drop(lock);
    assert_eq!(place.locks(), [""; 0]);
}

#[test]
fn a_lock_that_cannot_be_renewed_is_lost_before_others_take_it_for_stale() {
    let place = place();
    let lock = place.shared().unwrap();
    place.storage.always(Call::Put, "locks/", Fault::Fail(larder_storage::StorageErrorKind::Unavailable));
    place.clock.advance(SignedDuration::from_mins(22));
    lock.check().unwrap();
    place.clock.advance(SignedDuration::from_mins(1));
    assert!(matches!(lock.check().unwrap_err(), RepositoryError::LockLost { .. }));
    place.storage.heal();
    assert!(lock.is_lost());
}

#[test]
fn a_lock_whose_removal_failed_does_not_hinder_this_process() {
    let place = place();
    let lock = place.exclusive().unwrap();
    place.storage.always(Call::Delete, "locks/", Fault::Fail(larder_storage::StorageErrorKind::Other));
    drop(lock);
    assert_eq!(place.locks().len(), 1);
    place.storage.heal();
    place.exclusive().unwrap();
    assert_eq!(place.locks(), [""; 0]);
}

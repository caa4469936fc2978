//! What opens a repository, and what it costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Secret};
use larder_repository::{
    Credentials, KeyLabel, KeyRing, Lock, OPEN_PASSWORD, ObjectKind, RawKey, Repository, RepositoryError,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage};
use std::sync::Arc;
use std::time::Duration;
use support::Bench;

const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQAAECAwQFBgc=";

fn password(text: &str) -> Credentials {
    Credentials::Password(Secret::new(text.to_owned()))
}

fn open(
    bench: &Bench,
    storage: &Arc<FaultyStorage>,
    credentials: &Credentials,
    ring: &KeyRing,
) -> Result<Repository, RepositoryError> {
    Repository::open_with(bench.runtime.handle(), storage.clone(), credentials, ring, bench.clock.clone())
}

fn create(bench: &Bench, credentials: &Credentials, ring: &KeyRing) -> (Repository, Arc<FaultyStorage>) {
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let handle = bench.runtime.handle();
    let repository =
        Repository::create_with(handle, storage.clone(), credentials, ring, bench.clock.clone()).unwrap();
    (repository, storage)
}

/// CPU time of this thread, by the kernel's account of it: see the documentation of `/proc/<pid>/schedstat`.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_repository_whose_key_is_known_opens_without_deriving_it_again() {
    let bench = Bench::new();
    let ring = KeyRing::new();
    let (_, storage) = create(&bench, &password("right"), &ring);
    let restarted = KeyRing::new();
    open(&bench, &storage, &password("right"), &restarted).unwrap();
    assert_eq!(restarted.derivations(), 1);
    storage.forget_calls();
    let before = cpu();
    for _ in 0..20 {
        open(&bench, &storage, &password("right"), &restarted).unwrap();
    }
    let each = (cpu() - before) / 20;
    assert_eq!(restarted.derivations(), 1);
    assert!(each < Duration::from_millis(50), "{each:?}");
    assert_eq!(storage.count(Call::Get), 40, "configuration and key file are read every time");
}

#[test]
fn after_a_restart_one_derivation_opens_all_repositories_of_a_password() {
    let bench = Bench::new();
    let made = KeyRing::new();
    let places: Vec<_> = (0..30).map(|_| create(&bench, &password("right"), &made).1).collect();
    assert_eq!(made.derivations(), 1);
    let restarted = KeyRing::new();
    for storage in &places {
        open(&bench, storage, &password("right"), &restarted).unwrap();
    }
    assert_eq!(restarted.derivations(), 1);
}

#[test]
fn a_random_key_opens_within_fifty_milliseconds_even_the_first_time() {
    let bench = Bench::new();
    let key = Credentials::Key(RawKey::from_base64(&Secret::new(KEY.to_owned())).unwrap());
    let (_, storage) = create(&bench, &key, &KeyRing::new());
    let before = cpu();
    open(&bench, &storage, &key, &KeyRing::new()).unwrap();
    let first = cpu() - before;
    assert!(first < Duration::from_millis(50), "{first:?}");
    // The same text as a password is the same to a reader.
    open(&bench, &storage, &password(KEY), &KeyRing::new()).unwrap();
}

#[test]
fn what_the_ring_knows_opens_nothing_that_the_destination_no_longer_holds() {
    let bench = Bench::new();
    let ring = KeyRing::new();
    let (_, storage) = create(&bench, &password("right"), &ring);
    let wrong = open(&bench, &storage, &password("wrong"), &ring).unwrap_err();
    assert!(matches!(wrong, RepositoryError::WrongKey { .. }), "{wrong}");
    storage.always(Call::Get, "config", Fault::FlipBit(300));
    let damaged = open(&bench, &storage, &password("right"), &ring).unwrap_err();
    assert!(damaged.to_string().contains("config"), "{damaged}");
    storage.heal();
    storage.always(Call::List, "keys", Fault::Lose);
    let gone = open(&bench, &storage, &password("right"), &ring).unwrap_err();
    assert!(matches!(gone, RepositoryError::Missing { .. }), "{gone}");
}

#[test]
fn a_key_file_that_cannot_be_read_does_not_hinder_the_others() {
    let bench = Bench::new();
    let (repository, storage) = create(&bench, &password("one"), &KeyRing::new());
    let second = repository.add_key(&password("two"), &KeyLabel::default(), &Cancel::new()).unwrap();
    let first = repository.keys(&Cancel::new()).unwrap().into_iter().find(|key| key.is_current).unwrap();
    for (bad, good) in [(first.id, "two"), (second, "one")] {
        for fault in [Fault::Fail(StorageErrorKind::Other), Fault::Cut(40), Fault::Lose] {
            storage.always(Call::Get, &bad.to_hex(), fault);
            open(&bench, &storage, &password(good), &KeyRing::new()).unwrap();
            storage.heal();
        }
    }
}

#[test]
fn keys_are_added_listed_and_removed_but_never_the_last() {
    let bench = Bench::new();
    let cancel = Cancel::new();
    let ring = KeyRing::new();
    let (repository, storage) = create(&bench, &password("one"), &ring);
    let first = repository.keys(&cancel).unwrap().remove(0);
    assert!(first.is_current);
    let last = repository.remove_key(&first.id, &cancel).unwrap_err();
    assert!(matches!(last, RepositoryError::KeyInUse { .. }), "{last}");
    let label = KeyLabel { username: "operator".to_owned(), hostname: "desk".to_owned() };
    let second = repository.add_key(&password("two"), &label, &cancel).unwrap();
    let keys = repository.keys(&cancel).unwrap();
    let added = keys.iter().find(|key| key.id == second).unwrap();
    assert!(keys.len() == 2 && added.label == label && !added.is_current);
    let by_second = open(&bench, &storage, &password("two"), &ring).unwrap();
    repository.remove_key(&second, &cancel).unwrap();
    // The key that this one was opened with is gone: it may not remove the one that is left.
    let refused = by_second.remove_key(&first.id, &cancel).unwrap_err();
    assert!(matches!(refused, RepositoryError::KeyInUse { .. }), "{refused}");
    assert!(open(&bench, &storage, &password("two"), &ring).is_err());
    open(&bench, &storage, &password("one"), &ring).unwrap();
    let missing = repository.remove_key(&second, &cancel).unwrap_err();
    assert!(matches!(missing, RepositoryError::Missing { .. }), "{missing}");
}

#[test]
fn a_changed_key_opens_and_the_old_one_no_more() {
    let bench = Bench::new();
    let cancel = Cancel::new();
    let (repository, storage) = create(&bench, &password("old"), &KeyRing::new());
    repository.change_key(&password("new"), &KeyLabel::default(), &cancel).unwrap();
    assert_eq!(repository.list(ObjectKind::Key).unwrap().len(), 1);
    assert!(open(&bench, &storage, &password("old"), &KeyRing::new()).is_err());
    open(&bench, &storage, &password("new"), &KeyRing::new()).unwrap();
    repository.change_key(&Credentials::Open, &KeyLabel::default(), &cancel).unwrap();
    open(&bench, &storage, &password(OPEN_PASSWORD), &KeyRing::new()).unwrap();
    let in_use = Lock::shared(&repository, Duration::ZERO, &cancel).unwrap();
    cancel.cancel();
    assert!(repository.change_key(&password("x"), &KeyLabel::default(), &cancel).unwrap_err().is_canceled());
    drop(in_use);
}

#[test]
fn the_old_key_stays_whatever_happens_to_the_new_one() {
    for fault in [
        Fault::Lose,
        Fault::Cut(100),
        Fault::FlipBit(2000),
        Fault::Fail(StorageErrorKind::Other),
        Fault::FailAfter(StorageErrorKind::Other),
    ] {
        let bench = Bench::new();
        let (repository, storage) = create(&bench, &password("old"), &KeyRing::new());
        storage.always(Call::Put, "keys/", fault);
        repository.change_key(&password("new"), &KeyLabel::default(), &Cancel::new()).unwrap_err();
        storage.heal();
        open(&bench, &storage, &password("old"), &KeyRing::new())
            .unwrap_or_else(|e| panic!("{fault:?}: {e}"));
    }
}

#[test]
fn a_failed_removal_leaves_both_keys() {
    let bench = Bench::new();
    let (repository, storage) = create(&bench, &password("old"), &KeyRing::new());
    storage.always(Call::Delete, "keys/", Fault::Fail(StorageErrorKind::Other));
    repository.change_key(&password("new"), &KeyLabel::default(), &Cancel::new()).unwrap_err();
    storage.heal();
    for text in ["old", "new"] {
        open(&bench, &storage, &password(text), &KeyRing::new()).unwrap();
    }
    let objects = bench.runtime.block_on(storage.list("keys")).unwrap();
    assert_eq!(objects.len(), 2);
}

//! Removing backups by name: all that were named, or none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupId, Cancel};
use larder_repository::{Lock, Repository, RepositoryError};
use larder_testbed::{Call, Fault, FaultyStorage, MemoryStorage};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use support::Bench;

const AT_ONCE: Duration = Duration::ZERO;

fn place() -> (Bench, Repository, Arc<FaultyStorage>, Vec<BackupId>) {
    let bench = Bench::new();
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    for round in 0..3 {
        fs::write(source.join("file"), format!("{round}")).unwrap();
        bench.back_up(std::slice::from_ref(&repository), &source);
    }
    let ids = repository.snapshots().unwrap().into_iter().map(|snapshot| snapshot.id).collect();
    (bench, repository, storage, ids)
}

#[test]
fn the_named_backups_go_and_no_other() {
    let (_bench, repository, _, ids) = place();
    // A backup that runs does not mind.
    let _shared = Lock::shared(&repository, AT_ONCE, &Cancel::new()).unwrap();
    repository.forget(&ids[..2], AT_ONCE, &Cancel::new()).unwrap();
    assert_eq!(repository.snapshots().unwrap()[0].id, ids[2]);
    repository.forget(&[], AT_ONCE, &Cancel::new()).unwrap();
}

#[test]
fn one_name_that_is_none_removes_nothing() {
    let (_bench, repository, _, ids) = place();
    let unknown = "0".repeat(64);
    for wrong in ["", "latest", &ids[0].0[..8], &unknown] {
        let named = [ids[0].clone(), BackupId(wrong.to_owned())];
        let error = repository.forget(&named, AT_ONCE, &Cancel::new()).unwrap_err();
        assert!(error.to_string().contains("no backup was removed"), "{error}");
        assert_eq!(repository.snapshots().unwrap().len(), 3);
    }
}

#[test]
fn a_prune_is_waited_for_and_a_removal_that_was_lost_is_noticed() {
    let (_bench, repository, storage, ids) = place();
    let prune = Lock::exclusive(&repository, AT_ONCE, &Cancel::new()).unwrap();
    let error = repository.forget(&ids[..1], AT_ONCE, &Cancel::new()).unwrap_err();
    assert!(matches!(error, RepositoryError::Locked { .. }), "{error}");
    drop(prune);
    storage.always(Call::Delete, "snapshots/", Fault::Lose);
    let error = repository.forget(&ids[..1], AT_ONCE, &Cancel::new()).unwrap_err();
    assert!(matches!(error, RepositoryError::Doubtful { .. }), "{error}");
    storage.heal();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(repository.forget(&ids[..1], AT_ONCE, &cancel).unwrap_err().is_canceled());
    assert_eq!(repository.snapshots().unwrap().len(), 3);
}

//! The state in a file keeps every promise, survives its process, and is never silently begun anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod conformance;

use larder_state::{RedbState, State, StateError, Transaction, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn open(directory: &Path) -> Result<RedbState, StateError> {
    RedbState::open(&directory.join("state.redb"))
}

async fn filled(directory: &Path) -> PathBuf {
    let state = open(directory).unwrap();
    for round in 0..50 {
        let writes = (0..20).map(|i| Write::Put(format!("key/{i}"), vec![round; 500])).collect();
        state.commit(Transaction { conditions: Vec::new(), writes }).await.unwrap();
    }
    directory.join("state.redb")
}

#[tokio::test]
async fn it_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::every_promise_is_kept(|| {
        number += 1;
        Arc::new(RedbState::open(&directory.path().join(format!("{number}.redb"))).unwrap())
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let state = open(directory.path()).unwrap();
    assert_eq!(state.revision().await.unwrap(), 50);
    assert_eq!(*state.watch().borrow(), 50);
    assert_eq!(state.get("key/7").await.unwrap().unwrap().value, vec![49; 500]);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["state.redb"]);
}

#[tokio::test]
async fn a_second_one_is_told_that_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("--data"));
    drop(first);
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = filled(directory.path()).await;
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    for byte in &mut flipped[4096..] {
        *byte ^= 0x55;
    }
    let cases = [
        ("empty", Vec::new()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("cut to its head", whole[..100].to_vec()),
        ("flipped", flipped),
        ("text", b"not a database at all\n".repeat(500)),
    ];
    for (name, bytes) in cases {
        std::fs::write(&path, &bytes).unwrap();
        let error = open(directory.path()).map(|_| ()).expect_err(name);
        assert!(matches!(error, StateError::Damaged { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("state.redb"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len(), "{name}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(open(directory.path()).unwrap().revision().await.unwrap(), 50);
}

#[test]
fn a_file_of_another_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    drop(redb::Database::create(&path).unwrap());
    let error = open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("not one of Larder's"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = RedbState::open(Path::new("/nowhere/at/all/state.redb")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all/state.redb"), "{error}");
}

//! What a directory promises beyond what every destination does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_storage::{Local, Storage, StorageErrorKind};
use larder_testbed::TempDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_missing_root_is_an_error_and_is_not_made() {
    let directory = TempDir::new();
    let root = directory.join("not/there");
    assert_eq!(Local::open(&root).unwrap_err().kind, StorageErrorKind::NotFound);
    assert!(!root.exists());
    let storage = Local::create(&root).unwrap();
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    assert!(Local::open(&root).is_ok());
}

#[tokio::test]
async fn a_file_is_no_root() {
    let directory = TempDir::new();
    fs::write(directory.join("file"), "x").unwrap();
    assert_eq!(Local::open(directory.join("file")).unwrap_err().kind, StorageErrorKind::Invalid);
    assert!(Local::create(directory.join("file")).is_err());
}

#[tokio::test]
async fn a_root_that_vanished_is_an_error_for_every_call_and_is_not_made_again() {
    let directory = TempDir::new();
    let root = directory.join("disk");
    let storage = Local::create(&root).unwrap();
    storage.put("data/one", Bytes::from_static(b"x")).await.unwrap();
    fs::rename(&root, directory.join("elsewhere")).unwrap();
    for _ in 0..2 {
        let errors = [
            storage.put("data/two", Bytes::new()).await.unwrap_err(),
            storage.put_new("data/two", Bytes::new()).await.unwrap_err(),
            storage.get("data/one").await.unwrap_err(),
            storage.stat("data/one").await.unwrap_err(),
            storage.list("").await.unwrap_err(),
            storage.delete("data/one").await.unwrap_err(),
            storage.free_bytes().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, StorageErrorKind::Unavailable, "{error}");
        }
        // The second time there is an empty directory in its place, as after an unmount.
        let _ = fs::create_dir(&root);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[tokio::test]
async fn leftovers_of_dead_writers_are_not_listed_and_go_away() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    storage.put("data/one", Bytes::from_static(b"x")).await.unwrap();
    fs::write(directory.join(".tmp/4711-0"), "half an object").unwrap();
    let living = fs::File::create(directory.join(".tmp/4712-0")).unwrap();
    living.lock().unwrap();
    let listed = storage.list("").await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    Local::open(directory.path()).unwrap();
    assert!(!directory.join(".tmp/4711-0").exists(), "the leftover of a dead writer stayed");
    assert!(directory.join(".tmp/4712-0").exists(), "a living writer's file was taken away");
    assert!(storage.get(".tmp/4712-0").await.is_err());
}

#[tokio::test]
async fn finished_writes_leave_nothing_behind() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    for round in 0..3 {
        storage.put("a/b/c", Bytes::from(vec![round; 100])).await.unwrap();
        storage.put_new("a/b/c", Bytes::from_static(b"late")).await.unwrap();
    }
    storage.put("a/b/c/below-a-file", Bytes::new()).await.unwrap_err();
    assert_eq!(fs::read_dir(directory.join(".tmp")).unwrap().count(), 0);
    let mode = fs::metadata(directory.join("a/b/c")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read what is stored");
}

#[tokio::test]
async fn a_folder_removed_behind_its_back_is_made_again() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    storage.put("data/ab/one", Bytes::from_static(b"x")).await.unwrap();
    fs::remove_dir_all(directory.join("data")).unwrap();
    storage.put("data/ab/two", Bytes::from_static(b"y")).await.unwrap();
    assert_eq!(storage.get("data/ab/two").await.unwrap(), "y");
}

#[tokio::test]
async fn a_name_that_is_not_text_ends_a_listing_with_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    fs::write(directory.join(std::ffi::OsStr::from_bytes(b"foreign-\xff")), "x").unwrap();
    let error = storage.list("").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid);
    assert!(error.to_string().contains("move it away"), "{error}");
}

#[tokio::test]
async fn a_pipe_in_place_of_an_object_does_not_block_a_reader() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert_eq!(storage.get("pipe").await.unwrap_err().kind, StorageErrorKind::NotFound);
    assert!(storage.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_that_was_cut_short_is_reported_as_damaged() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    storage.put("pack", Bytes::from(vec![7; 1000])).await.unwrap();
    fs::OpenOptions::new().write(true).open(directory.join("pack")).unwrap().set_len(400).unwrap();
    assert_eq!(storage.get_range("pack", 300..500).await.unwrap_err().kind, StorageErrorKind::Damaged);
    assert_eq!(storage.stat("pack").await.unwrap().unwrap().size_bytes, 400);
}

#[tokio::test]
async fn free_space_is_told() {
    let directory = TempDir::new();
    let storage = Local::open(directory.path()).unwrap();
    assert!(storage.free_bytes().await.unwrap().unwrap() > 0);
    assert!(storage.capabilities().free_space);
}

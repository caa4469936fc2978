//! Every destination passes the same suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_storage::{Folder, Local, Storage};
use larder_testbed::{FaultyStorage, MemoryStorage, TempDir, storage_suite};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_local_directory_passes() {
    let directory = TempDir::new();
    let storage: Arc<dyn Storage> = Arc::new(Local::open(directory.path()).unwrap());
    storage_suite::run(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_local_directory_passes() {
    let directory = TempDir::new();
    let local: Arc<dyn Storage> = Arc::new(Local::open(directory.path()).unwrap());
    let storage: Arc<dyn Storage> = Arc::new(Folder::new(local, "some/where"));
    storage_suite::run(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_passes_also_behind_a_wrapper_without_faults() {
    let storage: Arc<dyn Storage> = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    storage_suite::run(&storage).await;
}

//! FTP against servers that lack something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, FtpSettings};
use larder_storage::{Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{PyFtpd, Random, storage_suite};
use serde_json::json;
use std::fs;
use std::sync::Arc;

fn open_as(server: &PyFtpd, user: &str) -> Arc<dyn Storage> {
    let settings = FtpSettings {
        url: Some("ftp://127.0.0.1/backups".to_owned()),
        port: Some(server.port()),
        user_name: Some(user.to_owned()),
        password: Some(Secret::new(PyFtpd::PASSWORD.to_owned())),
        ..FtpSettings::default()
    };
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::Ftp(&settings)).unwrap()
}

fn open(server: &PyFtpd) -> Arc<dyn Storage> {
    open_as(server, PyFtpd::USER)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_listings_for_machines_passes_the_suite() {
    let server = PyFtpd::start(&json!({ "without": ["MLSD", "MLST", "EPSV", "FEAT"] }));
    storage_suite::run(&open(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lists_as_dos_does_is_understood() {
    let server = PyFtpd::start(&json!({ "without": ["MLSD", "MLST"], "dos": true }));
    let storage = open(&server);
    storage_suite::listings_are_complete(&storage).await;
    storage_suite::special_characters_are_kept(&storage).await;
    storage_suite::reading_what_is_not_there_says_so(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_no_sizes_passes_the_suite() {
    let server = PyFtpd::start(&json!({ "without": ["SIZE"] }));
    let storage = open(&server);
    storage_suite::reading_what_is_not_there_says_so(&storage).await;
    storage_suite::ranges_are_exact_or_errors(&storage).await;
    storage_suite::writing_again_replaces(&storage).await;
    storage_suite::removed_objects_are_gone(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_behind_a_router_is_not_believed() {
    let server = PyFtpd::start(&json!({ "without": ["EPSV"], "masquerade": "10.255.255.1" }));
    let storage = open(&server);
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(storage.get("one").await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_cut_goes_on_where_it_ended() {
    let data = Bytes::from(Random::new(7).bytes(6 << 20));
    for without in [json!([]), json!(["REST"])] {
        let server = PyFtpd::start(&json!({ "cut_upload_after": 2 << 20, "without": without }));
        let storage = open(&server);
        storage.put("one", data.clone()).await.unwrap();
        assert!(fs::read(server.home("backups/one")).unwrap() == data, "the object came out changed");
        assert_eq!(fs::read_dir(server.home("backups/.tmp")).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_read_is_told_so() {
    let server = PyFtpd::start(&json!({}));
    let storage = open(&server);
    storage.put("data/one", Bytes::from_static(b"x")).await.unwrap();
    let reader = open_as(&server, PyFtpd::READER);
    assert_eq!(reader.get("data/one").await.unwrap(), "x");
    assert_eq!(reader.list("").await.unwrap().len(), 1);
    for error in [
        reader.put("data/two", Bytes::new()).await.unwrap_err(),
        reader.put("data/one", Bytes::new()).await.unwrap_err(),
        reader.delete("data/one").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    }
    assert_eq!(storage.get("data/one").await.unwrap(), "x");
}

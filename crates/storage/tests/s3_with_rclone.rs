//! S3 as a store speaks it that ignores preconditions: `rclone serve s3`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use bytes::Bytes;
use larder_storage::{ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{RcloneS3, storage_suite};
use std::sync::Arc;
use support::{s3, s3_by};

fn open(server: &RcloneS3, folder: &str) -> Arc<dyn Storage> {
    s3(&server.url(), server.key(), "backups", |settings| {
        settings.remote_folder_name = Some(folder.to_owned())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_preconditions_passes_and_is_found_out() {
    let server = RcloneS3::start("backups");
    let storage = open(&server, "some/where");
    storage_suite::run(&storage).await;
    assert!(!storage.capabilities().conditional_put, "it was said to keep a promise that it does not know");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_there_is_not_replaced_even_before_the_store_is_found_out() {
    let server = RcloneS3::start("backups");
    open(&server, "").put("config", Bytes::from_static(b"old")).await.unwrap();
    let storage = open(&server, "");
    assert!(!storage.put_new("config", Bytes::from_static(b"new")).await.unwrap());
    assert_eq!(storage.get("config").await.unwrap(), "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_named() {
    let server = RcloneS3::start("backups");
    let storage = s3(&server.url(), ("AKRCLONE", "wrong"), "backups", |_| {});
    let error = storage.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied);
    assert!(error.to_string().contains("AwsSecretKey"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_server_is_spoken_to_only_if_its_certificate_is_trusted() {
    let server = RcloneS3::start_encrypted("backups");
    let stranger = s3(&server.url(), server.key(), "backups", |_| {});
    let error = stranger.put("a", Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("is not trusted"), "{error}");
    let settings =
        ConnectorSettings { root_certificates: vec![server.certificate()], ..ConnectorSettings::default() };
    // Without a signed hash, too: the connection itself protects what is sent.
    for unsigned in [false, true] {
        let storage = s3_by(settings.clone(), &server.url(), server.key(), "backups", |settings| {
            settings.disable_checksum_validation = unsigned;
        });
        storage.put("a", Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(storage.get("a").await.unwrap(), "x");
    }
}

//! Google Cloud Storage, against an emulator, and against a strict stand-in for what that takes no notice of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, GoogleCloudSettings, GoogleStorageClass};
use larder_storage::{Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{FakeAnswer, GcsEmulator, GcsFake, Random, storage_suite};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

fn open(settings: &GoogleCloudSettings) -> Arc<dyn Storage> {
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::GoogleCloud(settings)).unwrap()
}

fn at(url: String) -> GoogleCloudSettings {
    GoogleCloudSettings {
        bucket_name: Some("larder".to_owned()),
        custom_server_url: Some(url),
        ..GoogleCloudSettings::default()
    }
}

fn with_account() -> (GcsFake, GoogleCloudSettings) {
    let fake = GcsFake::start();
    let credentials = Some(Secret::new(fake.credentials()));
    let settings = GoogleCloudSettings { google_credentials_json: credentials, ..at(fake.url()) };
    (fake, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_bucket_of_the_emulator_passes_the_suite() {
    let emulator = GcsEmulator::start();
    let settings =
        GoogleCloudSettings { remote_folder_name: Some("some/where".to_owned()), ..at(emulator.url()) };
    let storage = open(&settings);
    assert_eq!(storage.describe(), "gs://larder/some/where");
    storage_suite::run(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_the_strict_stand_in_passes_the_suite_with_one_token() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage_suite::run(&storage).await;
    assert_eq!(fake.requests().iter().filter(|request| *request == "POST /token").count(), 1);
}

#[tokio::test]
async fn an_object_of_more_than_64_mib_is_written_in_parts() {
    let emulator = GcsEmulator::start();
    let (fake, strict) = with_account();
    for storage in [open(&at(emulator.url())), open(&strict)] {
        let data: Bytes = Random::new(1).bytes((80 << 20) + 5).into();
        storage.put("large", data.clone()).await.unwrap();
        assert!(storage.get("large").await.unwrap() == data);
        assert!(!storage.put_new("large", data.clone()).await.unwrap());
        assert!(
            storage.get_range("large", (70 << 20)..(70 << 20) + 9).await.unwrap()
                == data.slice(70 << 20..(70 << 20) + 9)
        );
    }
    assert_eq!(fake.requests().iter().filter(|request| request.starts_with("PUT ")).count(), 6);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    let data: Bytes = Random::new(2).bytes(73 << 20).into();
    fake.lose_half_a_part();
    storage.put("large", data.clone()).await.unwrap();
    assert!(storage.get("large").await.unwrap() == data);
    // Parts of 16 MiB make five; half of the first one arrived.
    assert_eq!(fake.requests().iter().filter(|request| request.starts_with("PUT ")).count(), 6);
}

#[tokio::test]
async fn an_upload_that_fails_is_called_off() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.put("small", Bytes::from_static(b"a token is had")).await.unwrap();
    let session = format!("{}/upload/storage/v1/b/larder/o?uploadType=resumable&upload_id=0", fake.url());
    fake.answer_next([FakeAnswer::status(200).header("Location", session), FakeAnswer::status(403)]);
    let error = storage.put("large", Random::new(3).bytes((64 << 20) + 1).into()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    assert_eq!(fake.requests().last().unwrap(), "DELETE /upload/storage/v1/b/larder/o");
    assert_eq!(storage.stat("large").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_a_new_object_one_is_told_so_where_conditions_count() {
    let (_fake, settings) = with_account();
    let storage = open(&settings);
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let storage = Arc::clone(&storage);
        writers.spawn(async move { storage.put_new("one", vec![writer; 1000].into()).await.unwrap() });
    }
    assert_eq!(writers.join_all().await.into_iter().filter(|won| *won).count(), 1);
}

#[tokio::test]
async fn googles_own_server_is_relied_on_for_conditions_and_no_other() {
    let (_fake, mut settings) = with_account();
    assert!(!open(&settings).capabilities().conditional_put);
    settings.custom_server_url = None;
    assert!(open(&settings).capabilities().conditional_put);
    settings.google_credentials_json = None;
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let error = connector.connect(Block::GoogleCloud(&settings)).unwrap_err();
    assert!(error.to_string().contains("no GoogleCredentialsJson is given"), "{error}");
}

#[tokio::test]
async fn only_data_lies_in_the_colder_class_and_can_be_read_at_once() {
    let (fake, mut settings) = with_account();
    settings.storage_class = Some(GoogleStorageClass::Archive);
    let storage = open(&settings);
    assert!(!storage.capabilities().cold);
    storage.put("index/one", Bytes::from_static(b"index")).await.unwrap();
    storage.put_cold("data/one", Bytes::from_static(b"pack")).await.unwrap();
    storage.put_cold("data/large", Random::new(4).bytes((64 << 20) + 1).into()).await.unwrap();
    assert_eq!(fake.class("index/one").as_deref(), Some("STANDARD"));
    assert_eq!(fake.class("data/one").as_deref(), Some("ARCHIVE"));
    assert_eq!(fake.class("data/large").as_deref(), Some("ARCHIVE"));
    assert_eq!(storage.get("data/one").await.unwrap(), "pack");
}

#[tokio::test]
async fn a_key_that_is_not_the_accounts_gets_no_token() {
    let (fake, mut settings) = with_account();
    let other = GcsFake::start();
    let credentials = other.credentials().replace(&other.url(), &fake.url());
    settings.google_credentials_json = Some(Secret::new(credentials));
    let error = open(&settings).list("").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("backup@larder.example"), "{error}");
    assert!(!error.to_string().contains("PRIVATE"), "{error}");
}

#[tokio::test]
async fn without_credentials_a_server_that_wants_them_says_so() {
    let fake = GcsFake::start();
    let error = open(&at(fake.url())).list("").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("give GoogleCredentialsJson"), "{error}");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    fake.revoke_tokens();
    assert_eq!(storage.get("a").await.unwrap(), "x");
    assert_eq!(storage.get("a").await.unwrap(), "x");
    assert_eq!(fake.requests().iter().filter(|request| *request == "POST /token").count(), 2);
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let (fake, settings) = with_account();
    fake.forbid();
    let storage = open(&settings);
    for (error, right) in [
        (storage.put("a", Bytes::new()).await.unwrap_err(), "storage.objects.create"),
        (storage.get("a").await.unwrap_err(), "storage.objects.get"),
        (storage.list("").await.unwrap_err(), "storage.objects.list"),
        (storage.delete("a").await.unwrap_err(), "storage.objects.delete"),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(
            error.to_string().contains(&format!("backup@larder.example lacks the right {right}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_and_no_empty_destination() {
    let (_fake, mut settings) = with_account();
    settings.bucket_name = Some("nowhere".to_owned());
    let storage = open(&settings);
    let errors = [
        storage.list("").await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.stat("a").await.unwrap_err(),
        storage.put("a", Bytes::new()).await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("there is no bucket 'nowhere'"), "{error}");
    }
    // This one does not say why there is nothing.
    let emulator = GcsEmulator::start();
    let mut settings = at(emulator.url());
    settings.bucket_name = Some("nowhere".to_owned());
    assert_eq!(open(&settings).list("").await.unwrap_err().kind, StorageErrorKind::Invalid);
}

#[tokio::test]
async fn a_busy_server_is_unavailable_for_as_long_as_it_says() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    let limited =
        r#"{"error": {"code": 403, "message": "slower", "errors": [{"reason": "userRateLimitExceeded"}]}}"#;
    for (status, body) in [(429, ""), (503, ""), (500, ""), (403, limited)] {
        fake.answer_next([FakeAnswer::status(status).header("Retry-After", "5").body(body)]);
        let error = storage.put("a", Bytes::from_static(b"y")).await.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Unavailable, "{error}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(5)), "{error}");
    }
    assert_eq!(storage.get("a").await.unwrap(), "x");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_unavailable_and_never_taken_for_the_whole() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.put("a", Bytes::from_static(b"0123456789")).await.unwrap();
    fake.answer_next([FakeAnswer::status(200).body("0123456789").cut()]);
    assert_eq!(storage.get("a").await.unwrap_err().kind, StorageErrorKind::Unavailable);
    fake.answer_next([FakeAnswer::status(206).header("Content-Range", "bytes 2-4/10").body("234")]);
    assert_eq!(storage.get_range("a", 2..9).await.unwrap_err().kind, StorageErrorKind::Damaged);
    fake.answer_next([FakeAnswer::status(206).header("Content-Range", "bytes 0-6/10").body("0123456")]);
    assert_eq!(storage.get_range("a", 2..9).await.unwrap_err().kind, StorageErrorKind::Damaged);
    // A server that takes no notice of the range.
    fake.answer_next([FakeAnswer::status(200).body("0123456789")]);
    assert_eq!(storage.get_range("a", 2..9).await.unwrap(), "2345678");
    fake.answer_next([FakeAnswer::status(200).body("<html>Sign in</html>")]);
    assert_eq!(storage.list("").await.unwrap_err().kind, StorageErrorKind::Damaged);
    fake.answer_next([
        FakeAnswer::status(200).body(r#"{"kind": "storage#objects", "items": [{"name": "a", "size""#)
    ]);
    assert_eq!(storage.list("").await.unwrap_err().kind, StorageErrorKind::Damaged);
}

#[tokio::test]
async fn bytes_that_changed_on_the_way_are_refused() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.list("").await.unwrap();
    fake.answer_next([FakeAnswer::status(200).body(r#"{"md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}"#)]);
    let error = storage.put("a", Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn no_call_asks_for_more_than_it_needs() {
    let (fake, settings) = with_account();
    let storage = open(&settings);
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    storage.put_cold("a", Bytes::from_static(b"x")).await.unwrap();
    storage.get("a").await.unwrap();
    storage.get_range("a", 0..1).await.unwrap();
    storage.stat("a").await.unwrap();
    storage.delete("a").await.unwrap();
    assert_eq!(fake.requests().len(), 1 + 6, "{:?}", fake.requests());
}

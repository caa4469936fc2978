//! Azure Blob Storage, against Microsoft's own emulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{AzureAccessTier, AzureSettings, Block};
use larder_storage::{Availability, Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{Azurite, FakeAnswer, HttpFake, Random, storage_suite};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn settings(url: String, container: &str) -> AzureSettings {
    AzureSettings {
        storage_container: Some(container.to_owned()),
        account_name: Some(Azurite::ACCOUNT.to_owned()),
        account_key: Some(Secret::new(Azurite::KEY.to_owned())),
        custom_server_url: Some(url),
        ..AzureSettings::default()
    }
}

fn open(settings: &AzureSettings) -> Arc<dyn Storage> {
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::Azure(settings)).unwrap()
}

fn with_container() -> (Azurite, AzureSettings) {
    let azurite = Azurite::start();
    azurite.make_container("backups");
    let settings = settings(azurite.url(), "backups");
    (azurite, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_passes_the_suite_with_the_accounts_key() {
    let (_azurite, settings) = with_container();
    let storage = open(&settings);
    assert!(storage.capabilities().conditional_put && !storage.capabilities().cold);
    storage_suite::run(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_container_passes_the_suite_with_a_token() {
    let (azurite, mut settings) = with_container();
    settings.account_key = None;
    settings.sas_token = Some(Secret::new(azurite.sas_token("backups", "racwdl")));
    settings.remote_folder_name = Some("/some/where & else/".to_owned());
    let storage = open(&settings);
    assert_eq!(storage.describe(), "azure://larder/backups/some/where & else");
    storage_suite::run(&storage).await;
    settings.remote_folder_name = Some("some".to_owned());
    let listed = open(&settings).list("").await.unwrap();
    assert!(listed.iter().all(|object| object.path.starts_with("where & else/")) && !listed.is_empty());
}

#[tokio::test]
async fn an_object_of_more_than_64_mib_is_written_in_blocks_and_replaced_whole() {
    let (_azurite, settings) = with_container();
    let storage = open(&settings);
    for (seed, length) in [(1, (64 << 20) + 1), (2, 80 << 20)] {
        let data: Bytes = Random::new(seed).bytes(length).into();
        storage.put("large", data.clone()).await.unwrap();
        assert!(storage.get("large").await.unwrap() == data);
    }
    assert!(!storage.put_new("large", Random::new(3).bytes((64 << 20) + 1).into()).await.unwrap());
    assert_eq!(storage.stat("large").await.unwrap().unwrap().size_bytes, 80 << 20);
    assert_eq!(storage.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_data_lies_in_the_archive_and_is_read_once_it_was_asked_for() {
    let (_azurite, mut settings) = with_container();
    settings.access_tier = Some(AzureAccessTier::Archive);
    let storage = open(&settings);
    assert!(storage.capabilities().cold);
    storage.put("index/one", Bytes::from_static(b"index")).await.unwrap();
    storage.put_new("config", Bytes::from_static(b"config")).await.unwrap();
    storage.put_cold("data/ab/one", Bytes::from_static(b"pack")).await.unwrap();
    for path in ["index/one", "config"] {
        assert_eq!(storage.availability(path).await.unwrap(), Availability::Ready, "{path}");
        storage.get(path).await.unwrap();
    }
    assert_eq!(storage.availability("data/ab/one").await.unwrap(), Availability::Cold);
    assert_eq!(storage.get("data/ab/one").await.unwrap_err().kind, StorageErrorKind::Cold);
    assert_eq!(storage.get_range("data/ab/one", 0..2).await.unwrap_err().kind, StorageErrorKind::Cold);
    assert_eq!(storage.stat("data/ab/one").await.unwrap().unwrap().size_bytes, 4);

    // The emulator makes it readable at once; the real service takes hours.
    let paths = ["data/ab/one".to_owned(), "index/one".to_owned()];
    storage.request(&paths).await.unwrap();
    storage.request(&paths).await.unwrap();
    assert_eq!(storage.availability("data/ab/one").await.unwrap(), Availability::Ready);
    assert_eq!(storage.get("data/ab/one").await.unwrap(), "pack");
    assert_eq!(storage.availability("nothing").await.unwrap_err().kind, StorageErrorKind::NotFound);
    storage.delete("data/ab/one").await.unwrap();
}

#[tokio::test]
async fn other_tiers_are_readable_at_once() {
    for tier in [AzureAccessTier::Hot, AzureAccessTier::Cool, AzureAccessTier::Cold] {
        let (_azurite, mut settings) = with_container();
        settings.access_tier = Some(tier);
        let storage = open(&settings);
        assert!(!storage.capabilities().cold, "{tier:?}");
        storage.put_cold("data/one", Bytes::from_static(b"pack")).await.unwrap();
        assert_eq!(storage.availability("data/one").await.unwrap(), Availability::Ready, "{tier:?}");
        assert_eq!(storage.get("data/one").await.unwrap(), "pack", "{tier:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_denied_by_every_call_and_named_without_a_secret() {
    let (_azurite, mut settings) = with_container();
    settings.account_key = Some(Secret::new("bm90IHRoZSBrZXk=".to_owned()));
    let storage = open(&settings);
    let errors = [
        storage.put("a", Bytes::from_static(b"x")).await.unwrap_err(),
        storage.put_new("a", Bytes::new()).await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.list("").await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("the AccountKey is not that of the account 'larder'"), "{error}");
        assert!(!error.to_string().contains("bm90"), "{error}");
    }
    // An answer without a body says less.
    assert_eq!(storage.stat("a").await.unwrap_err().kind, StorageErrorKind::Denied);
}

#[tokio::test]
async fn a_token_without_a_right_says_which_is_missing() {
    let (azurite, mut settings) = with_container();
    settings.account_key = None;
    open(&AzureSettings {
        sas_token: Some(Secret::new(azurite.sas_token("backups", "racwdl"))),
        ..settings.clone()
    })
    .put("a", Bytes::from_static(b"x"))
    .await
    .unwrap();
    settings.sas_token = Some(Secret::new(format!("?{}", azurite.sas_token("backups", "r"))));
    let storage = open(&settings);
    assert_eq!(storage.get("a").await.unwrap(), "x");
    for (error, right) in [
        (storage.put("b", Bytes::new()).await.unwrap_err(), "Create and Write (cw)"),
        (storage.list("").await.unwrap_err(), "List (l)"),
        (storage.delete("a").await.unwrap_err(), "Delete (d)"),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        let said = error.to_string();
        assert!(said.contains(right) && !said.contains("sig="), "{said}");
    }
}

#[tokio::test]
async fn a_missing_container_is_an_error_and_no_empty_destination() {
    let azurite = Azurite::start();
    let storage = open(&settings(azurite.url(), "nowhere"));
    let errors = [
        storage.list("").await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.stat("a").await.unwrap_err(),
        storage.put("a", Bytes::new()).await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("there is no container 'nowhere'"), "{error}");
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_before_anything_is_asked() {
    let good = settings("http://127.0.0.1:1".to_owned(), "backups");
    let bad = [
        (AzureSettings { storage_container: None, ..good.clone() }, "StorageContainer"),
        (AzureSettings { account_name: Some("a/b".to_owned()), ..good.clone() }, "AccountName"),
        (AzureSettings { account_key: None, ..good.clone() }, "AccountKey"),
        (AzureSettings { account_key: Some(Secret::new("#".to_owned())), ..good.clone() }, "Base64"),
        (AzureSettings { sas_token: Some(Secret::new("sv=1".to_owned())), ..good.clone() }, "SasToken"),
        (AzureSettings { custom_server_url: Some("ftp://x".to_owned()), ..good.clone() }, "CustomServerUrl"),
        (AzureSettings { remote_folder_name: Some("../x".to_owned()), ..good.clone() }, "RemoteFolderName"),
    ];
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    for (settings, what) in bad {
        let error = connector.connect(Block::Azure(&settings)).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_busy_server_is_unavailable_for_as_long_as_it_says() {
    for (status, code) in [(503, "ServerBusy"), (429, "TooManyRequests"), (500, "OperationTimedOut")] {
        let server = HttpFake::start(move |_| {
            FakeAnswer::status(status).header("x-ms-error-code", code).header("Retry-After", "17")
        });
        let storage = open(&settings(server.url(), "backups"));
        let error = storage.put("a", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Unavailable, "{error}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(17)), "{error}");
    }
}

#[tokio::test]
async fn a_listing_that_is_cut_or_goes_in_circles_is_an_error() {
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs /><NextMarker>2";
    let cut = HttpFake::start(|_| FakeAnswer::status(200).body(format!("{HEAD}</NextMarker></Enumer")).cut());
    let storage = open(&settings(cut.url(), "backups"));
    assert_eq!(storage.list("").await.unwrap_err().kind, StorageErrorKind::Unavailable);

    let page = format!("{HEAD}</NextMarker></EnumerationResults>");
    let circles = HttpFake::start(move |_| FakeAnswer::status(200).body(page.clone()));
    let storage = open(&settings(circles.url(), "backups"));
    assert_eq!(storage.list("").await.unwrap_err().kind, StorageErrorKind::Damaged);
}

#[tokio::test]
async fn no_call_asks_for_more_than_it_needs() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = HttpFake::start(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        match request.method.as_str() {
            "PUT" => FakeAnswer::status(201),
            "DELETE" => FakeAnswer::status(202),
            _ => FakeAnswer::status(200).body("x"),
        }
    });
    let storage = open(&settings(server.url(), "backups"));
    storage.put("a", Bytes::from_static(b"x")).await.unwrap();
    storage.put_new("a", Bytes::from_static(b"x")).await.unwrap();
    storage.put_cold("a", Bytes::from_static(b"x")).await.unwrap();
    storage.get("a").await.unwrap();
    storage.stat("a").await.unwrap();
    storage.delete("a").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

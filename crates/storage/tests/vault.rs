//! Vaults against a strict stand-in of ours, for what no component offers: uploads in parts, tree hashes, ranges, and the
//! inventory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, GlacierRetrievalTier, GlacierSettings};
use larder_storage::{Availability, Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{FakeAnswer, GlacierFake, Random, TempDir, storage_suite};
use std::sync::Arc;

fn settings(vault: &GlacierFake, hot: &TempDir) -> GlacierSettings {
    GlacierSettings {
        aws_access_key: Some(GlacierFake::KEY.to_owned()),
        aws_secret_key: Some(Secret::new("SKVAULT".to_owned())),
        vault_name: Some(GlacierFake::VAULT.to_owned()),
        remote_folder_name: Some("larder".to_owned()),
        custom_server_url: Some(vault.url()),
        hot_folder_path: Some(hot.path().display().to_string()),
        ..GlacierSettings::default()
    }
}

fn connect(settings: &GlacierSettings) -> Arc<dyn Storage> {
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::Glacier(settings)).unwrap()
}

fn open(vault: &GlacierFake, hot: &TempDir) -> Arc<dyn Storage> {
    connect(&settings(vault, hot))
}

fn bytes(length: usize) -> Bytes {
    Random::new(length as u64).bytes(length).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_with_its_hot_place_passes_the_suite() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    storage_suite::run(&open(&vault, &hot)).await;
    assert_eq!(vault.unfinished_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_an_archive_that_must_be_asked_for_and_everything_else_is_at_hand() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let storage = open(&vault, &hot);
    assert!(storage.capabilities().cold);
    let data = bytes(3 << 20);
    storage.put_cold("web/data/ab/one", data.clone()).await.unwrap();
    storage.put("web/index/one", Bytes::from_static(b"an index")).await.unwrap();
    storage.put("web/locks/one", Bytes::from_static(b"a lock")).await.unwrap();
    assert_eq!(
        vault.descriptions(),
        ["larder/1 cold larder/web/data/ab/one", "larder/1 hot larder/web/index/one"]
    );
    assert_eq!(storage.get("web/index/one").await.unwrap(), "an index");
    let mut listed = storage.list("web").await.unwrap();
    listed.retain(|object| !object.path.contains("locks"));
    let listed: Vec<_> = listed.iter().map(|object| (object.path.as_str(), object.size_bytes)).collect();
    assert_eq!(listed, [("web/data/ab/one", 3 << 20), ("web/index/one", 8)]);
    // Cold until it was asked for, and the jobs are looked at once for many questions.
    assert_eq!(storage.availability("web/data/ab/one").await.unwrap(), Availability::Cold);
    assert_eq!(storage.get("web/data/ab/one").await.unwrap_err().kind, StorageErrorKind::Cold);
    let paths = ["web/data/ab/one".to_owned(), "web/index/one".to_owned()];
    storage.request(&paths).await.unwrap();
    storage.request(&paths).await.unwrap();
    assert_eq!(storage.availability("web/data/ab/one").await.unwrap(), Availability::Thawing);
    assert_eq!(vault.requests().iter().filter(|request| *request == "POST /jobs").count(), 1);
    assert_eq!(vault.tiers(), ["Standard"]);
    assert_eq!(vault.requests().iter().filter(|request| *request == "GET /jobs").count(), 1);
    vault.finish_jobs();
    let again = open(&vault, &hot);
    assert_eq!(again.availability("web/data/ab/one").await.unwrap(), Availability::Ready);
    assert!(again.get("web/data/ab/one").await.unwrap() == data);
    let range = 1_000_000..2_500_000;
    assert!(again.get_range("web/data/ab/one", range).await.unwrap() == data.slice(1_000_000..2_500_000));
    assert!(again.get_range("web/data/ab/one", 0..(3 << 20) + 1).await.is_err());
    // After a day what was made ready is gone.
    vault.forget_jobs();
    assert_eq!(again.get("web/data/ab/one").await.unwrap_err().kind, StorageErrorKind::Cold);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_archives_go_up_in_parts_and_one_that_fails_leaves_nothing() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let storage = open(&vault, &hot);
    let data = bytes((40 << 20) + 5);
    storage.put_cold("large", data.clone()).await.unwrap();
    let parts = vault.requests().iter().filter(|request| request.starts_with("PUT /multipart")).count();
    assert_eq!(parts, 3);
    storage.request(&["large".to_owned()]).await.unwrap();
    vault.finish_jobs();
    assert!(open(&vault, &hot).get("large").await.unwrap() == data);
    // The upload is begun, its first part is refused.
    let began = vault.requests().len();
    let storage = Arc::clone(&storage);
    let refusal = || FakeAnswer::status(500).body("{}");
    let sending = tokio::spawn(async move { storage.put_cold("other", data).await });
    while vault.requests().len() == began {
        tokio::task::yield_now().await;
    }
    vault.answer_next([refusal()]);
    let error = sending.await.unwrap().unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unavailable, "{error}");
    assert_eq!(vault.unfinished_uploads(), 0);
    assert_eq!(vault.descriptions(), ["larder/1 cold larder/large"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_changed_is_damaged() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let storage = open(&vault, &hot);
    storage.put_cold("data/one", bytes(2 << 20)).await.unwrap();
    storage.request(&["data/one".to_owned()]).await.unwrap();
    vault.finish_jobs();
    vault.damage("data/one");
    let error = open(&vault, &hot).get("data/one").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Damaged, "{error}");
    assert!(error.to_string().contains("tree hash"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_hot_place_is_lost_the_vault_gives_everything_back() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let storage = open(&vault, &hot);
    let data = bytes(1 << 20);
    storage.put("web/config", Bytes::from_static(b"the first")).await.unwrap();
    storage.put("web/config", Bytes::from_static(b"the second")).await.unwrap();
    storage.put("web/snapshots/gone", Bytes::from_static(b"to be removed")).await.unwrap();
    storage.put("web/snapshots/kept", Bytes::from_static(b"a snapshot")).await.unwrap();
    storage.put_cold("web/data/ab/one", data.clone()).await.unwrap();
    vault.take_inventory();
    storage.delete("web/snapshots/gone").await.unwrap();
    let before: Vec<_> = storage.list("web").await.unwrap();

    let elsewhere = TempDir::new();
    let tier = GlacierRetrievalTier::Expedited;
    let settings = GlacierSettings { retrieval_tier: Some(tier), ..settings(&vault, &elsewhere) };
    let waits = async |says: &str| {
        let error = connect(&settings).list("web").await.unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Cold, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    waits("inventory was asked for just now").await;
    waits("inventory was asked for, which takes hours").await;
    // Nothing is written beside what is not known yet.
    let early = connect(&settings).put("web/config", Bytes::from_static(b"another")).await.unwrap_err();
    assert_eq!(early.kind, StorageErrorKind::Cold, "{early}");
    vault.finish_jobs();
    waits("0 of").await;
    vault.finish_jobs();
    let again = connect(&settings);
    assert_eq!(again.list("web").await.unwrap(), before);
    assert_eq!(again.get("web/config").await.unwrap(), "the second");
    assert_eq!(again.get("web/snapshots/kept").await.unwrap(), "a snapshot");
    assert_eq!(again.availability("web/data/ab/one").await.unwrap(), Availability::Cold);
    again.request(&["web/data/ab/one".to_owned()]).await.unwrap();
    vault.finish_jobs();
    assert!(connect(&settings).get("web/data/ab/one").await.unwrap() == data);
    assert!(vault.tiers().iter().all(|tier| tier == "Expedited"));
    // What was removed is removed in the vault.
    again.delete("web/data/ab/one").await.unwrap();
    assert!(!vault.descriptions().iter().any(|description| description.ends_with("data/ab/one")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_vault_and_one_whose_catalogue_is_known_cost_no_question_twice() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let storage = open(&vault, &hot);
    storage.put("web/config", Bytes::from_static(b"one")).await.unwrap();
    storage.put_cold("web/data/ab/one", bytes(10)).await.unwrap();
    assert_eq!(vault.requests(), ["GET ", "POST /archives", "POST /archives"]);
    open(&vault, &hot).list("").await.unwrap();
    assert_eq!(vault.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_with_what_to_do() {
    let (vault, hot) = (GlacierFake::start(), TempDir::new());
    let nowhere = GlacierSettings { hot_folder_path: None, ..settings(&vault, &hot) };
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let error = connector.connect(Block::Glacier(&nowhere)).unwrap_err();
    assert!(error.to_string().contains("HotFolderPath or HotBucketName"), "{error}");
    let both = GlacierSettings { hot_bucket_name: Some("b".to_owned()), ..settings(&vault, &hot) };
    assert!(connector.connect(Block::Glacier(&both)).unwrap_err().to_string().contains("keep one"));
    let missing = GlacierSettings { vault_name: Some("nothing".to_owned()), ..settings(&vault, &hot) };
    let error = connect(&missing).list("").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("there is no vault 'nothing'"), "{error}");
    let stranger = GlacierSettings { aws_access_key: Some("AKOTHER".to_owned()), ..settings(&vault, &hot) };
    let error = connect(&stranger).put("x", bytes(1)).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("AwsAccessKey"), "{error}");
}

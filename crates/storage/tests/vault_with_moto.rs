//! Vaults as moto imitates them: writing, retrieval jobs, the inventory. Uploads in parts and tree hashes it does not know:
//! `vault.rs` has those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, GlacierRetrievalTier, GlacierSettings};
use larder_storage::{Availability, Connector, ConnectorSettings, Probe, Storage, StorageErrorKind};
use larder_testbed::{Moto, TempDir, wait_until};
use std::sync::Arc;
use std::time::Duration;

const KEY: (&str, &str) = ("AKMOTO", "SKMOTO");
/// A job takes 2 s there, and what was learned of jobs is believed for 10 s.
const SOON: Duration = Duration::from_secs(40);

fn start() -> Moto {
    let moto = Moto::start();
    let _ = moto.boto(KEY.0, KEY.1).run("glacier.create_vault(accountId='-', vaultName='archive')");
    moto
}

fn connect(moto: &Moto, hot: &TempDir, change: impl FnOnce(&mut GlacierSettings)) -> Arc<dyn Storage> {
    let mut settings = GlacierSettings {
        aws_access_key: Some(KEY.0.to_owned()),
        aws_secret_key: Some(Secret::new(KEY.1.to_owned())),
        vault_name: Some("archive".to_owned()),
        custom_server_url: Some(moto.url()),
        hot_folder_path: Some(hot.path().display().to_string()),
        retrieval_tier: Some(GlacierRetrievalTier::Expedited),
        ..GlacierSettings::default()
    };
    change(&mut settings);
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::Glacier(&settings)).unwrap()
}

async fn until_ready<F: Future<Output = bool>>(what: &str, ready: impl Fn() -> F) {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        wait_until(what, SOON, || runtime.block_on(ready()).then_some(()));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_written_asked_for_read_and_removed() {
    let (moto, hot) = (start(), TempDir::new());
    let storage = connect(&moto, &hot, |_| {});
    storage.put_cold("web/data/ab/one", Bytes::from_static(b"a pack")).await.unwrap();
    storage.put("web/index/one", Bytes::from_static(b"an index")).await.unwrap();
    assert_eq!(storage.get("web/data/ab/one").await.unwrap_err().kind, StorageErrorKind::Cold);
    storage.request(&["web/data/ab/one".to_owned()]).await.unwrap();
    until_ready("an archive that can be read", || async {
        storage.availability("web/data/ab/one").await.unwrap() == Availability::Ready
    })
    .await;
    assert_eq!(storage.get("web/data/ab/one").await.unwrap(), "a pack");
    assert_eq!(storage.get_range("web/data/ab/one", 2..6).await.unwrap(), "pack");
    assert_eq!(storage.list("web").await.unwrap().len(), 2);
    storage.delete("web/data/ab/one").await.unwrap();
    storage.delete("web/data/ab/one").await.unwrap();
    let left = moto
        .boto(KEY.0, KEY.1)
        .run("print(glacier.describe_vault(accountId='-', vaultName='archive')['NumberOfArchives'])");
    assert_eq!(left, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_makes_a_lost_catalogue_anew() {
    let (moto, hot) = (start(), TempDir::new());
    let storage = connect(&moto, &hot, |_| {});
    storage.put("web/config", Bytes::from_static(b"a configuration")).await.unwrap();
    storage.put_cold("web/data/ab/one", Bytes::from_static(b"a pack")).await.unwrap();
    let elsewhere = TempDir::new();
    let again = connect(&moto, &elsewhere, |_| {});
    let error = again.list("web").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Cold, "{error}");
    until_ready("a catalogue", || async { again.list("web").await.is_ok() }).await;
    assert_eq!(again.list("web").await.unwrap(), storage.list("web").await.unwrap());
    assert_eq!(again.get("web/config").await.unwrap(), "a configuration");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_can_be_the_hot_place_and_a_probe_works() {
    let (moto, hot) = (start(), TempDir::new());
    moto.boto(KEY.0, KEY.1).make_bucket("hot");
    let storage = connect(&moto, &hot, |settings| {
        (settings.hot_folder_path, settings.hot_bucket_name) = (None, Some("hot".to_owned()));
    });
    storage.put("web/config", Bytes::from_static(b"a configuration")).await.unwrap();
    storage.put_cold("web/data/ab/one", Bytes::from_static(b"a pack")).await.unwrap();
    let keys = moto
        .boto(KEY.0, KEY.1)
        .run("print(*[o['Key'].split('/web/')[0] for o in s3.list_objects_v2(Bucket='hot')['Contents']])");
    assert!(keys.contains("us-east-1/archive/.vault/archives"), "{keys}");
    let report = Probe::new(7).run(&*storage).await;
    assert!(report.works(), "{report}");
    let gone = connect(&moto, &hot, |settings| settings.vault_name = Some("nothing".to_owned()));
    assert_eq!(gone.list("").await.unwrap_err().kind, StorageErrorKind::Invalid);
}

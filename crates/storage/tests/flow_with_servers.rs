//! How evenly bytes flow where a limit is set: seen from outside, by a proxy in front of real servers, and on a server's disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "each test takes what it needs")]
mod support;

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{AzureSettings, Block, FtpSettings, SftpSettings, WebDavSettings};
use larder_storage::{Connector, ConnectorSettings, Patience, PatienceSettings, Patient, Storage};
use larder_testbed::{
    ApacheDav, Azurite, Line, ManualClock, Moto, ProFtpd, ProFtpdMode, Random, SlowProxy, Sshd,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The limit of both ways, in bytes a second.
const RATE: u64 = 2_000_000;
/// What is moved: what may pass at once after a pause, and three seconds more.
const BYTES: usize = 8_000_000;
/// How often the flow is looked at.
const LOOK: Duration = Duration::from_millis(100);

fn paced(inner: Arc<dyn Storage>) -> Arc<Patient> {
    let limit = || "2 MB/s".parse().unwrap();
    let settings = PatienceSettings { upload: limit(), download: limit(), ..PatienceSettings::default() };
    Arc::new(
        Patience::new(settings, Arc::new(ManualClock::starting("2026-05-10T12:00:00Z")), 3).around(inner),
    )
}

fn bytes() -> Bytes {
    Random::new(5).bytes(BYTES).into()
}

/// Makes a call, and looks meanwhile how far the bytes are; panics where they do not flow evenly.
async fn flows_evenly<T>(what: &str, call: impl Future<Output = T>, passed: impl Fn() -> u64) -> T {
    let (begun, before) = (Instant::now(), passed());
    let mut looks: Vec<(f64, u64)> = Vec::new();
    tokio::pin!(call);
    let outcome = loop {
        looks.push((begun.elapsed().as_secs_f64(), passed() - before));
        if let Ok(outcome) = tokio::time::timeout(LOOK, &mut call).await {
            break outcome;
        }
    };
    let time = begun.elapsed().as_secs_f64();
    // A second's worth may pass at once at the beginning.
    assert!((2.7..6.0).contains(&time), "{what} took {time} s");
    for (at, bytes) in looks.iter().filter(|(at, _)| (1.0..2.5).contains(at)) {
        let expected = (1.0 + at) * RATE as f64;
        let there = *bytes as f64;
        assert!(
            (expected - 1_400_000.0..expected + 1_000_000.0).contains(&there),
            "{what}: {there} bytes after {at} s instead of {expected}"
        );
    }
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_s3_flows_at_the_pace_of_the_limit_both_ways() {
    let moto = Moto::start();
    moto.boto("AKMOTO", "SKMOTO").make_bucket("backups");
    let (proxy, url) = in_front_of(&moto.url());
    flows_both_ways(&paced(support::s3(&url, ("AKMOTO", "SKMOTO"), "backups", |_| {})), &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_azure_flows_at_the_pace_of_the_limit_both_ways() {
    let azurite = Azurite::start();
    azurite.make_container("backups");
    let (proxy, url) = in_front_of(&azurite.url());
    let settings = AzureSettings {
        storage_container: Some("backups".to_owned()),
        account_name: Some(Azurite::ACCOUNT.to_owned()),
        account_key: Some(Secret::new(Azurite::KEY.to_owned())),
        custom_server_url: Some(url),
        ..AzureSettings::default()
    };
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    flows_both_ways(&paced(connector.connect(Block::Azure(&settings)).unwrap()), &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_webdav_flows_at_the_pace_of_the_limit_both_ways() {
    let apache = ApacheDav::start();
    let (proxy, url) = in_front_of(&apache.url());
    let settings = WebDavSettings {
        url: Some(url),
        user_name: Some(ApacheDav::USER.to_owned()),
        password: Some(Secret::new(ApacheDav::PASSWORD.to_owned())),
        ..WebDavSettings::default()
    };
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let storage = paced(connector.connect(Block::WebDav(&settings)).unwrap());
    storage.put("first", Bytes::from_static(b"what the way asks for before")).await.unwrap();
    flows_both_ways(&storage, &proxy).await;
}

/// Starts a proxy in front of a server; returns it, and the address that leads through it.
fn in_front_of(url: &str) -> (SlowProxy, String) {
    let (authority, path) = url.trim_start_matches("http://").split_once('/').map_or_else(
        || (url.trim_start_matches("http://"), String::new()),
        |(authority, path)| (authority, format!("/{path}")),
    );
    let proxy = SlowProxy::start(authority.parse().unwrap(), Line::default());
    let through = format!("http://{}{path}", proxy.address());
    (proxy, through)
}

async fn flows_both_ways(storage: &Patient, proxy: &SlowProxy) {
    tokio::time::sleep(Duration::from_millis(1100)).await;
    flows_evenly("the way up", storage.put("one", bytes()), || proxy.bytes().0).await.unwrap();
    // The kernel takes some of an answer before anybody reads it, so the flow is seen a little ahead.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let begun = Instant::now();
    assert!(storage.get("one").await.unwrap() == bytes());
    assert!((2.7..6.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    assert!(storage.patience().traffic().waited_for_bandwidth >= Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_sftp_flows_at_the_pace_of_the_limit_both_ways() {
    let server = Sshd::start();
    let proxy = SlowProxy::start(server.address(), Line::default());
    let port = proxy.address().port();
    let settings = SftpSettings {
        url: Some(format!("sftp://{}@127.0.0.1:{port}{}", server.user(), server.directory("b").display())),
        private_key: Some(Secret::new(server.private_key())),
        known_hosts: Some(server.known_host(port)),
        ..SftpSettings::default()
    };
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let storage = paced(connector.connect(Block::Sftp(&settings)).unwrap());
    storage.put("first", Bytes::from_static(b"a connection")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    flows_evenly("the way up", storage.put("one", bytes()), || proxy.bytes().0).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let got = flows_evenly("the way down", storage.get("one"), || proxy.bytes().1).await.unwrap();
    assert!(got == bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_ftp_flows_at_the_pace_of_the_limit_both_ways() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let settings = FtpSettings {
        url: Some(format!("ftp://127.0.0.1:{}/backups", server.port())),
        user_name: Some(ProFtpd::USER.to_owned()),
        password: Some(Secret::new(ProFtpd::PASSWORD.to_owned())),
        ..FtpSettings::default()
    };
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let storage = paced(connector.connect(Block::Ftp(&settings)).unwrap());
    storage.put("first", Bytes::from_static(b"a connection")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let unfinished = server.home("backups/.tmp");
    let on_disk = || {
        let files = std::fs::read_dir(&unfinished).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    };
    flows_evenly("the way up", storage.put("one", bytes()), on_disk).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let begun = Instant::now();
    assert!(storage.get("one").await.unwrap() == bytes());
    assert!((2.7..6.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

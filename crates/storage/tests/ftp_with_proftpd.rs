//! FTP, and FTPS in both forms, against ProFTPD.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::{Block, FtpSettings};
use larder_storage::{Connector, ConnectorSettings, Storage, StorageErrorKind};
use larder_testbed::{CutProxy, ProFtpd, ProFtpdMode, storage_suite};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

fn settings(url: String) -> FtpSettings {
    FtpSettings {
        url: Some(url),
        user_name: Some(ProFtpd::USER.to_owned()),
        password: Some(Secret::new(ProFtpd::PASSWORD.to_owned())),
        ..FtpSettings::default()
    }
}

fn open(settings: &FtpSettings) -> Arc<dyn Storage> {
    Connector::new(ConnectorSettings::default()).unwrap().connect(Block::Ftp(settings)).unwrap()
}

fn plain(server: &ProFtpd) -> Arc<dyn Storage> {
    open(&settings(format!("ftp://127.0.0.1:{}/backups", server.port())))
}

fn secure(server: &ProFtpd) -> FtpSettings {
    let certificate = Some(Secret::new(server.certificate()));
    FtpSettings {
        certificate_as_base64: certificate,
        ..settings(format!("ftps://127.0.0.1:{}/backups", server.port()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ftp_passes_the_suite() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    // ProFTPD makes no folder whose name has a star.
    storage_suite::run_with_plain_names(&plain(&server)).await;
    assert_eq!(fs::read_dir(server.home("backups/.tmp")).unwrap().count(), 0, "uploads were left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn ftps_passes_the_suite_where_sessions_must_be_taken_up_again() {
    let server = ProFtpd::start(ProFtpdMode::ExplicitTls);
    storage_suite::run_with_plain_names(&open(&secure(&server))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_nothing_but_the_newest_tls_is_spoken_to() {
    let server = ProFtpd::start_with(
        ProFtpdMode::ExplicitTls,
        "TLSProtocol TLSv1.3\nTLSOptions NoSessionReuseRequired",
    );
    let storage = open(&secure(&server));
    storage_suite::ranges_are_exact_or_errors(&storage).await;
    storage_suite::writing_again_replaces(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ftps_works_from_the_first_byte_on_where_the_port_says_so() {
    // Only port 990 says so, and only root may open it.
    if !larder_testbed::is_root() {
        return;
    }
    let server = ProFtpd::start(ProFtpdMode::ImplicitTls);
    let url = Some(format!("ftps://{}/backups", server.address()));
    let storage = open(&FtpSettings { url, ..secure(&server) });
    storage_suite::reading_what_is_not_there_says_so(&storage).await;
    storage_suite::ranges_are_exact_or_errors(&storage).await;
    storage_suite::writing_again_replaces(&storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_and_named() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let password = Some(Secret::new("not-the-password".to_owned()));
    let url = format!("ftp://127.0.0.1:{}", server.port());
    let storage = open(&FtpSettings { password, ..settings(url) });
    for error in [
        storage.put("a", Bytes::new()).await.unwrap_err(),
        storage.get("a").await.unwrap_err(),
        storage.stat("a").await.unwrap_err(),
        storage.list("").await.unwrap_err(),
        storage.delete("a").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("the server refused the user 'larder'"), "{error}");
        assert!(!error.to_string().contains("not-the-password"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused_before_the_password_is_sent() {
    let server = ProFtpd::start(ProFtpdMode::ExplicitTls);
    let storage = open(&FtpSettings { certificate_as_base64: None, ..secure(&server) });
    let error = storage.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("give it as CertificateAsBase64"), "{error}");
    let other = ProFtpd::start(ProFtpdMode::ExplicitTls);
    let mixed = FtpSettings { url: secure(&server).url, ..secure(&other) };
    assert_eq!(open(&mixed).stat("a").await.unwrap_err().kind, StorageErrorKind::Invalid);
    let authority = ConnectorSettings {
        root_certificates: vec![server.certificate().into_bytes()],
        ..ConnectorSettings::default()
    };
    let trusting = FtpSettings { certificate_as_base64: None, ..secure(&server) };
    assert!(Connector::new(authority).unwrap().connect(Block::Ftp(&trusting)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_taken_in_every_form() {
    let server = ProFtpd::start(ProFtpdMode::ExplicitTls);
    let pem = server.certificate();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for form in [pem, body] {
        let certificate_as_base64 = Some(Secret::new(form));
        let storage = open(&FtpSettings { certificate_as_base64, ..secure(&server) });
        assert!(storage.list("").await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_spoken_to_in_clear() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let with_tls = ProFtpd::start(ProFtpdMode::ExplicitTls);
    let url = format!("ftps://127.0.0.1:{}", server.port());
    let storage = open(&FtpSettings { url: Some(url), ..secure(&with_tls) });
    let error = storage.stat("a").await.unwrap_err();
    assert!(error.to_string().contains("offers no TLS"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_is_empty_and_made_when_something_is_written() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let url = format!("ftp://127.0.0.1:{}/a/b/c", server.port());
    let storage = open(&settings(url));
    assert!(storage.list("").await.unwrap().is_empty());
    assert!(!server.home("a").exists());
    storage.put("d/e", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(fs::read(server.home("a/b/c/d/e")).unwrap(), b"x");
    // The folders are known now; that somebody removed them must not be believed away.
    fs::remove_dir_all(server.home("a")).unwrap();
    storage.put("d/f", Bytes::from_static(b"y")).await.unwrap();
    assert_eq!(storage.get("d/f").await.unwrap(), "y");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_is_an_empty_file() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    plain(&server).put("empty", Bytes::new()).await.unwrap();
    assert_eq!(fs::metadata(server.home("backups/empty")).unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_not_listed_and_old_ones_go_away() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    fs::create_dir_all(server.home("backups/.tmp")).unwrap();
    for name in ["old", "young"] {
        fs::write(server.home("backups/.tmp").join(name), "half an object").unwrap();
    }
    let old = fs::File::options().write(true).open(server.home("backups/.tmp/old")).unwrap();
    old.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 3600)).unwrap();
    let storage = plain(&server);
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    let listed = storage.list("").await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(!server.home("backups/.tmp/old").exists(), "an upload that ended a day ago stayed");
    assert!(server.home("backups/.tmp/young").exists(), "an upload that may be going on was removed");
    assert_eq!(storage.get(".tmp/young").await.unwrap_err().kind, StorageErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_went_while_idle_is_made_again() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let proxy = CutProxy::start(SocketAddr::from(([127, 0, 0, 1], server.port())));
    let storage = open(&settings(format!("ftp://{}/backups", proxy.address())));
    for round in 0..3_u8 {
        storage.put("one", Bytes::from(vec![round; 1000])).await.unwrap();
        proxy.cut();
        assert_eq!(storage.get("one").await.unwrap(), vec![round; 1000]);
        proxy.cut();
    }
    assert_eq!(storage.list("").await.unwrap().len(), 1);
    proxy.cut();
    storage.delete("one").await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    let error = storage.stat("one").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_room_for_two_serves_many_at_once() {
    let server = ProFtpd::start_with(ProFtpdMode::Plain, "MaxClientsPerUser 2 \"Too many clients\"");
    let storage = plain(&server);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let storage = Arc::clone(&storage);
        writers
            .spawn(async move { storage.put(&format!("many/{number}"), Bytes::from(vec![1; 5000])).await });
    }
    for outcome in writers.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(storage.list("many").await.unwrap().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_unavailable_and_nobody_waits_for_ever() {
    let server = ProFtpd::start_with(ProFtpdMode::Plain, "MaxClientsPerUser 1 \"Too many clients\"");
    let first = plain(&server);
    first.put("one", Bytes::from_static(b"x")).await.unwrap();
    let second = plain(&server);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let storage = Arc::clone(&second);
        readers.spawn(async move { storage.get("one").await });
    }
    for outcome in readers.join_all().await {
        let error = outcome.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    drop(first);
    // The server notices the end of a connection a moment later.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        match second.get("one").await {
            Ok(data) => break assert_eq!(data, "x"),
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_called_full_and_leaves_nothing_behind() {
    let server = ProFtpd::start(ProFtpdMode::Plain);
    let Some(_disk) = larder_testbed::SmallDisk::mount(&server.home(""), 4) else { return };
    let storage = plain(&server);
    storage.put("small", Bytes::from(vec![1; 100_000])).await.unwrap();
    let error = storage.put("large", Bytes::from(vec![2; 8 << 20])).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
    assert_eq!(storage.list("").await.unwrap().len(), 1);
    assert_eq!(fs::read_dir(server.home("backups/.tmp")).unwrap().count(), 0, "half an object stayed");
    storage.put("small-too", Bytes::from(vec![3; 100_000])).await.unwrap();
}

//! SFTP against OpenSSH's server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::SftpSettings;
use larder_storage::{ConnectorSettings, Sftp, Storage, StorageErrorKind};
use larder_testbed::{CutProxy, Random, SmallDisk, Sshd, TempDir, make_key, storage_suite};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn settings(server: &Sshd, port: u16, folder: &str) -> SftpSettings {
    SftpSettings {
        url: Some(format!("sftp://{}@127.0.0.1:{port}{folder}", server.user())),
        private_key: Some(Secret::new(server.private_key())),
        known_hosts: Some(server.known_host(port)),
        ..SftpSettings::default()
    }
}

fn open(settings: &SftpSettings) -> Arc<dyn Storage> {
    Arc::new(Sftp::open(settings, &ConnectorSettings::default()).unwrap())
}

fn open_in(server: &Sshd, folder: &Path) -> Arc<dyn Storage> {
    open(&settings(server, server.port(), &folder.display().to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_passes_the_suite() {
    let server = Sshd::start();
    let folder = server.directory("backups");
    let storage = open_in(&server, &folder);
    storage_suite::run(&storage).await;
    assert_eq!(fs::read_dir(folder.join(".tmp")).unwrap().count(), 0, "uploads were left behind");
    let capabilities = storage.capabilities();
    assert!(capabilities.conditional_put && capabilities.rename && capabilities.free_space);
    assert!(storage.free_bytes().await.unwrap().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_folders_are_for_their_owner_alone() {
    let server = Sshd::start();
    let storage = open_in(&server, &server.directory("backups"));
    storage.put("data/one", Bytes::from_static(b"x")).await.unwrap();
    let mode = |path: &str| fs::metadata(server.directory(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("backups/data"), mode("backups/data/one")), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_known_is_refused_with_the_line_to_add() {
    let server = Sshd::start();
    let port = server.port();
    let folder = server.directory("backups").display().to_string();
    let other = format!("[127.0.0.1]:{} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n", port ^ 1);
    let mut unknown = SftpSettings { known_hosts: Some(other), ..settings(&server, port, &folder) };
    let error = open(&unknown).put("one", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    let text = error.to_string();
    assert!(text.contains("is not known") && text.contains("the server shows SHA256:"), "{text}");
    assert!(!server.directory("backups").exists());
    let line = text.split("put this line into KnownHosts: ").nth(1).unwrap();
    unknown.known_hosts = Some(line.to_owned());
    open(&unknown).put("one", Bytes::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_key_changed_is_refused() {
    let server = Sshd::start();
    let other = Sshd::start();
    let folder = server.directory("backups").display().to_string();
    let settings = SftpSettings {
        known_hosts: Some(other.known_host(server.port())),
        ..settings(&server, server.port(), &folder)
    };
    let error = open(&settings).stat("one").await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("another than the known one"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_denied_and_never_shown() {
    let server = Sshd::start();
    let directory = TempDir::new();
    make_key(&directory.join("key"));
    let key = fs::read_to_string(directory.join("key")).unwrap();
    let folder = server.directory("backups").display().to_string();
    for wrong in [key, "not a key at all".to_owned()] {
        let settings = SftpSettings {
            private_key: Some(Secret::new(wrong.clone())),
            ..settings(&server, server.port(), &folder)
        };
        let storage = open(&settings);
        for error in [
            storage.put("a", Bytes::new()).await.unwrap_err(),
            storage.get("a").await.unwrap_err(),
            storage.list("").await.unwrap_err(),
        ] {
            assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
            assert!(error.to_string().contains("let nobody in"), "{error}");
            assert!(!error.to_string().contains(wrong.lines().nth(1).unwrap_or(&wrong)), "{error}");
        }
        assert!(!format!("{storage:?}").contains(&wrong));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_gone_from_the_disk_once_the_connection_stands() {
    let server = Sshd::start();
    let private = TempDir::new();
    let folder = server.directory("backups").display().to_string();
    let connector = ConnectorSettings {
        temporary_directory: Some(private.path().to_owned()),
        ..ConnectorSettings::default()
    };
    let storage = Sftp::open(&settings(&server, server.port(), &folder), &connector).unwrap();
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(fs::read_dir(private.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_is_empty_and_made_when_something_is_written() {
    let server = Sshd::start();
    let folder = server.directory("a/b/c");
    let storage = open_in(&server, &folder);
    assert!(storage.list("").await.unwrap().is_empty());
    assert!(storage.free_bytes().await.unwrap().is_some());
    assert!(!server.directory("a").exists());
    storage.put("d/e", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(fs::read(folder.join("d/e")).unwrap(), b"x");
    fs::remove_dir_all(server.directory("a")).unwrap();
    storage.put("d/f", Bytes::from_static(b"y")).await.unwrap();
    assert_eq!(storage.get("d/f").await.unwrap(), "y");
    fs::write(server.directory("file"), "no folder").unwrap();
    assert!(open_in(&server, &server.directory("file/below")).put("x", Bytes::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_folder_is_found() {
    let server =
        Sshd::start_with(&format!("ForceCommand internal-sftp -d {}", std::env::temp_dir().display()));
    let name = format!("larder-home-{}", server.port());
    let storage = open(&settings(&server, server.port(), &format!("/~/{name}")));
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    let folder = std::env::temp_dir().join(name);
    assert_eq!(fs::read(folder.join("one")).unwrap(), b"x");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_cut_is_made_again() {
    let server = Sshd::start();
    let proxy = CutProxy::start(server.address());
    let port = proxy.address().port();
    let storage = open(&settings(&server, port, &server.directory("backups").display().to_string()));
    let data = Bytes::from(Random::new(3).bytes(8 << 20));
    storage.put("one", data.clone()).await.unwrap();
    proxy.cut();
    assert!(storage.get("one").await.unwrap() == data);
    proxy.cut_after(3 << 20);
    storage.put("two", data.clone()).await.unwrap();
    assert!(fs::read(server.directory("backups/two")).unwrap() == data);
    assert!(proxy.connections() >= 3, "nothing was cut");
    storage.put("three", Bytes::new()).await.unwrap();
    assert_eq!(fs::read_dir(server.directory("backups/.tmp")).unwrap().count(), 0, "half an object stayed");
    proxy.refuse(true);
    proxy.cut();
    let error = storage.get("one").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    proxy.refuse(false);
    assert!(storage.get("one").await.unwrap() == data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_called_full_and_leaves_nothing_behind() {
    let server = Sshd::start();
    let folder = server.directory("disk");
    fs::create_dir(&folder).unwrap();
    let Some(_disk) = SmallDisk::mount(&folder, 4) else { return };
    let storage = open_in(&server, &folder);
    storage.put("small", Bytes::from(vec![1; 100_000])).await.unwrap();
    let error = storage.put("large", Bytes::from(vec![2; 8 << 20])).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
    assert_eq!(storage.list("").await.unwrap().len(), 1);
    assert_eq!(fs::read_dir(folder.join(".tmp")).unwrap().count(), 0, "half an object stayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_not_listed_and_old_ones_go_away() {
    let server = Sshd::start();
    let unfinished = server.directory("backups/.tmp");
    fs::create_dir_all(&unfinished).unwrap();
    for name in ["old", "young"] {
        fs::write(unfinished.join(name), "half an object").unwrap();
    }
    let old = fs::File::options().write(true).open(unfinished.join("old")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(30 * 3600)).unwrap();
    let storage = open_in(&server, &server.directory("backups"));
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(storage.list("").await.unwrap().len(), 1);
    assert!(!unfinished.join("old").exists(), "an upload that ended a day ago stayed");
    assert!(unfinished.join("young").exists(), "an upload that may be going on was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_line_costs_one_wait_and_not_one_a_request() {
    let server = Sshd::start();
    let proxy = CutProxy::start(server.address());
    proxy.delay(Duration::from_millis(50));
    let port = proxy.address().port();
    let storage = open(&settings(&server, port, &server.directory("backups").display().to_string()));
    let data = Bytes::from(Random::new(5).bytes(32 << 20));
    storage.put("warm", Bytes::new()).await.unwrap();
    let begun = Instant::now();
    storage.put("one", data.clone()).await.unwrap();
    let put = begun.elapsed();
    assert!(storage.get("one").await.unwrap() == data);
    let got = begun.elapsed() - put;
    println!("32 MiB with 50 ms of latency: put {put:?}, get {got:?}");
    // One request after another, of 255 KiB each, would wait 128 times: 6.4 s each way, and eight times that with 32 KiB.
    assert!(put + got < Duration::from_secs(10), "put {put:?}, get {got:?}");
}

//! SFTP with a password, against another server than OpenSSH's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use larder_model::Secret;
use larder_model::task::SftpSettings;
use larder_storage::{ConnectorSettings, Sftp, Storage, StorageErrorKind};
use larder_testbed::{ProFtpd, ProFtpdMode, TempDir, storage_suite};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

fn settings(server: &ProFtpd, password: &str) -> SftpSettings {
    SftpSettings {
        url: Some(format!("sftp://{}@127.0.0.1:{}/~/backups", ProFtpd::USER, server.port())),
        password: Some(Secret::new(password.to_owned())),
        known_hosts: Some(server.known_host()),
        ..SftpSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proftpd_passes_the_suite_with_a_password() {
    let server = ProFtpd::start(ProFtpdMode::Sftp);
    let settings = settings(&server, ProFtpd::PASSWORD);
    let storage: Arc<dyn Storage> = Arc::new(Sftp::open(&settings, &ConnectorSettings::default()).unwrap());
    storage_suite::run(&storage).await;
    assert_eq!(fs::read_dir(server.home("backups/.tmp")).unwrap().count(), 0, "uploads were left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_and_never_shown() {
    let server = ProFtpd::start(ProFtpdMode::Sftp);
    let private = TempDir::new();
    let connector = ConnectorSettings {
        temporary_directory: Some(private.path().to_owned()),
        ..ConnectorSettings::default()
    };
    let storage = Sftp::open(&settings(&server, "not-the-password"), &connector).unwrap();
    let error = storage.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Denied, "{error}");
    assert!(!format!("{error} {storage:?}").contains("not-the-password"), "{error}");
    assert_eq!(fs::read_dir(private.path()).unwrap().count(), 0, "the password stayed on the disk");
    assert!(!server.home("backups").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_stands_neither_among_the_arguments_nor_in_the_environment() {
    let server = ProFtpd::start(ProFtpdMode::Sftp);
    let directory = TempDir::new();
    let (script, seen) = (directory.join("ssh"), directory.join("seen"));
    // Writes down all that a list of processes could show, and becomes the real program.
    let text = format!("#!/bin/sh\n{{ echo \"$@\"; env; }} >{}\nexec ssh \"$@\"\n", seen.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let connector = ConnectorSettings { ssh_program: Some(script), ..ConnectorSettings::default() };
    let storage = Sftp::open(&settings(&server, ProFtpd::PASSWORD), &connector).unwrap();
    storage.put("one", Bytes::from_static(b"x")).await.unwrap();
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("StrictHostKeyChecking=yes") && seen.contains("SSH_ASKPASS="), "{seen}");
    assert!(!seen.contains(ProFtpd::PASSWORD), "{seen}");
}

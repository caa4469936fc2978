//! The strongest promise: stock restic opens what Larder wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::installed;
use std::process::Command;
use support::{Site, ask};

#[test]
fn restic_opens_the_repository_with_what_restic_env_prints() {
    let _ = installed("restic", "restic");
    let site = Site::new();
    site.quickstart(&[]).expect(0);
    let server = site.serve();
    let lines = ask(&server, &["restic-env", "tree"]).expect(0).said;
    let script =
        format!("{lines}\nrestic --no-cache snapshots --json && restic --no-cache check --read-data");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"kind=full\""), "{output:?}");
}

#[test]
fn the_key_file_is_the_password_file() {
    let _ = installed("restic", "restic");
    let site = Site::new();
    site.quickstart(&[]).expect(0);
    let output = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(site.data().join("backups/tree"))
        .arg("snapshots")
        .env("RESTIC_PASSWORD_FILE", site.data().join("key"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

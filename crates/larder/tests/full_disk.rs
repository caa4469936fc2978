//! A destination on a disk that is full, and has space again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::Random;
use std::fs;
use std::process::Command;
use support::{Site, larder};

/// Runs in a mount namespace of its own: a small disk under the destination, a run, more space, a second run.
const SCRIPT: &str = r#"
set -e
mkdir -p "$1/backups"
mount -t tmpfs -o size=4m none "$1/backups"
set +e
"$0" quickstart --once --data "$1" "$2"; echo "first ended with $?"
mount -o remount,size=64m "$1/backups"
"$0" quickstart --once --data "$1" "$2"; echo "second ended with $?"
"$0" check tree --read-data --destination "$1/backups" --key-file "$1/key"; echo "check ended with $?"
"#;

#[test]
fn a_full_disk_is_named_and_the_next_run_goes_on_once_there_is_space() {
    let site = Site::new();
    fs::write(site.tree().join("too-large"), Random::new(1).bytes(20_000_000)).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", SCRIPT]);
    let output = command.arg(larder().get_program()).arg(site.data()).arg(site.tree()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let remarked = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("first ended with 1"), "{said}{remarked}");
    let sentence = said.lines().chain(remarked.lines()).find(|line| line.contains("no space left on device"));
    let sentence = sentence.unwrap_or_else(|| panic!("nobody named the full disk:\n{said}{remarked}"));
    assert!(sentence.contains("backups") && sentence.contains("free space there"), "{sentence}");
    assert!(said.contains("second ended with 0"), "{said}{remarked}");
    assert!(said.contains("check ended with 0"), "{said}{remarked}");
}

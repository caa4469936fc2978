//! Debian's restic, the judge of every repository that Larder writes.

use crate::program::installed;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the stock restic on one repository; a run that fails fails the test, with all it said.
#[derive(Clone, Debug)]
pub struct Restic {
    program: PathBuf,
    repository: OsString,
    password: String,
}

impl Restic {
    /// Names a repository, as restic's `--repo` does, and its password.
    #[must_use]
    pub fn new(repository: impl AsRef<OsStr>, password: &str) -> Self {
        Self {
            program: installed("restic", "restic"),
            repository: repository.as_ref().to_owned(),
            password: password.to_owned(),
        }
    }

    /// Prepares a call that the test runs itself: to kill it, or to see it fail.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.env("RESTIC_REPOSITORY", &self.repository).env("RESTIC_PASSWORD", &self.password);
        command.arg("--no-cache").args(arguments);
        command
    }

    /// Runs restic and returns what it printed.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let mut command = self.command(arguments);
        let Output { status, stdout, stderr } = command.output().expect("restic starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{command:?} ended with {status}:\n{stdout}{stderr}");
        stdout.into_owned()
    }

    /// Makes the repository, in format version 2.
    pub fn init(&self) {
        self.run(["init", "--repository-version", "2"]);
    }

    /// Backs up a directory as `.`, so that its entries lie at the root of the snapshot.
    pub fn backup(&self, directory: &Path) {
        let mut command = self.command(["backup", "."]);
        let output = command.current_dir(directory).output().expect("restic starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Checks the structure and reads every byte; any error or warning about the repository fails the test.
    pub fn check_read_data(&self) {
        let said = self.run(["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "restic check said: {said}");
    }

    /// Restores a snapshot (`latest`, or an id) into a directory.
    pub fn restore(&self, snapshot: &str, target: &Path) {
        self.run([OsStr::new("restore"), OsStr::new(snapshot), OsStr::new("--target"), target.as_os_str()]);
    }

    /// Returns all snapshots, as `restic snapshots --json` gives them.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Value> {
        serde_json::from_str(&self.run(["snapshots", "--json"])).expect("restic prints JSON")
    }

    /// Returns the ids of all objects of a kind: `packs`, `index`, `snapshots`, `keys`, `locks`, `blobs`.
    #[must_use]
    pub fn list(&self, kind: &str) -> Vec<String> {
        self.run(["list", "--no-lock", kind]).lines().map(str::to_owned).collect()
    }
}

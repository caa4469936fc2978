//! The FTP server pyftpdlib, told to lack what some servers lack.

use crate::daemon::Daemon;
use crate::temporary::TempDir;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running pyftpdlib with the users `larder` and `reader`, who may only read.
#[derive(Debug)]
pub struct PyFtpd {
    daemon: Daemon,
    directory: TempDir,
}

impl PyFtpd {
    /// The user.
    pub const USER: &str = "larder";
    /// A user who may only read, with the same password.
    pub const READER: &str = "reader";
    /// The users' password.
    pub const PASSWORD: &str = "larder-secret";

    /// Starts a server. What it lacks is told as JSON: `without` (a list of commands), `masquerade` (the address that it
    /// answers `PASV` with), `dos` (lists as DOS does), `cut_upload_after` (so many bytes, once), `connections` (at most).
    #[must_use]
    pub fn start(faults: &Value) -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ftp/venv/bin/python");
        assert!(
            python.is_file(),
            "this test needs pyftpdlib: python3 -m venv target/ftp/venv && target/ftp/venv/bin/pip install pyftpdlib"
        );
        let directory = TempDir::new();
        fs::create_dir(directory.join("home")).expect("a home");
        let script = directory.join("server.py");
        fs::write(&script, include_str!("pyftpdlib.py")).expect("a script");
        let daemon = Daemon::start(|port| {
            let mut command = Command::new(&python);
            command.arg(&script).arg(port.to_string()).arg(directory.join("home")).arg(faults.to_string());
            command
        });
        Self { daemon, directory }
    }

    /// Returns the port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// Returns a path below the users' home.
    #[must_use]
    pub fn home(&self, below: &str) -> PathBuf {
        self.directory.join("home").join(below)
    }
}

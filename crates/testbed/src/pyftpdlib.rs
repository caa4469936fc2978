//! The FTP server pyftpdlib, told to lack what some servers lack.

use crate::component::component;
use crate::daemon::Daemon;
use crate::temporary::TempDir;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const INSTALL: &str =
    "python3 -m venv target/clients/ftp && target/clients/ftp/bin/python -m pip install pyftpdlib pyOpenSSL";

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
        let python = component("ftp/bin/python", INSTALL);
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

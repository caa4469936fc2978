//! `rclone serve s3`: a store that, as many do, ignores preconditions and knows no classes.

use crate::boto::Boto;
use crate::pypi::from_pypi;
use crate::server::Server;
use crate::temporary::TempDir;
use std::process::Command;

/// The one key that it takes.
const KEY: (&str, &str) = ("AKRCLONE", "SKRCLONE1234");

/// A running `rclone serve s3`, which keeps buckets as directories.
#[derive(Debug)]
pub struct RcloneS3 {
    server: Server,
    _directory: TempDir,
}

impl RcloneS3 {
    /// Starts one with a bucket.
    #[must_use]
    pub fn start(bucket: &str) -> Self {
        let directory = TempDir::new();
        std::fs::create_dir(directory.join(bucket)).expect("a directory for the bucket");
        let mut command = Command::new(from_pypi("rclone"));
        command
            .args([
                "serve",
                "s3",
                "--addr",
                "127.0.0.1:0",
                "--config",
                "/dev/null",
                "--vfs-cache-mode",
                "off",
            ])
            // Times are of no interest here, and the cache of directories would show removed objects for minutes.
            .args(["--no-modtime", "--dir-cache-time", "0s", "--cache-dir"])
            .arg(directory.join(".cache"))
            .args(["--auth-key", &format!("{},{}", KEY.0, KEY.1)])
            .arg(directory.path());
        Self { server: Server::start_command(command), _directory: directory }
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the two halves of the key that it takes.
    #[must_use]
    pub const fn key(&self) -> (&'static str, &'static str) {
        KEY
    }

    /// Returns Amazon's own client for it.
    #[must_use]
    pub fn boto(&self) -> Boto {
        Boto::new(&self.url(), KEY.0, KEY.1)
    }

    /// Returns everything it said.
    #[must_use]
    pub fn said(&self) -> String {
        self.server.said()
    }
}

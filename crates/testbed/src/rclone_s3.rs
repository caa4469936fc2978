//! `rclone serve s3`: a store that, as many do, ignores preconditions and knows no classes.

use crate::boto::Boto;
use crate::program::installed;
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
    directory: TempDir,
    scheme: &'static str,
}

impl RcloneS3 {
    /// Starts one with a bucket.
    #[must_use]
    pub fn start(bucket: &str) -> Self {
        Self::start_with(bucket, TempDir::new(), "http", &[])
    }

    /// Starts one with a bucket that is reached by HTTPS, with a certificate of its own that nobody trusts yet.
    #[must_use]
    pub fn start_encrypted(bucket: &str) -> Self {
        let directory = TempDir::new();
        let made = Command::new(installed("openssl", "openssl"))
            .current_dir(directory.path())
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args([
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                "key.pem",
                "-out",
                "certificate.pem",
            ])
            .output()
            .expect("openssl starts");
        assert!(made.status.success(), "no certificate was made: {}", String::from_utf8_lossy(&made.stderr));
        let path = |name: &str| directory.join(name).display().to_string();
        let flags = ["--cert".to_owned(), path("certificate.pem"), "--key".to_owned(), path("key.pem")];
        Self::start_with(bucket, directory, "https", &flags)
    }

    fn start_with(bucket: &str, directory: TempDir, scheme: &'static str, flags: &[String]) -> Self {
        let served = directory.join("served");
        std::fs::create_dir_all(served.join(bucket)).expect("a directory for the bucket");
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
            .args(["--auth-key", &format!("{},{}", KEY.0, KEY.1)])
            .args(flags)
            .arg("--cache-dir")
            .args([directory.join("cache"), served]);
        Self { server: Server::start_command(command), directory, scheme }
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.server.address())
    }

    /// Returns the certificate of one that is reached by HTTPS, as PEM.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.directory.join("certificate.pem")).expect("a certificate")
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

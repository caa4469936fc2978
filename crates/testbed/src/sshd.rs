//! Debian's OpenSSH server.

use crate::daemon::Daemon;
use crate::program::installed;
use crate::temporary::TempDir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running sshd that lets the user of the tests in with one key.
#[derive(Debug)]
pub struct Sshd {
    daemon: Daemon,
    directory: TempDir,
}

impl Sshd {
    /// Starts a server.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with some more lines in its configuration.
    #[must_use]
    pub fn start_with(more: &str) -> Self {
        let program = installed("sshd", "openssh-server");
        // The server keeps a directory for its unprivileged half; only root's server needs it, and only root can make it.
        let _ = fs::create_dir_all("/run/sshd");
        let directory = TempDir::new();
        let at = |name: &str| directory.join(name);
        make_key(&at("host_key"));
        make_key(&at("user_key"));
        fs::copy(at("user_key.pub"), at("authorized_keys")).expect("a key to let in");
        let file = at("sshd_config");
        let daemon = Daemon::start(|port| {
            let text = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\nUsePAM no\n\
                 AuthorizedKeysFile {here}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 100\nLogLevel ERROR\n\
                 Subsystem sftp internal-sftp\n{more}\n",
                here = directory.path().display(),
            );
            fs::write(&file, text).expect("a configuration");
            let mut command = Command::new(&program);
            command.args(["-D", "-e", "-f"]).arg(&file);
            command
        });
        Self { daemon, directory }
    }

    /// Returns the port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.daemon.address()
    }

    /// Returns the name of the user that it lets in: the one who runs the tests.
    #[must_use]
    pub fn user(&self) -> String {
        crate::proftpd::name_of("-un")
    }

    /// Returns the private key that it lets in, as text.
    #[must_use]
    pub fn private_key(&self) -> String {
        fs::read_to_string(self.directory.join("user_key")).expect("a key")
    }

    /// Returns a path in a directory of its own.
    #[must_use]
    pub fn directory(&self, below: &str) -> PathBuf {
        self.directory.join(below)
    }

    /// Returns the line of a `known_hosts` file that names its key, as seen on a port.
    #[must_use]
    pub fn known_host(&self, port: u16) -> String {
        known_host(port, &self.directory.join("host_key.pub"))
    }
}

/// Makes a pair of keys: `path` and `path.pub`.
pub fn make_key(path: &Path) {
    let mut command = Command::new(installed("ssh-keygen", "openssh-client"));
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "larder-test", "-f"]).arg(path);
    let output = command.output().expect("ssh-keygen starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn known_host(port: u16, key: &Path) -> String {
    let key = fs::read_to_string(key).expect("a public key");
    let mut words = key.split_whitespace();
    let (kind, key) = (words.next().expect("its kind"), words.next().expect("the key"));
    format!("[127.0.0.1]:{port} {kind} {key}\n")
}

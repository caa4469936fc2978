//! Debian's ProFTPD: FTP, FTPS in both forms, and SFTP with a password.

use crate::daemon::Daemon;
use crate::network::free_port;
use crate::program::installed;
use crate::temporary::TempDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProFtpdMode {
    /// FTP without protection.
    Plain,
    /// FTP that wants `AUTH TLS` before a password, and each data connection to take its session up again.
    ExplicitTls,
    /// FTP inside TLS from the first byte on.
    ImplicitTls,
    /// SFTP.
    Sftp,
}

/// A running ProFTPD with one user, whose home is a directory of the test.
#[derive(Debug)]
pub struct ProFtpd {
    daemon: Daemon,
    directory: TempDir,
}

impl ProFtpd {
    /// The user.
    pub const USER: &str = "larder";
    /// The user's password.
    pub const PASSWORD: &str = "larder-secret";
    /// `openssl passwd -6 -salt larder larder-secret`
    const HASH: &str =
        "$6$larder$kkgfpmMe2Aqi9UqL5VBJMh9invPUFkMiM/DlKntv0b4pyonC6DJjOos/SbajUXow3U.XtXGAOsZKvwQ/Icfrl.";

    /// Starts a server with the directory `home` inside its own as the user's home.
    #[must_use]
    pub fn start(mode: ProFtpdMode) -> Self {
        Self::start_with(mode, "")
    }

    /// Starts a server with some more lines in its configuration.
    #[must_use]
    pub fn start_with(mode: ProFtpdMode, more: &str) -> Self {
        let program = installed("proftpd", "proftpd-core");
        let directory = TempDir::new();
        let at = |name: &str| directory.join(name);
        fs::create_dir(at("home")).expect("a home");
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        let line = format!(
            "{}:{}:{}:{}::{}:/bin/sh\n",
            Self::USER,
            Self::HASH,
            user.as_raw(),
            group.as_raw(),
            at("home").display()
        );
        fs::write(at("passwd"), line).expect("a password file");
        fs::set_permissions(at("passwd"), fs::Permissions::from_mode(0o600)).expect("its mode");
        let modules = match mode {
            ProFtpdMode::Plain => String::new(),
            ProFtpdMode::ExplicitTls | ProFtpdMode::ImplicitTls => {
                make_certificate(&at("key.pem"), &at("certificate.pem"));
                let implicit = mode == ProFtpdMode::ImplicitTls;
                format!(
                    "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\nTLSRSACertificateFile {}\n\
                     TLSRSACertificateKeyFile {}\n{}",
                    at("certificate.pem").display(),
                    at("key.pem").display(),
                    if implicit { "TLSOptions UseImplicitSSL\n" } else { "" }
                )
            }
            ProFtpdMode::Sftp => {
                crate::sshd::make_key(&at("host_key"));
                format!(
                    "LoadModule mod_sftp.c\nSFTPEngine on\nSFTPHostKey {}\nSFTPAuthMethods password\n",
                    at("host_key").display()
                )
            }
        };
        let file = at("proftpd.conf");
        // FTP inside TLS has a port of its own, which only root may open; on an address of its own it disturbs nobody.
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = if mode == ProFtpdMode::ImplicitTls { [127, 66, high, low] } else { [127, 0, 0, 1] };
        let address = || (host, if mode == ProFtpdMode::ImplicitTls { 990 } else { free_port() }).into();
        let daemon = Daemon::start_at(address, |port| {
            let text = format!(
                "ServerName larder\nServerType standalone\nPort {port}\nDefaultAddress {host}\nUseIPv6 off\nSocketBindTight on\n\
                 User {user}\nGroup {group}\nPidFile {here}/pid\nScoreboardFile {here}/scoreboard\n\
                 SystemLog {here}/log\nWtmpLog off\nTransferLog none\nUseReverseDNS off\nDelayEngine off\n\
                 AuthOrder mod_auth_file.c\nAuthUserFile {here}/passwd\nRequireValidShell off\nRootLogin on\n\
                 AllowOverwrite on\nAllowStoreRestart on\nAllowRetrieveRestart on\nMaxInstances 60\n{modules}{more}\n",
                host = std::net::Ipv4Addr::from(host),
                user = name_of("-un"),
                group = name_of("-gn"),
                here = directory.path().display(),
            );
            fs::write(&file, text).expect("a configuration");
            let mut command = Command::new(&program);
            command.args(["-n", "-q", "-c"]).arg(&file);
            command
        });
        Self { daemon, directory }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub const fn address(&self) -> std::net::SocketAddr {
        self.daemon.address()
    }

    /// Returns the port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// Returns a path below the user's home.
    #[must_use]
    pub fn home(&self, below: &str) -> PathBuf {
        self.directory.join("home").join(below)
    }

    /// Returns the server's certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.directory.join("certificate.pem")).expect("a certificate")
    }

    /// Returns the line of a `known_hosts` file that names its key.
    #[must_use]
    pub fn known_host(&self) -> String {
        crate::sshd::known_host(self.port(), &self.directory.join("host_key.pub"))
    }

    /// Returns what it wrote into its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

/// Asks for the name of the user or group of the tests.
pub(crate) fn name_of(option: &str) -> String {
    let output = Command::new("id").arg(option).output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a certificate for the loopback address that signs itself.
pub(crate) fn make_certificate(key: &Path, certificate: &Path) {
    let mut command = Command::new(installed("openssl", "openssl"));
    command.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=larder.test",
    ]);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(key).arg("-out").arg(certificate);
    let output = command.output().expect("openssl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
}

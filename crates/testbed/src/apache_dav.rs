//! Apache's WebDAV.

use crate::network::free_port;
use crate::program::installed;
use crate::temporary::TempDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// `larder` with the password `secret`, as `htpasswd -s` writes it.
const BASIC: &str = "larder:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
/// The same in the realm `larder`, as `htdigest` writes it.
const DIGEST: &str = "larder:larder:35c4e22d1b46f941c453d3622abb3310\n";

/// How users show who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Basic,
    Digest,
}

/// A running server with one folder, `/dav/`, and one user.
#[derive(Debug)]
pub struct ApacheDav {
    child: Child,
    directory: TempDir,
    address: String,
}

impl ApacheDav {
    /// The user's name.
    pub const USER: &'static str = "larder";
    /// The user's password.
    pub const PASSWORD: &'static str = "secret";

    /// Starts a server that asks for a password as it is.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Login::Basic, false)
    }

    /// Starts a server that asks for a digest of the password (RFC 7616).
    #[must_use]
    pub fn with_digest() -> Self {
        Self::start_with(Login::Digest, false)
    }

    /// Starts a server that encrypts, with a certificate that it signed itself.
    #[must_use]
    pub fn with_tls() -> Self {
        Self::start_with(Login::Basic, true)
    }

    /// Returns the folder's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/dav", self.address)
    }

    /// Returns the directory that the folder is.
    #[must_use]
    pub fn files(&self) -> std::path::PathBuf {
        self.directory.join("files")
    }

    /// Returns the certificate of a server that encrypts, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        fs::read_to_string(self.directory.join("certificate.pem")).expect("a server that encrypts")
    }

    /// Returns the lines of requests that were served: `PUT /dav/x 201`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn start_with(login: Login, tls: bool) -> Self {
        let program = installed("apache2", "apache2-bin");
        // Another program may take a port between its choice and its use.
        for _ in 0..5 {
            let directory = prepare(tls);
            let port = free_port();
            fs::write(directory.join("httpd.conf"), configuration(directory.path(), port, login, tls))
                .unwrap();
            let mut command = Command::new(&program);
            command.arg("-DFOREGROUND").arg("-f").arg(directory.join("httpd.conf"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("apache2 starts");
            if serves(&mut child, directory.path()) {
                let scheme = if tls { "https" } else { "http" };
                return Self { child, directory, address: format!("{scheme}://127.0.0.1:{port}") };
            }
            let log = fs::read_to_string(directory.join("error.log")).unwrap_or_default();
            assert!(
                log.is_empty() || log.contains("Address already in use"),
                "apache2 ended; it said:\n{log}"
            );
        }
        panic!("apache2 did not start; `apache2 -DFOREGROUND` says why");
    }
}

impl Drop for ApacheDav {
    fn drop(&mut self) {
        // Its processes end with it only if it is asked.
        let process = crate::drill::process_id(&self.child);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Waits until the server wrote down its process, which it does once it has its port; says whether it did.
fn serves(child: &mut Child, directory: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if fs::read_to_string(directory.join("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
            return true;
        }
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("apache2 was not ready in time");
}

fn prepare(tls: bool) -> TempDir {
    let directory = TempDir::new();
    for (folder, mode) in [("files", 0o777), ("locks", 0o777)] {
        fs::create_dir(directory.join(folder)).unwrap();
        // Run by root, the server gives up its rights.
        fs::set_permissions(directory.join(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(directory.join("basic"), BASIC).unwrap();
    fs::write(directory.join("digest"), DIGEST).unwrap();
    if tls {
        let mut command = Command::new(installed("openssl", "openssl"));
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        command
            .arg("-keyout")
            .arg(directory.join("key.pem"))
            .arg("-out")
            .arg(directory.join("certificate.pem"));
        let output = command.output().expect("openssl starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    directory
}

fn configuration(directory: &Path, port: u16, login: Login, tls: bool) -> String {
    let at = directory.display();
    let modules = [
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "auth_digest",
        "dav",
        "dav_fs",
        "dav_lock",
        "alias",
        "socache_shmcb",
        "ssl",
    ];
    let modules: String = modules
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let login = match login {
        Login::Basic => format!("AuthType Basic\nAuthBasicProvider file\nAuthUserFile {at}/basic"),
        Login::Digest => format!("AuthType Digest\nAuthDigestProvider file\nAuthUserFile {at}/digest"),
    };
    let tls = if tls {
        format!("SSLEngine on\nSSLCertificateFile {at}/certificate.pem\nSSLCertificateKeyFile {at}/key.pem")
    } else {
        String::new()
    };
    format!(
        r#"{modules}
ServerName localhost
ServerRoot {at}
Listen 127.0.0.1:{port}
PidFile {at}/pid
User nobody
Group nogroup
DefaultRuntimeDir {at}
ErrorLog {at}/error.log
LogFormat "%m %U %>s" short
CustomLog {at}/access.log short
DavLockDB {at}/locks/db
Alias /dav {at}/files
<Directory {at}/files>
  Dav On
  AuthName larder
  {login}
  Require valid-user
</Directory>
{tls}
"#
    )
}

//! Private MariaDB servers, from Debian's binaries.

use crate::network::free_port;
use crate::program::installed;
use crate::temporary::TempDir;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried again when another program took the port.
const TRIES: usize = 5;

/// The user that the server runs as where the test is root.
const USER: &str = "mysql";

/// A server with a data directory of its own; root may come in by its socket without a password.
#[derive(Debug)]
pub struct MariaDb {
    child: Child,
    directory: TempDir,
    port: u16,
    options: Vec<String>,
}

impl MariaDb {
    /// Starts a server that keeps a binary log, with rows in it.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(["--log-bin=bin", "--binlog-format=ROW", "--server-id=7"])
    }

    /// Starts a server with options of the test's own.
    #[must_use]
    pub fn start_with<'a>(options: impl IntoIterator<Item = &'a str>) -> Self {
        // Memory, where there is such a place: making the system tables waits for the disk a hundred times.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { TempDir::inside(memory) } else { TempDir::new() };
        install(&directory);
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        let (child, port) = run(&directory, &options);
        Self { child, directory, port, options }
    }

    /// Returns the port it listens on, of `127.0.0.1`.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Returns its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs statements as root, and returns what they print: rows of fields with tabs between them.
    pub fn sql(&self, statements: &str) -> String {
        let output = self.try_sql(statements);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}\nended with {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs statements as root, however that ends.
    pub fn try_sql(&self, statements: &str) -> Output {
        self.client().arg(format!("--execute={statements}")).output().expect("the client starts")
    }

    /// Prepares the client as root.
    #[must_use]
    pub fn client(&self) -> Command {
        let mut command = Command::new(installed("mariadb", "mariadb-client"));
        command.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
        command.arg("--default-character-set=utf8mb4").arg("--socket").arg(self.socket());
        command
    }

    /// Makes a user with a password, who may come from this host, and what it is granted.
    pub fn user(&self, name: &str, password: &str, grants: &[&str]) {
        self.sql(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'"));
        for grant in grants {
            self.sql(&format!("GRANT {grant} TO '{name}'@'%'"));
        }
    }

    /// Kills it (SIGKILL), as a crash would, and starts it again on the same port.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        let (child, port) = run(&self.directory, &self.options);
        (self.child, self.port) = (child, port);
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_user(command: &mut Command) {
    if is_root() {
        command.arg(format!("--user={USER}"));
    }
}

fn install(directory: &TempDir) {
    let data = directory.join("data");
    fs::create_dir(&data).expect("a new directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("own directory");
    if is_root() {
        let (uid, gid) = ids();
        chown(directory.path(), Some(uid), Some(gid)).expect("root may");
        chown(&data, Some(uid), Some(gid)).expect("root may");
    }
    let mut command = Command::new(installed("mariadb-install-db", "mariadb-server"));
    command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    command.args(["--skip-name-resolve", "--innodb-log-file-size=16M"]);
    command.arg(format!("--datadir={}", data.display()));
    // A server that starts removes what it takes for its own leftovers there.
    command.arg(format!("--tmpdir={}", data.display()));
    as_user(&mut command);
    let Output { status, stdout, stderr } = command.output().expect("the installer starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} ended with {status}:\n{stdout}{stderr}");
}

/// Looks up the user that Debian's package makes.
fn ids() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = users.lines().find(|line| line.split(':').next() == Some(USER)).expect("the package's user");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().expect("a number"));
    (fields.next().expect("a user id"), fields.next().expect("a group id"))
}

fn run(directory: &TempDir, options: &[String]) -> (Child, u16) {
    for _ in 0..TRIES {
        let port = free_port();
        let mut command = Command::new(installed("mariadbd", "mariadb-server"));
        command.arg("--no-defaults").arg(format!("--datadir={}", directory.join("data").display()));
        command.arg(format!("--socket={}", directory.join("socket").display()));
        command.arg(format!("--pid-file={}", directory.join("pid").display()));
        command.arg(format!("--tmpdir={}", directory.join("data").display()));
        command.arg(format!("--port={port}")).arg("--bind-address=127.0.0.1");
        command.args(["--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M"]);
        command.args(["--performance-schema=OFF", "--key-buffer-size=1M"]);
        command.args(options);
        as_user(&mut command);
        let log = directory.join("log");
        let said = File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut child = command.spawn().expect("the server starts");
        if is_ready(&mut child, directory) {
            return (child, port);
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(said.contains("Address already in use"), "{command:?} did not start:\n{said}");
    }
    panic!("no port stayed free for {TRIES} starts of MariaDB");
}

fn is_ready(child: &mut Child, directory: &TempDir) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let mut command = Command::new(installed("mariadb", "mariadb-client"));
    command.args(["--no-defaults", "--user=root", "--execute=SELECT 1", "--socket"]);
    command.arg(directory.join("socket")).stdout(Stdio::null()).stderr(Stdio::null());
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        if command.status().is_ok_and(|status| status.success()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

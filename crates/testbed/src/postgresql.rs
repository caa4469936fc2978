//! Private PostgreSQL servers.

use crate::{TempDir, free_port};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where Debian puts each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How long a server may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often another port is tried.
const TRIES: usize = 5;

/// A server of its own in a temporary directory, on a loopback port; it ends when dropped.
///
/// It runs as the user `postgres` where the test is root, which PostgreSQL refuses to be. Its superuser is `postgres`, without a
/// password on the socket; on the port every user needs a password, which for `postgres` is [`Postgresql::PASSWORD`].
#[derive(Debug)]
pub struct Postgresql {
    child: Option<Child>,
    directory: TempDir,
    port: u16,
}

impl Postgresql {
    /// The password of `postgres`.
    pub const PASSWORD: &'static str = "correct horse";

    /// Makes a server and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Makes a server with settings such as `wal_level=logical`, and waits until it answers.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        let directory = TempDir::new();
        open_to_server(directory.path());
        let password = directory.join("password");
        fs::write(&password, Self::PASSWORD).unwrap();
        give_to_server(&password);
        let data = directory.join("data");
        let mut initdb = as_server(&Self::program("initdb"));
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password).args([
            "--username=postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut configuration = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        for setting in ["fsync=off", "max_prepared_transactions=5"].iter().chain(settings) {
            configuration.push_str(&format!("{}\n", setting.replacen('=', " = ", 1)));
        }
        fs::write(data.join("postgresql.conf"), configuration).unwrap();
        let mut server = Self { child: None, directory, port: 0 };
        server.begin();
        server
    }

    /// Starts a server on a data directory that is there, `data` in a directory of the test, and waits until it has replayed
    /// what it has to.
    #[must_use]
    pub fn start_on(directory: TempDir) -> Self {
        give_to_server(directory.path());
        let mut server = Self { child: None, directory, port: 0 };
        server.begin();
        crate::wait_until("the end of the replay", PATIENCE, || {
            (server.sql("postgres", "SELECT pg_is_in_recovery()") == "f").then_some(())
        });
        server
    }

    /// Prepares one of the vendor's programs as the user that the server runs as.
    #[must_use]
    pub fn as_server(name: &str) -> Command {
        as_server(&Self::program(name))
    }

    /// Returns one of the newest version's programs.
    #[must_use]
    pub fn program(name: &str) -> PathBuf {
        let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin").join(name)).collect();
        found.retain(|path| path.is_file());
        found.sort();
        found.pop().unwrap_or_else(|| {
            panic!("this test needs the program {name}; install the Debian package postgresql")
        })
    }

    /// Returns the directory of the newest version's programs.
    #[must_use]
    pub fn programs() -> PathBuf {
        Self::program("postgres").parent().unwrap().to_owned()
    }

    /// Starts it after [`Postgresql::stop`] or after a crash; perhaps on another port.
    pub fn begin(&mut self) {
        for _ in 0..TRIES {
            let port = free_port();
            let log = fs::File::create(self.directory.join("log")).unwrap();
            let mut command = as_server(&Self::program("postgres"));
            command
                .arg("-D")
                .arg(self.directory.join("data"))
                .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}"), "-c"])
                .arg(format!("unix_socket_directories={}", self.directory.path().display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log);
            let mut child = command.spawn().unwrap();
            self.port = port;
            let deadline = Instant::now() + PATIENCE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                if self.try_sql("postgres", "SELECT 1").is_ok() {
                    self.child = Some(child);
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        panic!("the server did not begin; it said:\n{log}");
    }

    /// Ends it at once, as `pg_ctl stop -m immediate` does, and waits until it did.
    pub fn stop(&mut self) {
        self.signal(rustix::process::Signal::QUIT);
    }

    /// Ends it in good order, and waits until it did.
    pub fn shut_down(&mut self) {
        self.signal(rustix::process::Signal::INT);
    }

    fn signal(&mut self, signal: rustix::process::Signal) {
        let Some(mut child) = self.child.take() else { return };
        let _ = rustix::process::kill_process(crate::drill::process_id(&child), signal);
        let _ = crate::drill::kill_after(&mut child, PATIENCE);
    }

    /// Returns the port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory of its socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the directory of its data.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns the address for a user on the port: `postgresql://backup@127.0.0.1:40001`.
    #[must_use]
    pub fn address(&self, user: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}", self.port)
    }

    /// Carries out statements as the superuser and returns what they print, columns parted by `|`.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// Carries out statements, and returns what the client complained about where one fails.
    ///
    /// # Errors
    /// The client's own words.
    pub fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = self.client(database).args(["-c", statements]).output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Prepares the client, connected to a database as the superuser.
    #[must_use]
    pub fn client(&self, database: &str) -> Command {
        self.tool("psql", database, &["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"])
    }

    /// Prepares one of the vendor's programs, connected to a database as the superuser.
    #[must_use]
    pub fn tool(&self, name: &str, database: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(Self::program(name));
        command
            .args(arguments)
            .env("PGHOST", self.directory.path())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", database)
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The user that servers run as; `None` where the test is not root.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("this test needs the user postgres; install the Debian package postgresql");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LANG", "C.UTF-8");
    if let Some((uid, gid)) = server_user() {
        command.gid(gid).uid(uid);
    }
    command
}

fn give_to_server(path: &Path) {
    if let Some((uid, gid)) = server_user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

fn open_to_server(directory: &Path) {
    give_to_server(directory);
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

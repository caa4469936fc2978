//! A server of Larder's own, in a directory that goes away: it takes a backup to be proved, or to be brought forward.
//!
//! It listens nowhere but on a socket in that directory, which only its owner can enter; it runs no events, loads no files
//! and lets nobody write outside.

use super::address::Address;
use super::client::Client;
use super::failure::failed;
use crate::error::EngineError;
use crate::tool::{Running, ToolRun, Tools, Version, Wanted};
use crate::words::plain;
use larder_model::Cancel;
use rustix::process::Signal;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The server.
pub(super) const SERVER: Wanted<'static> = Wanted {
    names: &["mariadbd", "mysqld"],
    package: "mariadb-server",
    at_least: None,
    because: "",
    read: Version::in_text,
    question: "--version",
};

/// What makes a new data directory.
const INSTALLER: Wanted<'static> = Wanted::any(&["mariadb-install-db", "mysql_install_db"], "mariadb-server");

/// How often a server that starts is asked whether it is there.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How often at most; the first start makes the logs.
const TRIES: u32 = 1_200;

/// A private server; it ends with this value.
#[derive(Debug)]
pub(super) struct Scratch {
    server: Running,
    /// The way to it.
    pub(super) client: Client,
}

impl Scratch {
    /// Makes an empty server below a directory that is private to the job.
    pub(super) fn start(tools: &Tools, below: &Path, cancel: &Cancel) -> Result<Self, EngineError> {
        let data = directory(below, "scratch")?;
        let action = format!("making a private server in {}", data.display());
        let installer = tools.find_unasked(&INSTALLER)?;
        let run = ToolRun::new(cancel)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--skip-name-resolve", "--innodb-flush-method=nosync", "--innodb-doublewrite=0"])
            .arg(format!("--datadir={}", data.display()))
            // A server that starts removes what it takes for its own leftovers there: in /tmp it would be those of others.
            .arg(format!("--tmpdir={}", data.display()))
            .args(as_root())
            .quiet();
        let mut installing = installer.start(run).map_err(|failure| failure.into_error(&action, REMEDY))?;
        installing.finish().map_err(|failure| failure.into_error(&action, REMEDY))?;
        Self::open(tools, &data, &["--no-defaults"], cancel)
    }

    /// Starts a server on the copied files of another one, whose accounts do not matter: who can reach its socket is root.
    pub(super) fn open_unlocked(tools: &Tools, data: &Path, cancel: &Cancel) -> Result<Self, EngineError> {
        // Page size and the like are what they were.
        let options = format!("--defaults-file={}", data.join("backup-my.cnf").display());
        Self::open(tools, data, &[&options, "--skip-grant-tables"], cancel)
    }

    fn open(tools: &Tools, data: &Path, options: &[&str], cancel: &Cancel) -> Result<Self, EngineError> {
        let action = format!("starting a private server in {}", data.display());
        let outside = directory(data.parent().unwrap_or(data), "scratch-files")?;
        let path = |name: &str| data.join(name).display().to_string();
        let run = ToolRun::new(cancel)
            .args(options.iter().copied())
            .arg(format!("--datadir={}", data.display()))
            // Its own directory is where it works: the name stays short whatever the path.
            .args(["--socket=scratch.sock", "--skip-networking", "--skip-log-bin", "--skip-slave-start"])
            .arg(format!("--pid-file={}", path("scratch.pid")))
            .arg(format!("--tmpdir={}", data.display()))
            .arg(format!("--secure-file-priv={}", outside.display()))
            .args(["--local-infile=0", "--event-scheduler=OFF", "--performance-schema=OFF"])
            // What is in it is thrown away after a crash.
            .args([
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                "--innodb-flush-method=nosync",
            ])
            .args(["--innodb-buffer-pool-size=128M", "--key-buffer-size=8M", "--max-allowed-packet=1G"])
            .args(["--innodb-log-file-size=96M", "--innodb-buffer-pool-dump-at-shutdown=OFF"])
            .args(["--innodb-strict-mode=OFF", "--max-statement-time=0", "--bind-address=127.0.0.1"])
            .args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"])
            .args(as_root())
            .quiet();
        let program = tools.find(&SERVER)?;
        let mut server = program.start(run).map_err(|failure| failure.into_error(&action, REMEDY))?;
        let client = Client::at(tools, address(&server), None, cancel)?;
        for _ in 0..TRIES {
            cancel.check()?;
            if client.try_ask("SELECT 1").is_ok() {
                return Ok(Self { server, client });
            }
            if !server.is_running() {
                return Err(match server.finish() {
                    Err(failure) => failure.into_error(action, REMEDY),
                    Ok(()) => failed(action, "it ended at once", REMEDY),
                });
            }
            std::thread::sleep(ASK_AGAIN);
        }
        Err(failed(action, "it did not answer in time", REMEDY))
    }

    /// Ends the server in good order.
    pub(super) fn stop(mut self) -> Result<(), EngineError> {
        self.server.interrupt(Signal::TERM);
        let ended = self.server.finish();
        ended.map_err(|failure| failure.into_error("ending the private server", REMEDY))
    }
}

const REMEDY: &str =
    "see whether the volume of the data directory has space, and whether the package mariadb-server is whole";

/// Makes a new directory, private to this user.
pub(super) fn directory(below: &Path, name: &str) -> Result<PathBuf, EngineError> {
    let path = below.join(name);
    if path.exists() {
        return Ok(path);
    }
    match DirBuilder::new().mode(0o700).recursive(true).create(&path).and_then(|()| fs::canonicalize(&path)) {
        Ok(path) => Ok(path),
        Err(error) => Err(failed(
            format!("making the directory {}", path.display()),
            plain(error),
            "check the space and the permissions of Larder's data directory",
        )),
    }
}

/// Only told so does it run as root; its files then are in nobody else's reach.
fn as_root() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}

fn address(server: &Running) -> Address {
    Address {
        source: "scratch".to_owned(),
        user: "root".to_owned(),
        host: String::new(),
        port: 0,
        socket: Some(format!("/proc/{}/cwd/scratch.sock", server.id()).into()),
        tls_authority: None,
        lock_patience: Duration::from_secs(3_600),
        whole_server: false,
    }
}

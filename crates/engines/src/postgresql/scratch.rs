//! A private server, made for one proof and gone after it.

use super::failure::explained;
use super::session::ask;
use super::{SERVER_PACKAGE, login::Login};
use crate::error::EngineError;
use crate::tool::{RunAs, Running, Tool, ToolRun, Tools, Version, Wanted};
use crate::words::plain;
use larder_model::{Cancel, DatabaseName, EngineKind, Source};
use rustix::process::Signal;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Where a server lies whose user cannot reach the scratch directory.
const ELSEWHERE: &str = "/var/tmp";

/// The longest path of a socket's directory: the system takes 107 bytes with the name.
const LONGEST: usize = 80;

/// Whom servers run as where Larder is root, which they refuse.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How often a beginning server is asked, and how many times.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

/// A running server that only this host's socket leads to.
#[derive(Debug)]
pub(super) struct Scratch {
    // Ended before its directory goes.
    running: Option<Running>,
    directory: PathBuf,
    run_as: Option<RunAs>,
    /// How it is reached.
    pub(super) source: Source,
}

impl Scratch {
    /// Starts a server of a major version, or of the next newer one there is.
    pub(super) fn start(
        tools: &Tools,
        below: &Path,
        major: u32,
        first_role: &str,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let because = format!("the backup is of PostgreSQL {major}");
        let wanted = Wanted {
            at_least: Some(Version::new(&[major])),
            because: &because,
            ..Wanted::any(&["postgres"], SERVER_PACKAGE)
        };
        let server = tools.find(&wanted)?;
        let initdb = tools.beside(&server, &Wanted::any(&["initdb"], SERVER_PACKAGE))?;
        let mut scratch = Self::room(below, first_role)?;
        let action = "making a private server";
        let run = ToolRun::new(cancel)
            .arg("--pgdata")
            .arg(scratch.data())
            .arg("--username")
            .arg(first_role)
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .within(&scratch.directory)
            .run_as(scratch.run_as);
        initdb.ask(run).map_err(|failure| explained(failure, action))?;
        let settings =
            ["wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "max_locks_per_transaction=1024"];
        scratch.launch(&server, &settings.map(str::to_owned), cancel)?;
        scratch.await_ready(tools, Some(LOOKS), cancel)?;
        Ok(scratch)
    }

    /// Makes a place for a server whose first role has a name; nothing is in it yet.
    pub(super) fn room(below: &Path, first_role: &str) -> Result<Self, EngineError> {
        let run_as = unprivileged()?;
        let directory = place(below, run_as).map_err(|error| EngineError::Failed {
            action: format!("making a place for a private server below {}", below.display()),
            cause: plain(error),
            remedy: "check the space and the permissions of the directory".to_owned(),
        })?;
        let name = DatabaseName::from_lossy("scratch");
        let encoded = directory.display().to_string().replace('%', "%25").replace('/', "%2F");
        let user: String = first_role.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let address = format!("postgresql://{user}@{encoded}:5432");
        let source = Source::new(name, EngineKind::Postgresql, address);
        Ok(Self { running: None, source, directory, run_as })
    }

    /// Returns where the server's data is, or is to be.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns the place, which goes with this.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns whom the server runs as.
    pub(super) const fn run_as(&self) -> Option<RunAs> {
        self.run_as
    }

    /// Starts the server on its data, with settings such as `wal_level=minimal`.
    pub(super) fn launch(
        &mut self,
        server: &Tool,
        settings: &[String],
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let mut run = ToolRun::new(cancel)
            .arg("-D")
            .arg(self.data())
            .quiet()
            .within(&self.directory)
            .run_as(self.run_as);
        let sockets = format!("unix_socket_directories={}", self.directory.display());
        // Nothing of it outlives the proof, so nothing need be safe on disk.
        let always = [
            "listen_addresses=",
            "port=5432",
            &sockets,
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "autovacuum=off",
        ];
        for setting in always.into_iter().chain(settings.iter().map(String::as_str)) {
            run = run.arg("-c").arg(setting);
        }
        let started = server.start(run).map_err(|failure| explained(failure, "making a private server"))?;
        self.running = Some(started);
        Ok(())
    }

    /// Waits until it answers, so often at the most; for as long as it runs where nothing is said.
    pub(super) fn await_ready(
        &mut self,
        tools: &Tools,
        looks: Option<u32>,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let login = Login::of(&self.source)?;
        let mut looked = 0;
        while looks.is_none_or(|looks| looked < looks) {
            looked += 1;
            cancel.check()?;
            if ask(tools, &login, login.maintenance(), "SELECT to_jsonb(1)", cancel).is_ok() {
                return Ok(());
            }
            let Some(running) = self.running.as_mut() else { break };
            if !running.is_running() {
                let ended = running.finish().err();
                return Err(
                    ended.map_or_else(refused, |failure| explained(failure, "starting a private server"))
                );
            }
            thread::sleep(LOOK);
        }
        Err(refused())
    }
}

fn refused() -> EngineError {
    EngineError::Failed {
        action: "starting a private server".to_owned(),
        cause: "it does not answer".to_owned(),
        remedy: "look whether the host has memory and disk space left, and start again".to_owned(),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // Its children give back what they share with it only when it ends by itself.
            running.interrupt(Signal::QUIT);
            let mut running = running;
            for _ in 0..100 {
                if !running.is_running() {
                    break;
                }
                thread::sleep(LOOK);
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Says whom a server runs as; as Larder itself where that is not root.
fn unprivileged() -> Result<Option<RunAs>, EngineError> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let user = USERS.iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
    let user = user.ok_or_else(|| EngineError::Missing {
        what: "the user postgres of this host".to_owned(),
        remedy: format!("install the package {SERVER_PACKAGE}, which makes it"),
    })?;
    Ok(Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// Makes the directory of a server: where the caller wants it, if its user can get there.
fn place(below: &Path, run_as: Option<RunAs>) -> io::Result<PathBuf> {
    let reachable = run_as.is_none()
        || below
            .ancestors()
            .all(|one| one.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0));
    let short = below.as_os_str().len() <= LONGEST;
    let parent = if reachable && short { below } else { Path::new(ELSEWHERE) };
    for number in 0..1_000 {
        let directory = parent.join(format!("larder-proof-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {
                if let Some(user) = run_as {
                    chown(&directory, Some(user.uid), Some(user.gid))?;
                }
                return Ok(directory);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

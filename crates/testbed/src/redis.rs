//! Private Redis servers, from Debian's binaries.

use crate::network::free_port;
use crate::program::installed;
use crate::server::wait_until;
use crate::temporary::TempDir;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried again when another program took the port.
const TRIES: usize = 5;

/// A server with a data directory of its own, on a free port of `127.0.0.1`; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    directory: TempDir,
    port: u16,
}

impl RedisServer {
    /// Starts an empty server that saves nothing by itself.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with arguments of the test's own: `["--requirepass", "secret"]`.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        for _ in 0..TRIES {
            let (directory, port) = (TempDir::new(), free_port());
            let mut command = Command::new(installed("redis-server", "redis-server"));
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
            command.args(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]);
            command.args(["--unixsocket", "redis.sock", "--logfile", "redis.log", "--dir", "."]);
            command.args(arguments).current_dir(directory.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut server = Self { child: command.spawn().expect("redis-server starts"), directory, port };
            if server.is_ready() {
                return server;
            }
            let said = std::fs::read_to_string(server.directory.join("redis.log")).unwrap_or_default();
            assert!(said.contains("Address already in use"), "redis-server ended:\n{said}");
        }
        panic!("no port stayed free for redis-server");
    }

    fn is_ready(&mut self) -> bool {
        wait_until("an answer of redis-server", PATIENCE, || {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return Some(false);
            }
            let answer = self.client().arg("PING").output().expect("redis-cli starts");
            let said = String::from_utf8_lossy(&answer.stdout).into_owned();
            ["PONG", "NOAUTH", "NOPERM"].iter().any(|word| said.contains(word)).then_some(true)
        })
    }

    fn client(&self) -> Command {
        let mut command = Command::new(installed("redis-cli", "redis-tools"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }

    /// Runs one command as the default user, without a password, and returns what it prints.
    pub fn ask(&self, words: &[&str]) -> String {
        let answer = self.client().args(words).output().expect("redis-cli starts");
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// Returns its address, as a source has it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the path of its socket.
    #[must_use]
    pub fn socket(&self) -> std::path::PathBuf {
        self.directory.join("redis.sock")
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

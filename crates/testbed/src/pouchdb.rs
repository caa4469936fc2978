//! Private servers that speak CouchDB's protocol: npm's `pouchdb-server`, in memory.

use crate::component::component;
use crate::network::free_port;
use crate::server::wait_until;
use crate::temporary::TempDir;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const INSTALL: &str = "npm install --no-save --prefix target/clients/pouchdb pouchdb-server@4.2.0";

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is tried again when another program took the port.
const TRIES: usize = 5;

/// A server on a free port of `127.0.0.1` that forgets everything when it ends; killed when dropped.
#[derive(Debug)]
pub struct PouchdbServer {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl PouchdbServer {
    /// Starts an empty server to which everybody is an administrator.
    #[must_use]
    pub fn start() -> Self {
        for _ in 0..TRIES {
            let (directory, port) = (TempDir::new(), free_port());
            let mut command = Command::new(program());
            command.args(["--in-memory", "--host", "127.0.0.1", "--port", &port.to_string()]);
            command.current_dir(directory.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("pouchdb-server starts");
            let mut server = Self { child, port, _directory: directory };
            if server.is_ready() {
                return server;
            }
        }
        panic!("no port stayed free for pouchdb-server");
    }

    fn is_ready(&mut self) -> bool {
        wait_until("an answer of pouchdb-server", PATIENCE, || {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return Some(false);
            }
            // Something else may have the port.
            let mut told = String::new();
            let asked = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).and_then(|mut stream| {
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                stream.read_to_string(&mut told)
            });
            (asked.is_ok() && told.contains("express-pouchdb")).then_some(true)
        })
    }

    /// Returns its address, as a source has it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for PouchdbServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> PathBuf {
    component("pouchdb/node_modules/.bin/pouchdb-server", INSTALL)
}

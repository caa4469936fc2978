//! An emulator of Google Cloud Storage.

use crate::component::component;
use crate::server::Server;
use std::process::Command;

/// How the component is installed.
const INSTALL: &str = "python3 -m venv target/clients/google && target/clients/google/bin/python -m pip install gcp-storage-emulator";

/// Starts the emulator on a port that the system picks, and says which.
///
/// It serves one connection at a time, and as few may wait as a queue of five lets: more would be cut.
const START: &str = r#"
import http.server, sys, threading
http.server.HTTPServer.request_queue_size = 128
from gcp_storage_emulator.__main__ import main
emulator = main(sys.argv[1:], True)
emulator.start()
print(f"http://127.0.0.1:{emulator._api._httpd.server_port}/", flush=True)
threading.Event().wait()
"#;

/// A running emulator with one bucket, in memory.
///
/// It knows uploads of every kind, ranges, checksums and listings. It ignores preconditions, page sizes, tokens and
/// credentials: [`crate::GcsFake`] does not.
#[derive(Debug)]
pub struct GcsEmulator {
    server: Server,
}

impl GcsEmulator {
    /// The bucket's name.
    pub const BUCKET: &'static str = "larder";

    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new(component("google/bin/python", INSTALL));
        command.args(["-c", START, "start", "--host", "127.0.0.1", "--port", "0", "--in-memory", "--quiet"]);
        command.args(["--default-bucket", Self::BUCKET]);
        Self { server: Server::start_command(command) }
    }

    /// Returns its address, as `CustomServerUrl` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }
}

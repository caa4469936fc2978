//! Vendors' servers as children of a test, each on a loopback port of its own.

use crate::network::free_port;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that speaks another protocol than HTTP; it is killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts a server on a free port and waits until it accepts connections; `command` is told the port.
    ///
    /// Where the server ends at once, as when another program took the port first, another port is tried. What it says
    /// goes to the test's own output.
    #[must_use]
    pub fn start(command: impl Fn(u16) -> Command) -> Self {
        Self::start_at(|| SocketAddr::from(([127, 0, 0, 1], free_port())), command)
    }

    /// Starts a server on an address of the test's choice in the same way, for protocols that ask for a certain port.
    #[must_use]
    pub fn start_at(address: impl Fn() -> SocketAddr, command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..5 {
            let address = address();
            let mut command = command(address.port());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let child =
                command.spawn().unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
            let mut daemon = Self { child, address };
            if daemon.becomes_ready() {
                return daemon;
            }
        }
        panic!("{:?} ended five times before it accepted a connection", command(0));
    }

    fn becomes_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                // Whoever answers must be the child itself and not the one who has the port.
                return self.child.try_wait().expect("a child can be asked").is_none();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server at {} accepted no connection in time", self.address);
    }

    /// Returns the port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A server with children of its own is asked to end first, for its children would outlive it.
        let _ = rustix::process::kill_process(
            crate::drill::process_id(&self.child),
            rustix::process::Signal::TERM,
        );
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

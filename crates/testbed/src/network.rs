//! Ports for private servers.

use std::net::TcpListener;

/// Finds a loopback port that is free at this moment.
///
/// Another program may take it before the caller does: whoever starts a server on it retries with another.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("the port just bound").port()
}

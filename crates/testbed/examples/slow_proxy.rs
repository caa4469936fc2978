//! A slow line in front of a server, for measurements: `slow_proxy 127.0.0.1:9000 50` adds 50 ms each way.
//!
//! Says on the first line where it listens, and ends when its standard input does.
#![allow(clippy::print_stdout, reason = "it is a program")]
#![allow(clippy::expect_used, reason = "wrong arguments end it")]

use larder_testbed::{Line, SlowProxy};
use std::net::SocketAddr;
use std::time::Duration;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let server: SocketAddr = arguments
        .next()
        .and_then(|server| server.parse().ok())
        .expect("the first argument is a server's address, such as 127.0.0.1:9000");
    let delay_ms = arguments
        .next()
        .and_then(|delay| delay.parse().ok())
        .expect("the second argument is a delay in milliseconds");
    let proxy = SlowProxy::start(server, Line::delayed_by(Duration::from_millis(delay_ms)));
    println!("http://{}", proxy.address());
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

//! What the line in front of a server does to its clients, with a server that sends back what it gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_testbed::{Line, Random, SlowProxy, wait_until};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// Starts a server that sends back what it gets, for so many connections.
fn echo(connections: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().take(connections) {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut back = client.try_clone().unwrap();
                let _ = std::io::copy(&mut client, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn client(proxy: &SlowProxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_nodelay(true).unwrap();
    client
}

fn ask(client: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    client.write_all(bytes)?;
    let mut answer = vec![0; bytes.len()];
    client.read_exact(&mut answer)?;
    Ok(answer)
}

fn exchange(proxy: &SlowProxy, bytes: Vec<u8>) -> Vec<u8> {
    let mut client = client(proxy);
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        sender.write_all(&bytes).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    sending.join().unwrap();
    answer
}

#[test]
fn bytes_pass_whole_and_so_does_the_end() {
    let proxy = SlowProxy::start(echo(2), Line::default());
    let bytes = Random::new(1).bytes(3_000_001);
    assert!(exchange(&proxy, bytes.clone()) == bytes);
    assert!(exchange(&proxy, Vec::new()).is_empty());
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn each_answer_comes_later_by_both_ways_but_many_bytes_by_no_more_than_one() {
    let delay = Duration::from_millis(40);
    let proxy = SlowProxy::start(echo(2), Line::delayed_by(delay));
    let mut one = client(&proxy);
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(ask(&mut one, b"hello").unwrap(), b"hello");
        assert!(begun.elapsed() >= 2 * delay, "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let bytes = Random::new(2).bytes(4 << 20);
    assert!(exchange(&proxy, bytes.clone()) == bytes);
    // 64 pieces one after another would take more than 5 s.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn a_narrow_line_lets_so_much_through_a_second() {
    let line = Line { bytes_per_second: Some(100_000), ..Line::default() };
    let proxy = SlowProxy::start(echo(1), line);
    let bytes = Random::new(3).bytes(50_000);
    let begun = Instant::now();
    assert!(exchange(&proxy, bytes.clone()) == bytes);
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[test]
fn connections_are_cut_at_a_word_and_the_next_ones_live() {
    let proxy = SlowProxy::start(echo(2), Line::default());
    let mut one = client(&proxy);
    assert_eq!(ask(&mut one, b"before").unwrap(), b"before");
    proxy.cut();
    let cut = wait_until("the cut", LONG, || ask(&mut one, b"after").err());
    assert_ne!(cut.kind(), std::io::ErrorKind::WouldBlock, "{cut}");
    assert_eq!(ask(&mut client(&proxy), b"again").unwrap(), b"again");
}

#[test]
fn a_connection_is_cut_amid_what_it_sends() {
    let line = Line { cut_after_bytes: Some(100_000), ..Line::default() };
    let proxy = SlowProxy::start(echo(2), line);
    let mut one = client(&proxy);
    assert!(ask(&mut one, &Random::new(4).bytes(90_000)).is_ok());
    assert!(ask(&mut one, &Random::new(5).bytes(20_000)).is_err());
    proxy.set_line(Line::default());
    assert!(ask(&mut client(&proxy), &Random::new(6).bytes(200_000)).is_ok());
}

#[test]
fn a_line_that_stalls_goes_on_where_it_stood() {
    let proxy = SlowProxy::start(echo(1), Line::default());
    let mut one = client(&proxy);
    assert_eq!(ask(&mut one, b"one").unwrap(), b"one");
    proxy.set_line(Line { stalled: true, ..Line::default() });
    one.write_all(b"two").unwrap();
    one.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(one.read_exact(&mut [0; 3]).is_err(), "nothing passes a stalled line");
    one.set_read_timeout(Some(LONG)).unwrap();
    proxy.set_line(Line::default());
    let mut answer = [0; 3];
    one.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"two");
}

#[test]
fn new_connections_can_be_refused() {
    let proxy = SlowProxy::start(echo(1), Line { refused: true, ..Line::default() });
    let refused = TcpStream::connect(proxy.address()).and_then(|mut one| {
        one.set_read_timeout(Some(LONG))?;
        ask(&mut one, b"x")
    });
    assert!(refused.is_err());
    proxy.set_line(Line::default());
    assert_eq!(ask(&mut client(&proxy), b"y").unwrap(), b"y");
}

#[tokio::test]
async fn it_can_end_within_an_asynchronous_test() {
    let proxy = SlowProxy::start(echo(1), Line::default());
    let address = proxy.address();
    drop(proxy);
    let gone = move || TcpStream::connect(address).is_err().then_some(());
    tokio::task::spawn_blocking(move || wait_until("the end of the proxy", LONG, gone)).await.unwrap();
}

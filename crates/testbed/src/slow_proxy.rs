//! A line to a server that is slow, narrow, or cut, when a test says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What is taken from a sender at once.
const PIECE_BYTES: usize = 64 << 10;
/// How many pieces may be on the way in each direction of a connection: 64 MiB, so that delay alone narrows nothing.
const PIECES: usize = 1024;

/// How a line behaves; the default is as if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// How much later each byte arrives, in each direction: the round trip grows by twice this.
    pub delay: Duration,
    /// How many bytes a second pass in each direction of a connection; `None` for all that come.
    pub bytes_per_second: Option<u64>,
    /// Whether nothing passes at present, though connections are made and stay.
    pub stalled: bool,
    /// Whether new connections are closed at once.
    pub refused: bool,
    /// A connection is cut once so many bytes have passed from the client to the server.
    pub cut_after_bytes: Option<u64>,
}

impl Line {
    /// Makes a line that adds so much to a request and as much to its answer.
    #[must_use]
    pub fn delayed_by(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// A proxy on a loopback port in front of a server. It ends when dropped, and its connections with it.
#[derive(Debug)]
pub struct SlowProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Its own thread, so that it also serves tests that block.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    line: watch::Sender<Line>,
    /// Counts how often all connections were cut.
    cuts: watch::Sender<u64>,
    accepted: AtomicUsize,
    /// Bytes that passed to the server, and from it.
    up: AtomicU64,
    down: AtomicU64,
}

impl SlowProxy {
    /// Starts a proxy to a server.
    #[must_use]
    pub fn start(server: SocketAddr, line: Line) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("slow-proxy")
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("the port just bound");
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).expect("a listener")
        };
        let (line, cuts) = (watch::Sender::new(line), watch::Sender::new(0));
        let (accepted, up, down) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { server, line, cuts, accepted, up, down });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, runtime: Some(runtime) }
    }

    /// Returns the address that clients use in place of the server's.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the line, also for the connections there are.
    pub fn set_line(&self, line: Line) {
        self.shared.line.send_replace(line);
    }

    /// Cuts all connections there are at this moment.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns how many connections were made until now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Returns how many bytes came from clients and how many from the server until now.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.shared.up.load(Ordering::Relaxed), self.shared.down.load(Ordering::Relaxed))
    }
}

impl Drop for SlowProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its end is not allowed where a test is asynchronous.
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let (line, mut cuts) = (shared.line.subscribe(), shared.cuts.subscribe());
    if line.borrow().refused {
        let _ = client.set_zero_linger();
        return;
    }
    let Ok(mut server) = TcpStream::connect(shared.server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, line.clone(), (true, &shared.up));
        let down = pump(from_server, to_client, line, (false, &shared.down));
        tokio::select! {
            outcome = async { tokio::try_join!(up, down) } => outcome.is_ok(),
            _ = cuts.changed() => false,
        }
    };
    if !ended {
        // Closed without a farewell, as a line that is cut is.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Moves bytes in one direction until the sender ends; an error cuts the connection.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    line: watch::Receiver<Line>,
    (counted, bytes): (bool, &AtomicU64),
) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::try_join!(take(from, sender, line.clone(), bytes), give(to, receiver, line, counted))?;
    Ok(())
}

async fn take(
    mut from: ReadHalf<'_>,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    line: watch::Receiver<Line>,
    bytes: &AtomicU64,
) -> std::io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let length = from.read(&mut piece).await?;
        piece.truncate(length);
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        let due = Instant::now() + line.borrow().delay;
        // An empty piece is the end, which takes as long as bytes do.
        if sender.send((due, piece)).await.is_err() || length == 0 {
            return Ok(());
        }
    }
}

async fn give(
    mut to: WriteHalf<'_>,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut line: watch::Receiver<Line>,
    counted: bool,
) -> std::io::Result<()> {
    let (mut passed, mut free_at) = (0, Instant::now());
    while let Some((due, piece)) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        if piece.is_empty() {
            return to.shutdown().await;
        }
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let Ok(now) = line.wait_for(|line| !line.stalled).await.map(|line| *line) else { return Ok(()) };
            let left =
                now.cut_after_bytes.filter(|_| counted).map_or(u64::MAX, |most| most.saturating_sub(passed));
            if left == 0 {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            // A twentieth of a second at a time, so that a trickle is even.
            let slice = now.bytes_per_second.map_or(u64::MAX, |rate| (rate / 20).max(1));
            let length = usize::try_from(slice.min(left)).unwrap_or(usize::MAX).min(rest.len());
            if let Some(rate) = now.bytes_per_second {
                let takes = Duration::from_secs_f64(length as f64 / rate.max(1) as f64);
                free_at = free_at.max(Instant::now()) + takes;
                tokio::time::sleep_until(free_at).await;
            }
            to.write_all(&rest[..length]).await?;
            passed += length as u64;
            rest = &rest[length..];
        }
    }
    Ok(())
}

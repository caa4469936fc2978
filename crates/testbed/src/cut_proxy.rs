//! A TCP proxy that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A proxy before a server: it can cut all connections at once, or one after so many bytes.
#[derive(Debug)]
pub struct CutProxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    open: Mutex<Vec<TcpStream>>,
    /// How many more bytes go towards the server before everything is cut; `u64::MAX` for never.
    budget: AtomicU64,
    connections: AtomicUsize,
    delay_milliseconds: AtomicU64,
    refusing: AtomicBool,
    ended: AtomicBool,
}

impl CutProxy {
    /// Starts a proxy on a free loopback port.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), server)
    }

    /// Starts a proxy on an address of the test's choice.
    #[must_use]
    pub fn start_at(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        let state = Arc::new(State {
            open: Mutex::new(Vec::new()),
            budget: AtomicU64::new(u64::MAX),
            connections: AtomicUsize::new(0),
            delay_milliseconds: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                if shared.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(server) {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    join(&shared, &client, &server);
                }
            }
        });
        Self { address, state }
    }

    /// Returns the address that clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection there is now.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Cuts every connection once so many more bytes went towards the server; those made later live on.
    pub fn cut_after(&self, bytes: u64) {
        self.state.budget.store(bytes, Ordering::SeqCst);
    }

    /// Closes new connections at once, or not any more.
    pub fn refuse(&self, refuse: bool) {
        self.state.refusing.store(refuse, Ordering::SeqCst);
    }

    /// Lets what goes towards the server arrive so much later, as over a long line: no less of it, only later. Counts for
    /// connections made from now on.
    pub fn delay(&self, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_millis()).expect("a short delay");
        self.state.delay_milliseconds.store(milliseconds, Ordering::SeqCst);
    }

    /// Returns how many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn cut(&self) {
        for socket in self.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Takes bytes from the budget; says whether there were enough.
    fn spend(&self, bytes: u64) -> bool {
        let spent = self.budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
            u64::MAX => Some(u64::MAX),
            left => Some(left.checked_sub(bytes).unwrap_or(u64::MAX)),
        });
        spent.is_ok_and(|left| left >= bytes)
    }
}

fn join(state: &Arc<State>, client: &TcpStream, server: &TcpStream) {
    let again = |socket: &TcpStream| socket.try_clone().expect("a socket can be cloned");
    for socket in [client, server] {
        let _ = socket.set_nodelay(true);
    }
    state.open.lock().unwrap().extend([again(client), again(server)]);
    for (from, to, counted) in [(again(client), again(server), true), (again(server), again(client), false)] {
        let state = Arc::clone(state);
        std::thread::spawn(move || copy(&state, from, to, counted));
    }
}

fn copy(state: &Arc<State>, mut from: TcpStream, to: TcpStream, counted: bool) {
    let delay = Duration::from_millis(state.delay_milliseconds.load(Ordering::SeqCst));
    let line = (counted && !delay.is_zero()).then(|| long_line(to.try_clone().expect("a socket"), delay));
    let mut buffer = vec![0; 64 * 1024];
    let mut to = to;
    while let Ok(count) = from.read(&mut buffer) {
        if counted && !state.spend(count as u64) {
            state.cut();
            return;
        }
        let sent = match &line {
            _ if count == 0 => false,
            Some(line) => line.send((Instant::now() + delay, buffer[..count].to_vec())).is_ok(),
            None => to.write_all(&buffer[..count]).is_ok(),
        };
        if !sent {
            break;
        }
    }
    if line.is_none() {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// Writes each piece at its time; ends when no more can come.
fn long_line(mut to: TcpStream, delay: Duration) -> Sender<(Instant, Vec<u8>)> {
    let (sender, pieces) = channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        std::thread::sleep(delay);
        let _ = to.shutdown(Shutdown::Write);
    });
    sender
}

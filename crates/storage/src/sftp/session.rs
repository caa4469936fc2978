//! A session of SFTP over any pair of pipes: many requests under way at once, each answered when it is.

use super::failure::Failure;
use super::packet::{Reader, Writer, kind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// The longest packet that is believed, in bytes: OpenSSH's own limit.
const LONGEST_PACKET: u32 = 256 * 1024;

/// What every server must take in one request, in bytes: the draft, section 3, less the head of a request.
const SAFE_CHUNK: usize = 32 * 1024 - 1024;

/// How many packets wait to be written; who has more to say waits, so that memory stays bounded.
const QUEUE: usize = 16;

/// How long one answer may take. Whether the line is alive, `ssh` watches more closely.
const PATIENCE: Duration = Duration::from_secs(300);

/// The kind of an answer and what is in it after its number.
type Answer = (u8, Vec<u8>);
type Waiting = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Answer>>>>>;

/// OpenSSH's extensions that the server offers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extensions {
    pub(super) replacing_rename: bool,
    pub(super) fsync: bool,
    pub(super) statvfs: bool,
    pub(super) hardlink: bool,
    limits: bool,
}

/// A session; dropping it closes the server's input, which ends it.
#[derive(Debug)]
pub(super) struct Session {
    outgoing: mpsc::Sender<Vec<u8>>,
    waiting: Waiting,
    next: AtomicU32,
    pub(super) extensions: Extensions,
    /// How many bytes one request may write.
    pub(super) write_chunk: usize,
    /// How many bytes one request may read.
    pub(super) read_chunk: usize,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Pending(oneshot::Receiver<Answer>);

impl Session {
    /// Says hello over a pair of pipes.
    pub(super) async fn start(
        mut input: impl AsyncRead + Unpin + Send + 'static,
        mut output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Failure> {
        let gone = |error: std::io::Error| Failure::cut(format!("the connection ended: {error}"));
        // Version 3, and no number: only this packet has none.
        output.write_all(&[0, 0, 0, 5, kind::INIT, 0, 0, 0, 3]).await.map_err(gone)?;
        output.flush().await.map_err(gone)?;
        let hello = read_packet(&mut input).await.map_err(gone)?;
        let extensions = read_hello(&hello)?;
        let (outgoing, packets) = mpsc::channel(QUEUE);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(write_packets(output, packets, Arc::clone(&waiting)));
        tokio::spawn(read_packets(input, Arc::clone(&waiting)));
        let mut session = Self {
            outgoing,
            waiting,
            next: AtomicU32::new(1),
            extensions,
            write_chunk: SAFE_CHUNK,
            read_chunk: SAFE_CHUNK,
        };
        if extensions.limits {
            session.ask_limits().await?;
        }
        Ok(session)
    }

    /// Asks how large requests may be: `limits@openssh.com`.
    async fn ask_limits(&mut self) -> Result<(), Failure> {
        let answer = self.ask(kind::EXTENDED, 64, |packet| packet.bytes(b"limits@openssh.com")).await?;
        let (kind::EXTENDED_REPLY, body) = answer else { return Ok(()) };
        let mut body = Reader(&body);
        let (packet, read, write) = (body.u64(), body.u64(), body.u64());
        let chunk = |limit: Option<u64>| {
            let longest = packet.unwrap_or(0).min(LONGEST_PACKET.into()).saturating_sub(1024);
            let limit = limit.unwrap_or(0).min(longest);
            usize::try_from(limit).unwrap_or(0).max(SAFE_CHUNK)
        };
        self.read_chunk = chunk(read);
        self.write_chunk = chunk(write);
        Ok(())
    }

    /// Whether the connection is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Sends a request, as soon as there is room for it, and returns without its answer.
    pub(super) async fn send(
        &self,
        kind: u8,
        room: usize,
        fill: impl FnOnce(Writer) -> Writer,
    ) -> Result<Pending, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let packet = fill(Writer::request(kind, id, room)).finish();
        let (sender, receiver) = oneshot::channel();
        let gone = || Failure::cut("the connection ended");
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(gone()),
        };
        match tokio::time::timeout(PATIENCE, self.outgoing.send(packet)).await {
            Ok(sent) => sent.map_err(|_| gone())?,
            Err(_) => return Err(self.give_up()),
        }
        Ok(Pending(receiver))
    }

    /// Closes a file or folder without waiting for anything. Where there is no room for the request, the server keeps it
    /// open until the session ends.
    pub(super) fn close_soon(&self, handle: &[u8]) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let _ = self.outgoing.try_send(Writer::request(kind::CLOSE, id, 64).bytes(handle).finish());
    }

    /// Waits for an answer.
    pub(super) async fn wait(&self, pending: Pending) -> Result<Answer, Failure> {
        match tokio::time::timeout(PATIENCE, pending.0).await {
            Ok(answer) => answer.map_err(|_| Failure::cut("the connection ended")),
            Err(_) => Err(self.give_up()),
        }
    }

    /// Takes the session as lost: a server that does not answer for so long will not do so later.
    fn give_up(&self) -> Failure {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        Failure::cut("the server did not answer in time")
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(
        &self,
        kind: u8,
        room: usize,
        fill: impl FnOnce(Writer) -> Writer,
    ) -> Result<Answer, Failure> {
        let pending = self.send(kind, room, fill).await?;
        self.wait(pending).await
    }

    /// Sends a request that is answered with success or failure alone.
    pub(super) async fn tell(&self, kind: u8, fill: impl FnOnce(Writer) -> Writer) -> Result<(), Failure> {
        succeeded(&self.ask(kind, 256, fill).await?)
    }
}

/// Takes an answer that says only whether it went well.
pub(super) fn succeeded(answer: &Answer) -> Result<(), Failure> {
    match answer {
        (kind::STATUS, body) => Failure::of_status(Reader(body)).map_or(Ok(()), Err),
        _ => Err(Failure::nonsense()),
    }
}

/// Takes an answer of one kind; another one is a refusal.
pub(super) fn expect(answer: Answer, kind: u8) -> Result<Vec<u8>, Failure> {
    match answer {
        (found, body) if found == kind => Ok(body),
        (kind::STATUS, body) => Err(Failure::of_status(Reader(&body)).unwrap_or_else(Failure::nonsense)),
        _ => Err(Failure::nonsense()),
    }
}

fn read_hello(packet: &[u8]) -> Result<Extensions, Failure> {
    let Some((&kind::VERSION, body)) = packet.split_first() else { return Err(Failure::nonsense()) };
    let mut body = Reader(body);
    if body.u32().is_none_or(|version| version < 3) {
        return Err(Failure::cut("the server speaks a version of SFTP before 3"));
    }
    let mut found = Extensions::default();
    while let (Some(name), Some(version)) = (body.bytes(), body.bytes()) {
        match (name, version) {
            (b"posix-rename@openssh.com", b"1") => found.replacing_rename = true,
            (b"fsync@openssh.com", b"1") => found.fsync = true,
            (b"statvfs@openssh.com", b"2") => found.statvfs = true,
            (b"hardlink@openssh.com", b"1") => found.hardlink = true,
            (b"limits@openssh.com", b"1") => found.limits = true,
            _ => {}
        }
    }
    Ok(found)
}

async fn read_packet(input: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = input.read_u32().await?;
    if length == 0 || length > LONGEST_PACKET + 1024 {
        // A login script that prints something is the usual reason: its words are taken for a length.
        let cause = "what came is no SFTP; a login script on the server may be printing something";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, cause));
    }
    let mut packet = vec![0; usize::try_from(length).unwrap_or(0)];
    input.read_exact(&mut packet).await?;
    Ok(packet)
}

async fn write_packets(
    mut output: impl AsyncWrite + Unpin,
    mut packets: mpsc::Receiver<Vec<u8>>,
    waiting: Waiting,
) {
    while let Some(packet) = packets.recv().await {
        if output.write_all(&packet).await.is_err() || output.flush().await.is_err() {
            break;
        }
    }
    let _ = output.shutdown().await;
    // Whoever waits for an answer hears that there will be none.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

async fn read_packets(mut input: impl AsyncRead + Unpin, waiting: Waiting) {
    while let Ok(mut packet) = read_packet(&mut input).await {
        if packet.len() < 5 {
            break;
        }
        let body = packet.split_off(5);
        let Some(id) = packet.get(1..).and_then(|id| Reader(id).u32()) else { break };
        let kind = packet.first().copied().unwrap_or(0);
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(receiver) = waiting.as_mut().map(|waiting| waiting.remove(&id)) else { break };
        // Nobody waits any more where the call was given up.
        if let Some(receiver) = receiver {
            let _ = receiver.send((kind, body));
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

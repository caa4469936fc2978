//! How bytes go to an SFTP server and come back: many requests under way at once, so that a long line costs little.

use super::failure::Failure;
use super::packet::{Attributes, Reader, kind, open, status};
use super::session::{Pending, Session, expect, succeeded};
use crate::error::StorageErrorKind;
use crate::pace::{self, Way};
use std::collections::VecDeque;

/// How many bytes may be under way in one transfer.
const WINDOW: usize = 4 << 20;

/// An open file or folder.
#[derive(Debug)]
pub(super) struct Handle<'a> {
    session: &'a Session,
    name: Vec<u8>,
    open: bool,
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // The caller gave up in the middle; the server should not keep the file open for that.
        if self.open {
            self.session.close_soon(&self.name);
        }
    }
}

impl<'a> Handle<'a> {
    /// Opens a file.
    pub(super) async fn open(
        session: &'a Session,
        path: &str,
        flags: u32,
        mode: Option<u32>,
    ) -> Result<Self, Failure> {
        let packet = session
            .ask(kind::OPEN, path.len(), |packet| packet.bytes(path.as_bytes()).u32(flags).attributes(mode));
        Ok(Self { session, name: expect(packet.await?, kind::HANDLE).and_then(name_of)?, open: true })
    }

    /// Opens a folder to list it.
    pub(super) async fn open_folder(session: &'a Session, path: &str) -> Result<Self, Failure> {
        let packet = session.ask(kind::OPENDIR, path.len(), |packet| packet.bytes(path.as_bytes()));
        Ok(Self { session, name: expect(packet.await?, kind::HANDLE).and_then(name_of)?, open: true })
    }

    /// Returns the next entries of a folder; nothing after the last.
    pub(super) async fn read_folder(&self) -> Result<Option<Vec<u8>>, Failure> {
        let answer = self.session.ask(kind::READDIR, 64, |packet| packet.bytes(&self.name)).await?;
        at_end_nothing(expect(answer, kind::NAME))
    }

    /// Asks what the file is.
    pub(super) async fn attributes(&self) -> Result<Attributes, Failure> {
        let answer = self.session.ask(kind::FSTAT, 64, |packet| packet.bytes(&self.name)).await?;
        Reader(&expect(answer, kind::ATTRS)?).attributes().ok_or_else(Failure::nonsense)
    }

    /// Writes from the beginning on, and returns once every byte is confirmed.
    pub(super) async fn write(&self, data: &[u8]) -> Result<(), Failure> {
        let chunk = self.session.write_chunk;
        let mut under_way: VecDeque<Pending> = VecDeque::new();
        let mut offset = 0;
        for part in data.chunks(chunk) {
            if under_way.len() * chunk >= WINDOW
                && let Some(oldest) = under_way.pop_front()
            {
                succeeded(&self.session.wait(oldest).await?)?;
            }
            pace::pass(Way::Up, part.len()).await;
            let packet = self
                .session
                .send(kind::WRITE, part.len(), |packet| packet.bytes(&self.name).u64(offset).bytes(part));
            under_way.push_back(packet.await?);
            offset += part.len() as u64;
        }
        for pending in under_way {
            succeeded(&self.session.wait(pending).await?)?;
        }
        Ok(())
    }

    /// Reads bytes, exactly as many as are asked for.
    pub(super) async fn read(&self, start: u64, length: u64) -> Result<Vec<u8>, Failure> {
        let chunk = self.session.read_chunk as u64;
        let end = start + length;
        let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(64 << 20));
        let mut under_way: VecDeque<(u64, Pending)> = VecDeque::new();
        let mut asked = start;
        while asked < end || !under_way.is_empty() {
            while asked < end && under_way.len() as u64 * chunk < WINDOW as u64 {
                let count = chunk.min(end - asked);
                pace::pass(Way::Down, usize::try_from(count).unwrap_or(usize::MAX)).await;
                under_way.push_back((count, self.ask_bytes(asked, count).await?));
                asked += count;
            }
            let Some((mut count, mut pending)) = under_way.pop_front() else { break };
            // A server may answer with less than it was asked for; the rest is asked for again.
            loop {
                let answer = expect(self.session.wait(pending).await?, kind::DATA);
                let Some(body) = at_end_nothing(answer)? else {
                    let cause = format!("only {} bytes of {length} came", data.len());
                    return Err(Failure::new(StorageErrorKind::Damaged, cause));
                };
                let bytes = Reader(&body).bytes().ok_or_else(Failure::nonsense)?;
                if bytes.is_empty() || bytes.len() as u64 > count {
                    return Err(Failure::nonsense());
                }
                data.extend_from_slice(bytes);
                count -= bytes.len() as u64;
                if count == 0 {
                    break;
                }
                pending = self.ask_bytes(start + data.len() as u64, count).await?;
            }
        }
        Ok(data)
    }

    async fn ask_bytes(&self, offset: u64, count: u64) -> Result<Pending, Failure> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.session.send(kind::READ, 64, |packet| packet.bytes(&self.name).u64(offset).u32(count)).await
    }

    /// Closes a file that was written, after it is on the server's disk where the server can promise that.
    pub(super) async fn close_durably(mut self) -> Result<(), Failure> {
        let mut synced = None;
        if self.session.extensions.fsync {
            let packet = self
                .session
                .send(kind::EXTENDED, 64, |packet| packet.bytes(b"fsync@openssh.com").bytes(&self.name));
            synced = Some(packet.await?);
        }
        self.open = false;
        let closed = self.session.send(kind::CLOSE, 64, |packet| packet.bytes(&self.name)).await?;
        if let Some(synced) = synced {
            succeeded(&self.session.wait(synced).await?)?;
        }
        succeeded(&self.session.wait(closed).await?)
    }
}

fn name_of(body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    Reader(&body).bytes().map(<[u8]>::to_vec).ok_or_else(Failure::nonsense)
}

fn at_end_nothing(answer: Result<Vec<u8>, Failure>) -> Result<Option<Vec<u8>>, Failure> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(failure) if failure.code == Some(status::EOF) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Asks what lies at a path, through links; nothing where there is nothing.
pub(super) async fn look_up(session: &Session, path: &str) -> Result<Option<Attributes>, Failure> {
    let answer = session.ask(kind::STAT, path.len(), |packet| packet.bytes(path.as_bytes())).await?;
    match expect(answer, kind::ATTRS) {
        Ok(body) => Reader(&body).attributes().map(Some).ok_or_else(Failure::nonsense),
        Err(failure) if failure.kind == StorageErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Reads bytes of a file: from `start`, so many; to its end where nothing is said.
pub(super) async fn get(
    session: &Session,
    path: &str,
    start: u64,
    length: Option<u64>,
) -> Result<Vec<u8>, Failure> {
    let handle = match Handle::open(session, path, open::READ, None).await {
        // Some servers do not open a folder, and do not say that this is why.
        Err(failure) if matches!(failure.code, Some(status::FAILURE | status::PERMISSION_DENIED)) => {
            let is_file = look_up(session, path).await?.is_some_and(Attributes::is_file);
            return Err(if is_file { failure } else { absent() });
        }
        opened => opened?,
    };
    read_opened(&handle, start, length).await
}

async fn read_opened(handle: &Handle<'_>, start: u64, length: Option<u64>) -> Result<Vec<u8>, Failure> {
    let found = handle.attributes().await?;
    if !found.is_file() {
        return Err(absent());
    }
    let size = found.size.unwrap_or(0);
    let length = length.unwrap_or_else(|| size.saturating_sub(start));
    if start.checked_add(length).is_none_or(|end| end > size) {
        let cause = format!("bytes up to {} were asked for, and it has {size}", start.saturating_add(length));
        return Err(Failure::new(StorageErrorKind::Damaged, cause));
    }
    handle.read(start, length).await
}

fn absent() -> Failure {
    Failure::new(StorageErrorKind::NotFound, "there is no such object")
}

/// Returns how many bytes can be written where a path lies, where the server can tell.
pub(super) async fn free_bytes(session: &Session, path: &str) -> Result<Option<u64>, Failure> {
    if !session.extensions.statvfs {
        return Ok(None);
    }
    let mut path = path.to_owned();
    loop {
        let packet = session.ask(kind::EXTENDED, path.len() + 32, |packet| {
            packet.bytes(b"statvfs@openssh.com").bytes(path.as_bytes())
        });
        let body = match expect(packet.await?, kind::EXTENDED_REPLY) {
            // The folder is not made yet: where it will be is what counts.
            Err(failure) if failure.kind == StorageErrorKind::NotFound && path.len() > 1 => {
                path = match path.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => above.to_owned(),
                    _ => "/".to_owned(),
                };
                continue;
            }
            answer => answer?,
        };
        let mut body = Reader(&body);
        // f_bsize, f_frsize, f_blocks, f_bfree, f_bavail: OpenSSH's PROTOCOL, 3.4.
        let numbers: Option<Vec<u64>> = (0..5).map(|_| body.u64()).collect();
        let numbers = numbers.ok_or_else(Failure::nonsense)?;
        return Ok(numbers.get(1).zip(numbers.get(4)).map(|(unit, count)| unit.saturating_mul(*count)));
    }
}

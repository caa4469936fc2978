//! The data set as a server sends it to a replica (`PSYNC`, in Redis's documentation of replication).

use super::connection::{Connection, Trouble, command};
use super::rdb::{Summary, check};
use crate::error::EngineError;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How many pieces may wait to be checked.
const WAITING: usize = 16;

/// The length of the mark that ends a stream of unknown length.
const MARK: usize = 40;

/// Where in the server's history the data set stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) replication_id: String,
    pub(super) offset: u64,
}

/// Asks for the data set; returns when its first byte is about to come.
pub(super) fn begin(mut connection: Connection) -> Result<(Begun, Rdb<impl Read + Send>), EngineError> {
    // So that the server can send it without writing it to its disk first, and nothing after it. Older ones know neither.
    for words in [["REPLCONF", "capa", "eof"], ["REPLCONF", "rdb-only", "1"]] {
        match connection.ask(&words) {
            Ok(_) => {}
            Err(Trouble::Declined(said)) if !said.starts_with("NOPERM") => {}
            Err(trouble) => return Err(connection.explain("asking for the data set", trouble)),
        }
    }
    let began = start(&mut connection);
    let (begun, end) = began.map_err(|trouble| connection.explain("asking for the data set", trouble))?;
    Ok((begun, Rdb { inner: connection.into_reader(), end, tail: Vec::new() }))
}

fn start(connection: &mut Connection) -> Result<(Begun, End), Trouble> {
    connection.send(&command(&["PSYNC", "?", "-1"])).map_err(Trouble::Broken)?;
    let nonsense =
        |said: &str| Trouble::Declined(format!("the server answered '{said}' instead of a data set"));
    let told = told(connection)?;
    let words: Vec<&str> = told.split(' ').collect();
    let begun = match words.as_slice() {
        ["+FULLRESYNC", id, offset] => {
            Begun { replication_id: (*id).to_owned(), offset: offset.parse().map_err(|_| nonsense(&told))? }
        }
        _ => return Err(nonsense(&told)),
    };
    let announced = self::told(connection)?;
    let end = match announced.strip_prefix("$EOF:") {
        Some(mark) if mark.len() == MARK => End::Mark(mark.as_bytes().to_vec()),
        Some(_) => return Err(nonsense(&announced)),
        None => End::Length(
            announced
                .strip_prefix('$')
                .and_then(|length| length.parse().ok())
                .ok_or_else(|| nonsense(&announced))?,
        ),
    };
    Ok((begun, end))
}

/// Returns the next line with something in it: empty ones say only that the server is still at work.
fn told(connection: &mut Connection) -> Result<String, Trouble> {
    loop {
        let line = connection.line().map_err(Trouble::Broken)?;
        match line.strip_prefix('-') {
            Some(said) => return Err(Trouble::Declined(said.to_owned())),
            None if line.is_empty() => {}
            None => return Ok(line),
        }
    }
}

/// How the end of the data set is known.
#[derive(Debug)]
enum End {
    /// So many bytes are still to come.
    Length(u64),
    /// These bytes come last; they do not belong to it.
    Mark(Vec<u8>),
    Reached,
}

/// The bytes of the data set, and no others; an end that comes too early is an error.
#[derive(Debug)]
pub(super) struct Rdb<R> {
    inner: R,
    end: End,
    /// Bytes that may yet turn out to be the mark.
    tail: Vec<u8>,
}

impl<R> Rdb<R> {
    /// Returns how many bytes there are, where the server said so.
    pub(super) const fn length(&self) -> Option<u64> {
        match self.end {
            End::Length(length) => Some(length),
            _ => None,
        }
    }
}

impl<R: Read> Read for Rdb<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let cut = || {
            let told = "the server closed the connection in the middle of the data set";
            io::Error::new(io::ErrorKind::UnexpectedEof, told)
        };
        match &mut self.end {
            End::Reached | End::Length(0) => Ok(0),
            End::Length(left) => {
                let most = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                let read = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
                if read == 0 {
                    return Err(cut());
                }
                *left -= read as u64;
                Ok(read)
            }
            End::Mark(mark) => loop {
                // Nothing follows the mark, since we never ask for more: it is there when it is the very last.
                if self.tail.ends_with(mark) {
                    self.tail.truncate(self.tail.len() - MARK);
                    if self.tail.is_empty() {
                        self.end = End::Reached;
                        return Ok(0);
                    }
                    let given = self.tail.len().min(buffer.len());
                    give(&mut self.tail, buffer, given);
                    self.tail.extend_from_slice(mark);
                    return Ok(given);
                }
                if self.tail.len() > MARK {
                    let given = (self.tail.len() - MARK).min(buffer.len());
                    give(&mut self.tail, buffer, given);
                    return Ok(given);
                }
                let mut piece = [0; 1 << 16];
                match self.inner.read(&mut piece)? {
                    0 => return Err(cut()),
                    length => self.tail.extend_from_slice(piece.get(..length).unwrap_or_default()),
                }
            },
        }
    }
}

fn give(from: &mut Vec<u8>, to: &mut [u8], length: usize) {
    if let (Some(to), Some(bytes)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(bytes);
        from.drain(..length);
    }
}

/// A stream whose bytes are checked as an RDB on another thread; it ends well only when they are one.
pub(super) struct Checked<R> {
    inner: R,
    pieces: Option<SyncSender<Vec<u8>>>,
    checking: Option<JoinHandle<Result<Summary, String>>>,
    summary: Option<Summary>,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(inner: R) -> io::Result<Self> {
        let (pieces, taken) = sync_channel(WAITING);
        let pieces_read = Pieces { taken, piece: Vec::new(), place: 0 };
        let checking =
            std::thread::Builder::new().name("rdb".to_owned()).spawn(move || check(pieces_read))?;
        Ok(Self { inner, pieces: Some(pieces), checking: Some(checking), summary: None })
    }

    /// Returns what was found; `None` before the end was reached.
    pub(super) fn into_summary(self) -> Option<Summary> {
        self.summary
    }

    fn conclude(&mut self) -> io::Result<()> {
        self.pieces = None;
        let Some(checking) = self.checking.take() else { return Ok(()) };
        let found = checking.join().unwrap_or_else(|_| Err("the check of the RDB broke off".to_owned()));
        self.summary = Some(found.map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?);
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            return self.conclude().map(|()| 0);
        }
        let piece = buffer.get(..length).unwrap_or_default().to_vec();
        // A check that gave up already says why at the end.
        if self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_err()) {
            self.conclude()?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the RDB goes on after its end"));
        }
        Ok(length)
    }
}

struct Pieces {
    taken: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    place: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.place == self.piece.len() {
            match self.taken.recv() {
                Ok(piece) => (self.piece, self.place) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let there = self.piece.get(self.place..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer.get_mut(..length).unwrap_or_default().copy_from_slice(there.get(..length).unwrap_or_default());
        self.place += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a size.
    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(self.1).min(buffer.len());
            give(&mut self.0, buffer, length);
            Ok(length)
        }
    }

    #[test]
    fn a_marked_stream_ends_at_its_mark_however_it_is_cut() {
        let mark = [b'm'; MARK];
        for length in [0, 1, 39, 40, 41, 1_000] {
            let data: Vec<u8> = (0..length).map(|place| u8::try_from(place % 200).unwrap()).collect();
            for step in [1, 7, 40, 4_096] {
                let inner = Trickle([&data[..], &mark[..]].concat(), step);
                let mut rdb = Rdb { inner, end: End::Mark(mark.to_vec()), tail: Vec::new() };
                let mut read = Vec::new();
                rdb.read_to_end(&mut read).unwrap();
                assert_eq!(read, data, "{length} bytes, {step} at once");
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_is_an_error() {
        let cut = |end| {
            let inner = Trickle(vec![1; 500], 64);
            Rdb { inner, end, tail: Vec::new() }.read_to_end(&mut Vec::new())
        };
        assert!(cut(End::Mark(vec![b'm'; MARK])).is_err());
        assert!(cut(End::Length(501)).is_err());
        assert_eq!(cut(End::Length(500)).unwrap(), 500);
    }
}

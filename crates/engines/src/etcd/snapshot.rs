//! A snapshot as the gateway streams it, and whether it is whole.
//!
//! Each line is a JSON object with a piece in base64. The last 32 bytes are the SHA-256 of all before them, and those have a
//! whole number of disk sectors; `etcdctl` writes and checks its files in the same way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

/// The length of the hash at the end.
const HASH: usize = 32;

/// The length before the hash is a multiple of this, in bytes.
const SECTOR: u64 = 512;

/// No line is longer, in bytes; servers send pieces of 32 KiB.
const LONGEST_LINE: u64 = 64 << 20;

/// Checks what went by.
#[derive(Debug, Default)]
pub(super) struct Check {
    hash: Sha256,
    /// The last bytes, which may be the hash.
    tail: Vec<u8>,
    bytes: u64,
}

impl Check {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        let settled = self.tail.len().saturating_sub(HASH);
        let (sum, _) = self.tail.split_at(settled);
        self.hash.update(sum);
        self.tail.drain(..settled);
    }

    /// Says why it is not a whole snapshot: the middle of a sentence.
    pub(super) fn finish(self) -> Result<(), &'static str> {
        if self.bytes <= HASH as u64 {
            return Err("the snapshot is empty");
        }
        if !(self.bytes - HASH as u64).is_multiple_of(SECTOR) {
            return Err("the snapshot was cut short: the hash at its end is missing");
        }
        match self.hash.finalize()[..] == self.tail[..] {
            true => Ok(()),
            false => Err("the snapshot's hash is wrong"),
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    result: Option<Piece<'a>>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    blob: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

/// The bytes of a snapshot; they end well only when they are whole.
pub(super) struct Snapshot<R> {
    lines: BufReader<R>,
    line: Vec<u8>,
    piece: Vec<u8>,
    place: usize,
    check: Option<Check>,
}

impl<R: Read> Snapshot<R> {
    pub(super) fn new(inner: R) -> Self {
        let lines = BufReader::with_capacity(1 << 17, inner);
        Self { lines, line: Vec::new(), piece: Vec::new(), place: 0, check: Some(Check::default()) }
    }

    /// Gets the next piece; says whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        let broken = |cause: String| io::Error::new(io::ErrorKind::InvalidData, cause);
        self.line.clear();
        self.lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if self.line.trim_ascii().is_empty() {
            return Ok(false);
        }
        let line: Line<'_> = serde_json::from_slice(&self.line)
            .map_err(|error| broken(format!("the server sent something else than a snapshot: {error}")))?;
        if let Some(refusal) = line.error {
            return Err(broken(format!("the server broke off: {}", refusal.message)));
        }
        self.piece.clear();
        self.place = 0;
        let blob = line.result.map(|piece| piece.blob).unwrap_or_default();
        STANDARD
            .decode_vec(blob.as_bytes(), &mut self.piece)
            .map_err(|error| broken(format!("the server sent something else than a snapshot: {error}")))?;
        if let Some(check) = &mut self.check {
            check.update(&self.piece);
        }
        Ok(true)
    }
}

impl<R: Read> Read for Snapshot<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.place == self.piece.len() {
            if !self.next()? {
                let checked = self.check.take().map_or(Ok(()), Check::finish);
                return checked
                    .map(|()| 0)
                    .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause));
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

    fn lines(bytes: &[u8], piece: usize) -> String {
        let line = |piece: &[u8]| {
            format!("{{\"result\":{{\"remaining_bytes\":\"1\",\"blob\":\"{}\"}}}}\n", STANDARD.encode(piece))
        };
        bytes.chunks(piece).map(line).collect()
    }

    fn whole() -> Vec<u8> {
        let data = vec![7; 1_024];
        [data.clone(), Sha256::digest(&data).to_vec()].concat()
    }

    fn read(text: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Snapshot::new(text.as_bytes()).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_whole_snapshot_is_read_however_it_is_cut() {
        for piece in [1, 31, 32, 33, 1_000, 2_000] {
            assert_eq!(read(&lines(&whole(), piece)).unwrap(), whole());
        }
    }

    #[test]
    fn what_is_cut_altered_or_refused_is_an_error() {
        let text = lines(&whole(), 100);
        for end in text.match_indices('\n').map(|(place, _)| place + 1).filter(|end| *end < text.len()) {
            assert!(read(&text[..end]).is_err(), "cut after {end} bytes");
        }
        let mut altered = whole();
        altered[500] ^= 1;
        assert!(read(&lines(&altered, 100)).unwrap_err().to_string().contains("hash is wrong"));
        let refused = "{\"error\":{\"grpc_code\":14,\"message\":\"server stopped\"}}\n";
        assert!(read(&format!("{text}{refused}")).unwrap_err().to_string().contains("server stopped"));
        assert!(read("").is_err() && read("<html>").is_err());
    }
}

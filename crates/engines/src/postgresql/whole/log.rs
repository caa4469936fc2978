//! Pieces of the server's log: read, held against what they should be, and searched for the places that have names.
//!
//! A piece is made of pages of 8 KiB. Each begins with a header of 24 bytes, the first one with 40: what it is (2 bytes), flags (2),
//! timeline (4), its place in the log (8); in the first one, the server's identifier (at 24) and the length of a piece (at 32).

use super::lsn::Lsn;
use super::position::{RestorePoint, ServerPosition};
use std::io::{self, Read};

/// How long a page of the log is, unless a server was built otherwise.
pub(super) const PAGE_BYTES: usize = 8 << 10;

const FIRST_HEADER: usize = 40;
const HEADER: usize = 24;

/// The flag of a first page.
const IS_FIRST: u16 = 2;

/// The record of a named place: its own header (24 bytes), two bytes that say how long the rest is, a time and a name.
const POINT_BYTES: usize = 98;
const NAME_BYTES: usize = 64;

/// Records begin at multiples of this.
const ALIGNED: usize = 8;

/// No named place begins and ends in so many bytes at the end of a page.
const KEPT: usize = 96;

/// The seconds from 1970 to 2000, when servers' clocks begin.
const EPOCH_SECONDS: i64 = 946_684_800;

/// Reads one piece, and ends in an error where it is not what its name says.
pub(super) struct Piece<'a> {
    inner: &'a mut dyn Read,
    position: &'a ServerPosition,
    /// Where it begins in the log.
    begin: u64,
    page: Vec<u8>,
    /// What of the page was given out, and how much of the piece was read.
    given: usize,
    length: u64,
    points: &'a mut Points,
}

impl<'a> Piece<'a> {
    pub(super) fn new(
        inner: &'a mut dyn Read,
        position: &'a ServerPosition,
        number: u64,
        points: &'a mut Points,
    ) -> Self {
        let begin = number * position.segment_bytes;
        Self { inner, position, begin, page: Vec::new(), given: 0, length: 0, points }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.given = 0;
        self.page.clear();
        if self.length == self.position.segment_bytes {
            return Ok(());
        }
        let read = Read::by_ref(&mut self.inner).take(PAGE_BYTES as u64).read_to_end(&mut self.page)?;
        if read < PAGE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "it ends after {} bytes and not after {}",
                    self.length + read as u64,
                    self.position.segment_bytes
                ),
            ));
        }
        check(&self.page, self.position, Lsn(self.begin + self.length), self.length == 0)
            .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
        self.points.look(&self.page, Lsn(self.begin + self.length));
        self.length += read as u64;
        Ok(())
    }
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.page.len() {
            self.fill()?;
        }
        let ready = self.page.get(self.given..).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        if let (Some(into), Some(from)) = (buffer.get_mut(..length), ready.get(..length)) {
            into.copy_from_slice(from);
        }
        self.given += length;
        Ok(length)
    }
}

fn number<const N: usize>(page: &[u8], at: usize) -> [u8; N] {
    page.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// Says what is wrong with a page of the log; the rest of a piece that was ended early is zeros.
pub(super) fn check(
    page: &[u8],
    position: &ServerPosition,
    place: Lsn,
    is_first: bool,
) -> Result<(), String> {
    let at = Lsn(u64::from_ne_bytes(number(page, 8)));
    if at == Lsn(0) && !is_first && page.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    if at != place {
        return Err(format!("it holds the log at {at} where that at {place} should be"));
    }
    if !is_first {
        return Ok(());
    }
    let timeline = u32::from_ne_bytes(number(page, 4));
    let (system, bytes) = (u64::from_ne_bytes(number(page, 24)), u32::from_ne_bytes(number(page, 32)));
    if u16::from_ne_bytes(number(page, 2)) & IS_FIRST == 0 || u64::from(bytes) != position.segment_bytes {
        return Err("it does not begin as a piece of log does".to_owned());
    }
    // The first piece of a timeline may begin before it.
    if timeline > position.timeline || system.to_string() != position.system {
        return Err(format!("it is of the server {system}, timeline {timeline}"));
    }
    Ok(())
}

/// Collects the places that somebody named.
#[derive(Debug, Default)]
pub(super) struct Points {
    pub(super) found: Vec<RestorePoint>,
    /// The end of what was looked through, and the place in the log where the page after it begins.
    rest: Vec<u8>,
    next: Lsn,
}

impl Points {
    fn look(&mut self, page: &[u8], place: Lsn) {
        let is_first = u16::from_ne_bytes(number(page, 2)) & IS_FIRST != 0;
        let header = if is_first { FIRST_HEADER } else { HEADER };
        let content = page.get(header..).unwrap_or_default();
        if self.next != place {
            self.rest.clear();
        }
        let before = self.rest.len();
        let all = [self.rest.as_slice(), content].concat();
        for begin in (0..all.len().saturating_sub(POINT_BYTES - 1)).step_by(ALIGNED) {
            let Some(record) = all.get(begin..begin + POINT_BYTES) else { break };
            if let Some((name, time)) = named(record) {
                let at = match begin < before {
                    true => place.0 - (before - begin) as u64,
                    false => place.0 + (header + begin - before) as u64,
                };
                self.found.push(RestorePoint { name, at: Lsn(at), time });
            }
        }
        self.rest = all.get(all.len().saturating_sub(KEPT)..).unwrap_or_default().to_vec();
        self.next = Lsn(place.0 + page.len() as u64);
    }
}

/// Reads the name and time of a place from its record, where it is such a record.
fn named(record: &[u8]) -> Option<(String, i64)> {
    let length = u32::from_ne_bytes(number(record, 0));
    let (info, manager) = (record.get(16)?, record.get(17)?);
    let is_point = usize::try_from(length) == Ok(POINT_BYTES)
        && (info & 0xF0, *manager) == (0x70, 0)
        && (record.get(24)?, record.get(25)?) == (&0xFF, &72);
    if !is_point {
        return None;
    }
    let time = i64::from_ne_bytes(number(record, 26)).checked_add(EPOCH_SECONDS * 1_000_000)?;
    let name = record.get(POINT_BYTES - NAME_BYTES..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8_lossy(name.get(..end)?).into_owned(), time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> ServerPosition {
        ServerPosition {
            system: "77".to_owned(),
            timeline: 1,
            segment_bytes: 16 << 10,
            ..ServerPosition::default()
        }
    }

    fn piece(number: u64) -> Vec<u8> {
        let mut bytes = vec![0; 16 << 10];
        for page in 0..2_usize {
            let at = page * PAGE_BYTES;
            let place = number * (16 << 10) + at as u64;
            bytes[at + 2..at + 4].copy_from_slice(&(if page == 0 { 2_u16 } else { 0 }).to_ne_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&1_u32.to_ne_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&place.to_ne_bytes());
        }
        bytes[24..32].copy_from_slice(&77_u64.to_ne_bytes());
        bytes[32..36].copy_from_slice(&(16_u32 << 10).to_ne_bytes());
        bytes
    }

    fn record(name: &str) -> Vec<u8> {
        let mut record = vec![0; POINT_BYTES];
        record[..4].copy_from_slice(&98_u32.to_ne_bytes());
        record[16] = 0x70;
        record[24..26].copy_from_slice(&[0xFF, 72]);
        record[34..34 + name.len()].copy_from_slice(name.as_bytes());
        record
    }

    fn read(bytes: &[u8], number: u64) -> io::Result<Vec<RestorePoint>> {
        let (position, mut points, mut source) = (position(), Points::default(), bytes);
        let mut copy = Vec::new();
        Piece::new(&mut source, &position, number, &mut points).read_to_end(&mut copy)?;
        assert_eq!(copy, bytes);
        Ok(points.found)
    }

    #[test]
    fn named_places_are_found_also_where_a_page_ends_within_them() {
        let mut bytes = piece(3);
        bytes[120..120 + POINT_BYTES].copy_from_slice(&record("first"));
        let split = record("second");
        bytes[PAGE_BYTES - 40..PAGE_BYTES].copy_from_slice(&split[..40]);
        bytes[PAGE_BYTES + HEADER..PAGE_BYTES + HEADER + 58].copy_from_slice(&split[40..]);
        let found = read(&bytes, 3).unwrap();
        let found: Vec<_> = found.iter().map(|point| (point.name.as_str(), point.at.0)).collect();
        assert_eq!(found, [("first", 3 * 16384 + 120), ("second", 3 * 16384 + 8192 - 40)]);
    }

    #[test]
    fn a_piece_of_another_place_or_server_is_an_error_and_a_short_one_too() {
        assert!(read(&piece(3), 3).unwrap().is_empty());
        let error = read(&piece(2), 3).unwrap_err().to_string();
        assert!(error.contains("0/8000") && error.contains("0/C000"), "{error}");
        let mut other = piece(3);
        other[24] = 1;
        assert!(read(&other, 3).unwrap_err().to_string().contains("server 1"));
        assert!(read(&piece(3)[..PAGE_BYTES], 3).unwrap_err().to_string().contains("ends after 8192"));
        let mut ended = piece(3);
        ended[PAGE_BYTES..].fill(0);
        assert!(read(&ended, 3).is_ok(), "a piece that was ended early");
    }
}

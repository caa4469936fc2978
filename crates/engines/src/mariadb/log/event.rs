//! Events of the binary log, as MariaDB's page "Binary Log Event Format" tells: a header of 19 bytes, little-endian, the
//! body, and four bytes of checksum.

use std::io::{self, Read};

/// What every file begins with.
pub(crate) const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

pub(super) const QUERY: u8 = 2;
pub(super) const STOP: u8 = 3;
pub(super) const ROTATE: u8 = 4;
pub(super) const FORMAT: u8 = 15;
pub(super) const XID: u8 = 16;
pub(super) const BEGIN_LOAD: u8 = 17;
pub(super) const EXECUTE_LOAD: u8 = 18;
pub(super) const TABLE_MAP: u8 = 19;
pub(super) const INCIDENT: u8 = 26;
pub(super) const XA_PREPARE: u8 = 38;
pub(super) const CHECKPOINT: u8 = 161;
pub(super) const GTID: u8 = 162;
pub(super) const GTID_LIST: u8 = 163;
pub(super) const START_ENCRYPTION: u8 = 164;
pub(super) const QUERY_COMPRESSED: u8 = 165;

const HEADER_BYTES: usize = 19;
const CHECKSUM_BYTES: usize = 4;

/// A server sends no longer event than its largest packet.
const MOST_BYTES: usize = 1 << 30;

/// One event.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    /// When it happened, in seconds since 1970.
    pub(super) time: u32,
    pub(super) kind: u8,
    /// Where the next one begins in the log it came from.
    pub(super) next: u64,
    /// Its length with header and checksum.
    pub(super) length: u64,
    /// What is between header and checksum.
    pub(super) body: Vec<u8>,
}

/// Reads the events of one file.
#[derive(Debug)]
pub(super) struct Events<R> {
    inner: R,
    /// Whether events end with a checksum; the first event says it.
    is_checked: bool,
}

impl<R: Read> Events<R> {
    /// Reads the beginning of a file, with the event that says how the others are written.
    pub(super) fn open(mut inner: R) -> io::Result<(Self, Event)> {
        let mut magic = [0; 4];
        inner.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(broken("it does not begin as a binary log does"));
        }
        let mut events = Self { inner, is_checked: false };
        let (first, bytes) = events.read_whole()?.ok_or_else(|| broken("it is empty"))?;
        if first.kind != FORMAT {
            return Err(broken("it does not say how it is written"));
        }
        // The algorithm stands before the checksum that this event always ends with: 0 for none, 1 for CRC-32.
        let algorithm = bytes.len().checked_sub(CHECKSUM_BYTES + 1).and_then(|place| bytes.get(place));
        events.is_checked = match algorithm {
            Some(0) => false,
            Some(1) => true,
            _ => return Err(broken("it has a checksum that is not known")),
        };
        Ok((events, first))
    }

    /// Reads the next event; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Event>> {
        let Some((event, mut bytes)) = self.read_whole()? else { return Ok(None) };
        if self.is_checked {
            let split = bytes.len().checked_sub(CHECKSUM_BYTES);
            let (content, sum) = split.and_then(|split| bytes.split_at_checked(split)).unwrap_or_default();
            if crc32(content).to_le_bytes() != *sum {
                return Err(broken("an event has a wrong checksum"));
            }
            let length = content.len();
            bytes.truncate(length);
        }
        // Rows may be many megabytes, and nobody looks into them.
        let is_looked_into =
            matches!(event.kind, QUERY | ROTATE | EXECUTE_LOAD | TABLE_MAP | GTID | QUERY_COMPRESSED);
        let body = if is_looked_into { bytes.split_off(HEADER_BYTES.min(bytes.len())) } else { Vec::new() };
        Ok(Some(Event { body, ..event }))
    }

    fn read_whole(&mut self) -> io::Result<Option<(Event, Vec<u8>)>> {
        let mut bytes = vec![0; HEADER_BYTES];
        let mut have = 0;
        while have < HEADER_BYTES {
            match self.inner.read(bytes.get_mut(have..).unwrap_or_default())? {
                0 if have == 0 => return Ok(None),
                0 => return Err(broken("it ends within an event")),
                length => have += length,
            }
        }
        let length = number(&bytes, 9, 4) as usize;
        if !(HEADER_BYTES..=MOST_BYTES).contains(&length) {
            return Err(broken("an event has an impossible length"));
        }
        // What is not there is not reserved either.
        let wanted = (length - HEADER_BYTES) as u64;
        let read = self.inner.by_ref().take(wanted).read_to_end(&mut bytes)?;
        if read as u64 != wanted {
            return Err(broken("it ends within an event"));
        }
        let event = Event {
            time: u32::try_from(number(&bytes, 0, 4)).unwrap_or_default(),
            kind: bytes.get(4).copied().unwrap_or_default(),
            next: number(&bytes, 13, 4),
            length: length as u64,
            body: Vec::new(),
        };
        Ok(Some((event, bytes)))
    }
}

/// Reads a number of so many bytes; 0 where they are not there.
pub(super) fn number(bytes: &[u8], from: usize, length: usize) -> u64 {
    let bytes = bytes.get(from..from + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(super) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The checksum of Ethernet and zip (polynomial 0xedb88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |sum, byte| {
        let place = (sum ^ u32::from(*byte)) & 0xff;
        TABLE.get(place as usize).copied().unwrap_or_default() ^ (sum >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut sum = place as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[place] = sum;
        place += 1;
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes an event with its checksum.
    pub(in super::super) fn written(kind: u8, time: u32, begins: u64, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_BYTES + body.len() + CHECKSUM_BYTES) as u32;
        let mut bytes = time.to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend((begins as u32 + length).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(body);
        let sum = crc32(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let file = [&MAGIC[..], &written(FORMAT, 1, 4, &[4, 0, 1]), &written(GTID, 5, 30, &[9; 8])].concat();
        let read = |bytes: &[u8]| {
            Events::open(bytes).and_then(|(mut events, _)| {
                let event = events.next()?;
                Ok((event, events.next()?.is_none()))
            })
        };
        let (event, is_end) = read(&file).unwrap();
        assert!(event.is_some_and(|event| event.body == [9; 8] && event.time == 5) && is_end);
        let second = file.len() - 31;
        for place in second..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[place] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "byte {place} bit {bit}");
            }
        }
        for length in (0..second).chain(second + 1..file.len()) {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
    }
}

//! The bytes of an RDB file as they are taken, summed up on the way.

use crate::redis::crc64;
use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 1 << 17;

/// The checksum's eight bytes at the end.
pub(super) const FOOTER: usize = 8;

/// Why the walk ended early.
pub(super) enum Stop {
    /// The bytes cannot be had.
    Broken(io::Error),
    /// Something that is not known here, or that makes no sense.
    Unknown(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The bytes of the file, with a checksum over those that were taken.
pub(super) struct Bytes<R> {
    reader: R,
    buffer: Vec<u8>,
    place: usize,
    /// Up to here the buffer is in the checksum.
    summed: usize,
    crc: u64,
    pub(super) total: u64,
    pub(super) is_magic_seen: bool,
}

impl<R: Read> Bytes<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), place: 0, summed: 0, crc: 0, total: 0, is_magic_seen: false }
    }

    pub(super) fn crc(&mut self) -> u64 {
        let new = self.buffer.get(self.summed..self.place).unwrap_or_default();
        self.crc = crc64::update(self.crc, new);
        self.summed = self.place;
        self.crc
    }

    /// Gets more bytes when all were taken; says whether there are any.
    fn fill(&mut self) -> io::Result<bool> {
        if self.place < self.buffer.len() {
            return Ok(true);
        }
        self.crc();
        self.buffer.resize(CHUNK, 0);
        (self.place, self.summed) = (0, 0);
        loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
                Ok(length) => {
                    self.buffer.truncate(length);
                    self.total += length as u64;
                    return Ok(length > 0);
                }
            }
        }
    }

    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        self.fill().map(|more| !more)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        if !self.fill()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let byte = self.buffer.get(self.place).copied().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.place += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let there = self.buffer.len() - self.place;
            let step = usize::try_from(length).map_or(there, |length| length.min(there));
            self.place += step;
            length -= step as u64;
        }
        Ok(())
    }

    /// Reads a length, or the number of a special encoding.
    fn length_or_encoding(&mut self) -> Result<Result<u64, u8>, Stop> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Ok(low.into()),
            1 => Ok(u64::from(low) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Ok(u32::from_be_bytes(self.array()?).into()),
            2 if first == 0x81 => Ok(u64::from_be_bytes(self.array()?)),
            3 => Err(low),
            _ => return Err(Stop::Unknown("a length makes no sense".to_owned())),
        })
    }

    pub(super) fn length(&mut self) -> Result<u64, Stop> {
        self.length_or_encoding()?.map_err(|_| Stop::Unknown("a length is missing".to_owned()))
    }

    pub(super) fn string(&mut self) -> Result<(), Stop> {
        let length = match self.length_or_encoding()? {
            Ok(length) => length,
            Err(0) => 1,
            Err(1) => 2,
            Err(2) => 4,
            Err(3) => {
                let compressed = self.length()?;
                self.length()?;
                compressed
            }
            Err(other) => return Err(Stop::Unknown(format!("a string has the unknown encoding {other}"))),
        };
        Ok(self.skip(length)?)
    }

    /// Reads a string that is short and plain; walks over any other.
    pub(super) fn short_string(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        match self.length_or_encoding()? {
            Ok(length @ 0..=64) => {
                (0..length).map(|_| self.byte()).collect::<io::Result<_>>().map(Some).map_err(Stop::Broken)
            }
            Ok(length) => self.skip(length).map(|()| None).map_err(Stop::Broken),
            Err(0) => self.skip(1).map(|()| None).map_err(Stop::Broken),
            Err(1) => self.skip(2).map(|()| None).map_err(Stop::Broken),
            Err(2) => self.skip(4).map(|()| None).map_err(Stop::Broken),
            Err(_) => Err(Stop::Unknown("a remark is in an unknown encoding".to_owned())),
        }
    }

    /// Takes all that is left.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while self.fill()? {
            self.place = self.buffer.len();
        }
        Ok(())
    }
}

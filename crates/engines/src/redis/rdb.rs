//! Reads through an RDB file: whether it is whole, and how many keys of what type each database has.
//!
//! The format is described by Redis's `rdb.h` and `rdb.c`. Values are walked over, not understood: only their lengths
//! matter. What this does not know (a newer type) ends the count, never the check: the checksum over all bytes
//! decides.

mod bytes;

use crate::words::{count, grouped};
use bytes::{Bytes, FOOTER, Stop};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What was found in a sound file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// The version of the server that wrote it, where it says so.
    pub(super) server: Option<String>,
    /// The number of keys in each database that has any; `None` where the file holds something unknown.
    pub(super) keys: Option<BTreeMap<u64, u64>>,
    /// Of these, the number of keys that expire.
    pub(super) expiring: BTreeMap<u64, u64>,
    /// The number of keys of each type.
    pub(super) types: BTreeMap<&'static str, u64>,
    /// Libraries of functions.
    pub(super) functions: u64,
    /// Whether the file has a checksum; a server can be told to write none.
    pub(super) has_checksum: bool,
}

const EOF: u8 = 255;

/// Checks a whole file.
///
/// # Errors
/// It does not begin as an RDB file, ends too early or late, or its checksum is wrong: the middle of a sentence.
pub(super) fn check(reader: impl Read) -> Result<Summary, String> {
    let mut bytes = Bytes::new(reader);
    let mut summary = Summary::default();
    let mut keys = BTreeMap::new();
    let walked = magic(&mut bytes).and_then(|()| walk(&mut bytes, &mut summary, &mut keys));
    match walked {
        Ok(()) => {
            let computed = bytes.crc();
            let footer = bytes.array::<FOOTER>().map_err(|error| cut(&error))?;
            if !bytes.is_at_end().map_err(|error| cut(&error))? {
                return Err("the RDB goes on after its end".to_owned());
            }
            summary.has_checksum = judge(u64::from_le_bytes(footer), computed)?;
            summary.keys = Some(keys);
            Ok(summary)
        }
        // A length misread leads beyond the end. Over the whole file, with its checksum behind it, the sum comes to nothing.
        Err(Stop::Broken(error)) if bytes.is_magic_seen && is_cut(&error) && bytes.crc() == 0 => {
            Ok(summary.uncounted())
        }
        Err(Stop::Broken(error)) => Err(cut(&error)),
        Err(Stop::Unknown(what)) if bytes.total == 0 || !bytes.is_magic_seen => Err(what),
        Err(Stop::Unknown(what)) => {
            bytes.drain().map_err(|error| cut(&error))?;
            match bytes.crc() {
                0 => Ok(summary.uncounted()),
                _ => Err(format!("the RDB's checksum is wrong or missing, and {what}")),
            }
        }
    }
}

fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn cut(error: &io::Error) -> String {
    if is_cut(error) { "the RDB ends in the middle".to_owned() } else { error.to_string() }
}

/// Says whether there is a checksum; a wrong one is an error.
fn judge(footer: u64, computed: u64) -> Result<bool, String> {
    match footer {
        0 => Ok(false),
        _ if footer == computed => Ok(true),
        _ => Err("the RDB's checksum is wrong".to_owned()),
    }
}

fn magic<R: Read>(bytes: &mut Bytes<R>) -> Result<(), Stop> {
    let begin = bytes.array::<5>()?;
    // Valkey's own files begin with its name and three digits.
    let digits = match &begin {
        b"REDIS" => 4,
        b"VALKE" => {
            bytes.skip(1)?;
            3
        }
        _ => return Err(Stop::Unknown("what came does not begin as an RDB does".to_owned())),
    };
    for _ in 0..digits {
        if !bytes.byte()?.is_ascii_digit() {
            return Err(Stop::Unknown("what came does not begin as an RDB does".to_owned()));
        }
    }
    bytes.is_magic_seen = true;
    Ok(())
}

fn walk<R: Read>(
    bytes: &mut Bytes<R>,
    summary: &mut Summary,
    keys: &mut BTreeMap<u64, u64>,
) -> Result<(), Stop> {
    let (mut database, mut expires) = (0, false);
    loop {
        match bytes.byte()? {
            EOF => return Ok(()),
            254 => database = bytes.length()?,
            moment @ (252 | 253) => {
                bytes.skip(if moment == 252 { 8 } else { 4 })?;
                expires = true;
            }
            251 => skip_lengths(bytes, 2)?,
            250 => {
                let name = bytes.short_string()?;
                let value = bytes.short_string()?;
                if name.as_deref() == Some(b"redis-ver") || name.as_deref() == Some(b"valkey-ver") {
                    summary.server = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                }
            }
            249 => bytes.skip(1)?,
            248 => skip_lengths(bytes, 1)?,
            247 => {
                skip_lengths(bytes, 3)?;
                module(bytes)?;
            }
            245 => {
                bytes.string()?;
                summary.functions += 1;
            }
            244 => skip_lengths(bytes, 3)?,
            kind => {
                bytes.string()?;
                let name = value(bytes, kind)?;
                *keys.entry(database).or_default() += 1;
                *summary.types.entry(name).or_default() += 1;
                if std::mem::take(&mut expires) {
                    *summary.expiring.entry(database).or_default() += 1;
                }
            }
        }
    }
}

/// Walks over one value; returns the name that the command `TYPE` gives it.
fn value<R: Read>(bytes: &mut Bytes<R>, kind: u8) -> Result<&'static str, Stop> {
    match kind {
        0 => bytes.string().map(|()| "string"),
        1 => strings(bytes, 1).map(|()| "list"),
        2 => strings(bytes, 1).map(|()| "set"),
        3 => {
            for _ in 0..bytes.length()? {
                bytes.string()?;
                let length = bytes.byte()?;
                // The three highest stand for the numbers that have no digits.
                if length < 253 {
                    bytes.skip(length.into())?;
                }
            }
            Ok("zset")
        }
        4 => strings(bytes, 2).map(|()| "hash"),
        5 => {
            for _ in 0..bytes.length()? {
                bytes.string()?;
                bytes.skip(8)?;
            }
            Ok("zset")
        }
        7 => {
            bytes.length()?;
            module(bytes).map(|()| "module")
        }
        9 | 13 | 16 => bytes.string().map(|()| "hash"),
        10 => bytes.string().map(|()| "list"),
        11 | 20 => bytes.string().map(|()| "set"),
        12 | 17 => bytes.string().map(|()| "zset"),
        14 => strings(bytes, 1).map(|()| "list"),
        18 => {
            for _ in 0..bytes.length()? {
                bytes.length()?;
                bytes.string()?;
            }
            Ok("list")
        }
        15 | 19 | 21 => stream(bytes, kind).map(|()| "stream"),
        other => Err(Stop::Unknown(format!("it holds the unknown type {other}"))),
    }
}

fn strings<R: Read>(bytes: &mut Bytes<R>, each: u64) -> Result<(), Stop> {
    for _ in 0..bytes.length()?.saturating_mul(each) {
        bytes.string()?;
    }
    Ok(())
}

fn skip_lengths<R: Read>(bytes: &mut Bytes<R>, number: usize) -> Result<(), Stop> {
    (0..number).try_for_each(|_| bytes.length().map(drop))
}

/// Walks over a stream; types 19 and 21 each know more than the one before.
fn stream<R: Read>(bytes: &mut Bytes<R>, kind: u8) -> Result<(), Stop> {
    strings(bytes, 2)?;
    skip_lengths(bytes, 3)?;
    if kind >= 19 {
        skip_lengths(bytes, 5)?;
    }
    for _ in 0..bytes.length()? {
        bytes.string()?;
        skip_lengths(bytes, if kind >= 19 { 3 } else { 2 })?;
        for _ in 0..bytes.length()? {
            bytes.skip(16 + 8)?;
            bytes.length()?;
        }
        for _ in 0..bytes.length()? {
            bytes.string()?;
            bytes.skip(if kind >= 21 { 16 } else { 8 })?;
            let pending = bytes.length()?;
            bytes.skip(pending.saturating_mul(16))?;
        }
    }
    Ok(())
}

/// Walks over what a module wrote, which says of each part what it is.
fn module<R: Read>(bytes: &mut Bytes<R>) -> Result<(), Stop> {
    loop {
        match bytes.length()? {
            0 => return Ok(()),
            1 | 2 => skip_lengths(bytes, 1)?,
            3 => bytes.skip(4)?,
            4 => bytes.skip(8)?,
            5 => bytes.string()?,
            other => return Err(Stop::Unknown(format!("a module wrote the unknown part {other}"))),
        }
    }
}

impl Summary {
    /// Keeps what is known of a sound file that could not be counted.
    fn uncounted(self) -> Self {
        Self { server: self.server, has_checksum: true, ..Self::default() }
    }

    /// Says in words what was found: `3 keys in 1 database`.
    pub(super) fn in_words(&self) -> String {
        match &self.keys {
            None => "an RDB of an unknown layout".to_owned(),
            Some(keys) => format!(
                "{} in {}",
                count(keys.values().sum(), "key", "keys"),
                count(keys.len() as u64, "database", "databases")
            ),
        }
    }

    /// Returns what a later comparison can be held against.
    pub(super) fn evidence(&self) -> Vec<(String, String)> {
        let keys =
            self.keys.iter().flatten().map(|(number, keys)| (format!("{KEYS}{number}"), keys.to_string()));
        let expiring = self.expiring.iter();
        let expiring = expiring.map(|(number, keys)| (format!("{EXPIRING}{number}"), keys.to_string()));
        let types = self.types.iter().map(|(name, keys)| (format!("{TYPE}{name}"), keys.to_string()));
        let server = self.server.iter().map(|version| (SERVER.to_owned(), version.clone()));
        let functions = (self.functions > 0).then(|| ("Functions".to_owned(), grouped(self.functions)));
        server.chain(keys).chain(expiring).chain(types).chain(functions).collect()
    }
}

/// The names under which a report keeps the counts; the number of the database or the type follows.
pub(super) const KEYS: &str = "Keys of database ";
pub(super) const EXPIRING: &str = "Expiring keys of database ";
pub(super) const TYPE: &str = "Keys of type ";
/// The name under which it keeps the version of the server.
pub(super) const SERVER: &str = "Redis";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::crc64;

    /// An RDB with two keys, made by hand after `rdb.c`.
    fn small() -> Vec<u8> {
        let mut bytes = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfe\x03\xfb\x02\x00".to_vec();
        bytes.extend_from_slice(b"\x00\x01a\xc0\x05");
        bytes.extend_from_slice(b"\xfc\0\0\0\0\0\0\0\0\x04\x01h\x01\x01f\x01v");
        bytes.push(EOF);
        let crc = crc64::update(0, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn keys_are_counted_by_database_and_type() {
        let found = check(small().as_slice()).unwrap();
        assert_eq!(found.keys, Some(BTreeMap::from([(3, 2)])));
        assert_eq!(found.expiring, BTreeMap::from([(3, 1)]));
        assert_eq!(found.types, BTreeMap::from([("string", 1), ("hash", 1)]));
        assert_eq!(found.server.as_deref(), Some("7.0.15"));
        assert!(found.has_checksum);
        assert_eq!(found.in_words(), "2 keys in 1 database");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let whole = small();
        for length in 0..whole.len() {
            assert!(check(&whole[..length]).is_err(), "cut after {length} bytes");
        }
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            assert!(check(flipped.as_slice()).is_err(), "byte {place}");
        }
        let longer = [whole, b"x".to_vec()].concat();
        assert!(check(longer.as_slice()).is_err());
    }

    #[test]
    fn what_is_unknown_ends_the_count_but_not_the_check() {
        let mut bytes = b"REDIS0099\xfe\x00\x63\x01ksomething new".to_vec();
        bytes.push(EOF);
        let crc = crc64::update(0, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let found = check(bytes.as_slice()).unwrap();
        assert_eq!((found.keys, found.has_checksum), (None, true));
        bytes[15] ^= 1;
        assert!(check(bytes.as_slice()).is_err());
        // A set that seems to have more members than there are.
        let mut bytes = b"REDIS0099\xfe\x00\x02\x01k\x3f\x01a".to_vec();
        bytes.push(EOF);
        let crc = crc64::update(0, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        assert_eq!(check(bytes.as_slice()).unwrap().keys, None);
        assert!(check(&bytes[..bytes.len() - 1]).is_err());
    }
}

//! Takes apart the archive that the vendor's program writes: a tar of the old kind, with names up to 100 bytes.

use std::io::{self, Read};

const BLOCK: usize = 512;

/// What an entry of the archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Directory,
    /// A link, which only tablespaces are.
    Other,
}

/// One entry; its bytes follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) kind: MemberKind,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// When it was last changed, in seconds since 1970.
    pub(super) modified: i64,
}

/// Reads an archive from its beginning to its end.
pub(super) struct Archive<'a> {
    inner: &'a mut dyn Read,
    /// What of the current entry was not read, and how much fills its last block.
    rest: u64,
    padding: u64,
}

fn wrong(cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged: {cause}"))
}

impl<'a> Archive<'a> {
    pub(super) const fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner, rest: 0, padding: 0 }
    }

    /// Goes to the next entry; nothing at the end, which must be there.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        let skipped = self.rest + self.padding;
        if io::copy(&mut Read::by_ref(&mut self.inner).take(skipped), &mut io::sink())? != skipped {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut header = [0; BLOCK];
        self.inner.read_exact(&mut header)?;
        if header.iter().all(|byte| *byte == 0) {
            // The program tells how it ended only after its last byte.
            io::copy(&mut self.inner, &mut io::sink())?;
            (self.rest, self.padding) = (0, 0);
            return Ok(None);
        }
        let member = read(&header)?;
        self.rest = member.size;
        self.padding = (BLOCK as u64 - member.size % BLOCK as u64) % BLOCK as u64;
        Ok(Some(member))
    }
}

impl Read for Archive<'_> {
    /// Reads the bytes of the current entry.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.rest).unwrap_or(usize::MAX).min(buffer.len());
        let Some(into) = buffer.get_mut(..wanted).filter(|into| !into.is_empty()) else { return Ok(0) };
        match self.inner.read(into)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.rest -= length as u64;
                Ok(length)
            }
        }
    }
}

fn read(header: &[u8; BLOCK]) -> io::Result<Member> {
    let field = |from: usize, to: usize| header.get(from..to).unwrap_or_default();
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if octal(field(148, 156)) != Some(sum) {
        return Err(wrong("the checksum of an entry does not fit"));
    }
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes.get(..end).unwrap_or_default().to_vec())
            .map_err(|_| wrong("a name is no text"))
    };
    let number = |from, to| octal(field(from, to)).ok_or_else(|| wrong("a number cannot be read"));
    let small = |from, to| {
        number(from, to).and_then(|n| u32::try_from(n).map_err(|_| wrong("a number is too large")))
    };
    let name = text(field(0, 100))?;
    let path = name.trim_start_matches("./").trim_end_matches('/').to_owned();
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == ".." || part.is_empty())
    {
        return Err(wrong(&format!("'{name}' is no name")));
    }
    let kind = match header.get(156) {
        Some(b'0' | 0) => MemberKind::File,
        Some(b'5') => MemberKind::Directory,
        _ => MemberKind::Other,
    };
    let size = if kind == MemberKind::File { number(124, 136)? } else { 0 };
    Ok(Member {
        path,
        kind,
        size,
        mode: small(100, 108)? & 0o7777,
        uid: small(108, 116)?,
        gid: small(116, 124)?,
        modified: i64::try_from(number(136, 148)?).unwrap_or_default(),
    })
}

/// Reads a number in octal digits, or in bytes where the first says so.
fn octal(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => {
            rest.iter().try_fold(0_u64, |all, byte| Some(all.checked_mul(256)? + u64::from(*byte)))
        }
        _ => {
            let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
            if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (from, text) in [(100, "0000600"), (108, "0000021"), (116, "0000022"), (136, "00000000144")] {
            header[from..from + text.len()].copy_from_slice(text.as_bytes());
        }
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = kind;
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header.extend_from_slice(bytes);
        header.resize(header.len().div_ceil(BLOCK) * BLOCK, 0);
        header
    }

    #[test]
    fn entries_come_one_after_the_other_and_a_cut_archive_is_an_error() {
        let mut archive = member("base/", b'5', b"");
        archive.extend(member("base/1", b'0', &[7; 600]));
        archive.extend(member("PG_VERSION", b'0', b"15\n"));
        archive.extend([0; 2 * BLOCK]);
        let mut bytes = archive.as_slice();
        let mut reader = Archive::new(&mut bytes);
        assert_eq!(reader.next().unwrap().unwrap().kind, MemberKind::Directory);
        let second = reader.next().unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.size, second.mode, second.uid), ("base/1", 600, 0o600, 17));
        let mut first = [0; 10];
        reader.read_exact(&mut first).unwrap();
        assert_eq!((first, reader.next().unwrap().unwrap().path.as_str()), ([7; 10], "PG_VERSION"));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), reader.next().unwrap()), ("15\n", None));
        for length in [100, 700, 1200, archive.len() - 2 * BLOCK] {
            let mut bytes = &archive[..length];
            let mut reader = Archive::new(&mut bytes);
            let mut read = || -> io::Result<()> {
                while reader.next()?.is_some() {
                    io::copy(&mut reader, &mut io::sink())?;
                }
                Ok(())
            };
            assert!(read().is_err(), "{length}");
        }
        let mut evil = member("../x", b'0', b"");
        evil.extend([0; BLOCK]);
        assert!(Archive::new(&mut evil.as_slice()).next().is_err());
        archive[3] ^= 1;
        assert!(Archive::new(&mut archive.as_slice()).next().is_err());
    }
}

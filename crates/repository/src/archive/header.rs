//! The headers of a tar archive: ustar, and pax records for what does not fit (POSIX.1-2017, `pax`).

use larder_model::{EntryKind, Metadata, Timestamp};

pub(super) const BLOCK_BYTES: usize = 512;
/// The largest number in a field of seven octal digits.
const MOST_SHORT: u64 = 0o7_777_777;
/// The largest number in a field of eleven octal digits.
const MOST_LONG: u64 = 0o77_777_777_777;
const NAME_BYTES: usize = 100;
const OWNER_BYTES: usize = 32;

/// Where fields begin in a header, and how long they are.
mod field {
    use std::ops::Range;
    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const TIME: Range<usize> = 136..148;
    pub(super) const SUM: Range<usize> = 148..156;
    pub(super) const TYPE: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const USER: Range<usize> = 265..297;
    pub(super) const GROUP: Range<usize> = 297..329;
    pub(super) const MAJOR: Range<usize> = 329..337;
    pub(super) const MINOR: Range<usize> = 337..345;
}

/// What a member of the archive is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member<'a> {
    /// Something with a kind of its own.
    Entry(&'a EntryKind),
    /// A further name of an earlier member.
    Link(&'a [u8]),
}

impl Member<'_> {
    const fn letter(&self) -> Option<u8> {
        Some(match self {
            Self::Link(_) => b'1',
            Self::Entry(EntryKind::File) => b'0',
            Self::Entry(EntryKind::Symlink { .. }) => b'2',
            Self::Entry(EntryKind::CharacterDevice { .. }) => b'3',
            Self::Entry(EntryKind::BlockDevice { .. }) => b'4',
            Self::Entry(EntryKind::Directory) => b'5',
            Self::Entry(EntryKind::Fifo) => b'6',
            Self::Entry(EntryKind::Socket) => return None,
        })
    }

    fn target(&self) -> &[u8] {
        match self {
            Self::Link(first) => first,
            Self::Entry(EntryKind::Symlink { target }) => target,
            Self::Entry(_) => &[],
        }
    }

    const fn device(&self) -> u64 {
        match self {
            Self::Entry(EntryKind::BlockDevice { device } | EntryKind::CharacterDevice { device }) => *device,
            _ => 0,
        }
    }
}

/// Appends everything that comes before a member's bytes; says whether an archive can hold such a member.
pub(super) fn write_headers(
    path: &[u8],
    member: Member<'_>,
    metadata: &Metadata,
    size_bytes: u64,
    out: &mut Vec<u8>,
) -> bool {
    let Some(letter) = member.letter() else { return false };
    let records = records(path, member, metadata, size_bytes);
    if !records.is_empty() {
        let size = records.len() as u64;
        out.extend_from_slice(&header(b"PaxHeaders/x", b'x', Member::Link(&[]), &Metadata::default(), size));
        out.extend_from_slice(&records);
        pad(size, out);
    }
    out.extend_from_slice(&header(path, letter, member, metadata, size_bytes));
    true
}

/// Appends zeros up to the next whole block behind so many bytes.
pub(super) fn pad(bytes: u64, out: &mut Vec<u8>) {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).unwrap_or(0);
    let zeros = (BLOCK_BYTES - over) % BLOCK_BYTES;
    out.resize(out.len() + zeros, 0);
}

fn records(path: &[u8], member: Member<'_>, metadata: &Metadata, size_bytes: u64) -> Vec<u8> {
    let mut records = Vec::new();
    let mut text = |key: &[u8], value: &[u8]| record(key, value, &mut records);
    if path.len() > NAME_BYTES {
        text(b"path", path);
    }
    if member.target().len() > NAME_BYTES {
        text(b"linkpath", member.target());
    }
    if size_bytes > MOST_LONG {
        text(b"size", size_bytes.to_string().as_bytes());
    }
    for (key, number) in [(&b"uid"[..], metadata.uid), (&b"gid"[..], metadata.gid)] {
        if u64::from(number) > MOST_SHORT {
            text(key, number.to_string().as_bytes());
        }
    }
    for (key, name) in [(&b"uname"[..], &metadata.user), (&b"gname"[..], &metadata.group)] {
        if let Some(name) = name.as_deref().filter(|name| name.len() > OWNER_BYTES) {
            text(key, name.as_bytes());
        }
    }
    let Timestamp { seconds, nanoseconds } = metadata.modified;
    if nanoseconds != 0 || !u64::try_from(seconds).is_ok_and(|seconds| seconds <= MOST_LONG) {
        text(b"mtime", decimal(seconds, nanoseconds).as_bytes());
    }
    // A further name has the attributes of the first.
    if matches!(member, Member::Entry(_)) {
        for (name, value) in &metadata.xattrs {
            text(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
    }
    records
}

/// Writes a time as a decimal number of seconds.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    if seconds >= 0 || nanoseconds == 0 {
        return format!("{seconds}.{nanoseconds:09}");
    }
    // Nanoseconds count forward also before 1970: half a second before it is -1 s and 500,000,000 ns.
    format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds.min(1_000_000_000))
}

/// Appends one record: its own length in decimal, a blank, key, `=`, value and a line feed.
fn record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn header(
    path: &[u8],
    letter: u8,
    member: Member<'_>,
    metadata: &Metadata,
    size_bytes: u64,
) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |range: std::ops::Range<usize>, value: &[u8]| {
        let length = value.len().min(range.len());
        header[range.start..range.start + length].copy_from_slice(&value[..length]);
    };
    put(field::NAME, path);
    put(field::MODE, &octal(u64::from(metadata.mode), 7));
    put(field::UID, &octal(u64::from(metadata.uid).min(MOST_SHORT), 7));
    put(field::GID, &octal(u64::from(metadata.gid).min(MOST_SHORT), 7));
    put(field::SIZE, &octal(size_bytes.min(MOST_LONG), 11));
    let seconds = u64::try_from(metadata.modified.seconds).unwrap_or(0);
    put(field::TIME, &octal(seconds.min(MOST_LONG), 11));
    put(field::SUM, &[b' '; 8]);
    put(field::TYPE..field::TYPE + 1, &[letter]);
    put(field::LINK, member.target());
    put(field::MAGIC, b"ustar\x0000");
    for (range, name) in [(field::USER, &metadata.user), (field::GROUP, &metadata.group)] {
        put(range, name.as_deref().unwrap_or_default().as_bytes());
    }
    put(field::MAJOR, &octal(u64::from(rustix::fs::major(member.device())).min(MOST_SHORT), 7));
    put(field::MINOR, &octal(u64::from(rustix::fs::minor(member.device())).min(MOST_SHORT), 7));
    let sum = header.iter().map(|byte| u64::from(*byte)).sum();
    header[field::SUM.start..field::SUM.start + 6].copy_from_slice(&octal(sum, 6));
    header[field::SUM.start + 6] = 0;
    header
}

/// Writes a number as octal digits with zeros in front.
fn octal(number: u64, digits: usize) -> Vec<u8> {
    format!("{number:0digits$o}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for value in 0..1100 {
            let mut out = Vec::new();
            record(b"path", &vec![b'x'; value], &mut out);
            let text = String::from_utf8(out).unwrap();
            let (length, _) = text.split_once(' ').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), text.len());
        }
    }

    #[test]
    fn times_before_1970_are_decimal_numbers() {
        assert_eq!(decimal(-1, 500_000_000), "-0.500000000");
        assert_eq!(decimal(-2, 250_000_000), "-1.750000000");
        assert_eq!(decimal(-2, 0), "-2.000000000");
        assert_eq!(decimal(3, 7), "3.000000007");
    }

    #[test]
    fn only_what_does_not_fit_has_records() {
        let mut out = Vec::new();
        let plain = Metadata { mode: 0o644, ..Metadata::default() };
        assert!(write_headers(b"a", Member::Entry(&EntryKind::File), &plain, 5, &mut out));
        assert_eq!(out.len(), BLOCK_BYTES);
        assert!(!write_headers(b"s", Member::Entry(&EntryKind::Socket), &plain, 0, &mut out));
        assert!(write_headers(&[b'n'; 101], Member::Entry(&EntryKind::File), &plain, 5, &mut out));
        assert_eq!(out.len(), 4 * BLOCK_BYTES);
    }
}

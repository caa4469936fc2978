//! The first hundred bytes of a SQLite file, as "Database File Format" on sqlite.org describes them.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What every SQLite database begins with.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The smallest file that can be a database: its header.
pub(super) const HEADER_BYTES: usize = 100;

/// What Larder wants to know of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of a page in bytes.
    pub(super) page_bytes: u32,
    /// Whether changes go to a write-ahead log first.
    pub(super) is_wal: bool,
    /// Counts transactions, outside of write-ahead mode at least.
    pub(super) change_counter: u32,
}

impl Header {
    /// Reads the header of a file; `None` where the file is no SQLite database.
    pub(super) fn read(file: &std::fs::File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let page_bytes = match u32::from(bytes[16]) << 8 | u32::from(bytes[17]) {
            // 65,536 does not fit two bytes.
            1 => 65_536,
            size => size,
        };
        Some(Self {
            page_bytes,
            is_wal: bytes[18] == 2 || bytes[19] == 2,
            change_counter: u32::from_be_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]),
        })
    }
}

/// Returns the path of a file that SQLite keeps beside a database: `-wal`, `-shm` or `-journal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Every suffix of a file that belongs to a database.
pub(super) const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_understood() {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..18].copy_from_slice(&[0x10, 0]);
        bytes[18..20].copy_from_slice(&[2, 2]);
        bytes[24..28].copy_from_slice(&[0, 0, 1, 2]);
        assert_eq!(
            Header::parse(&bytes),
            Some(Header { page_bytes: 4_096, is_wal: true, change_counter: 258 })
        );
        bytes[16..18].copy_from_slice(&[0, 1]);
        assert_eq!(Header::parse(&bytes).map(|header| header.page_bytes), Some(65_536));
        bytes[0] = b's';
        assert_eq!(Header::parse(&bytes), None);
    }
}

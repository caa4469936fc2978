//! The names in one directory, sorted, in one piece of memory.

use rustix::fd::OwnedFd;
use rustix::fs::RawDir;
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// As much as one call of getdents64(2) is asked to fill.
const BUFFER_BYTES: usize = 32 << 10;

/// Sorted names; a million of them take two allocations.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// All names, each with a zero byte at its end.
    bytes: Vec<u8>,
    /// Where each name begins, and its length with the zero byte.
    places: Vec<(usize, usize)>,
    next: usize,
}

impl Listing {
    /// Reads the names of an open directory, without `.` and `..`.
    pub(crate) fn read(directory: &OwnedFd) -> Result<Self, Errno> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut listing = Self::default();
        let mut raw = RawDir::new(directory, &mut buffer);
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes_with_nul();
            if name != b".\0" && name != b"..\0" {
                listing.places.push((listing.bytes.len(), name.len()));
                listing.bytes.extend_from_slice(name);
            }
        }
        let bytes = &listing.bytes;
        listing.places.sort_unstable_by(|a, b| slice(bytes, *a).cmp(slice(bytes, *b)));
        Ok(listing)
    }

    /// Puts the next name, with its zero byte, into `name`; false at the end.
    pub(crate) fn next(&mut self, name: &mut Vec<u8>) -> bool {
        let Some(place) = self.places.get(self.next) else { return false };
        self.next += 1;
        name.clear();
        name.extend_from_slice(slice(&self.bytes, *place));
        true
    }

    /// Says whether a name is there.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        let without_zero = |place| slice(&self.bytes, place).split_last().map_or(&[][..], |(_, name)| name);
        self.places.binary_search_by(|place| without_zero(*place).cmp(name)).is_ok()
    }

    /// Forgets every name but one.
    pub(crate) fn keep_only(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.places.retain(|place| slice(bytes, *place).strip_suffix(b"\0") == Some(name));
    }
}

fn slice(bytes: &[u8], (start, length): (usize, usize)) -> &[u8] {
    bytes.get(start..start + length).unwrap_or_default()
}

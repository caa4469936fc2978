//! The memory in which a pack is filled.

use crate::pack::PACK_BYTES;
use bytes::Bytes;
use std::ops::Deref;

/// Where a buffer's content begins, so that a destination on a disk of this machine can write it past the page cache:
/// Linux asks for no more than the page size (open(2), "`O_DIRECT`").
const ALIGNMENT: usize = 4096;

/// Bytes that begin at the start of a page of memory, as long as they fit into the memory taken at first.
#[derive(Debug, Default)]
pub struct PackBuffer {
    memory: Vec<u8>,
    /// Bytes of `memory` before the content.
    lead: usize,
}

impl PackBuffer {
    /// Takes memory for a pack of [`PACK_BYTES`]. As long as nothing is written to it, it takes no room.
    #[must_use]
    pub fn new() -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(PACK_BYTES + ALIGNMENT);
        let lead = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        memory.resize(lead, 0);
        Self { memory, lead }
    }

    /// Drops the content and keeps the memory.
    pub fn clear(&mut self) {
        self.memory.truncate(self.lead);
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    /// Returns how much memory it has taken, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.capacity()
    }
}

impl From<Vec<u8>> for PackBuffer {
    /// Uses memory that begins anywhere; its content is dropped.
    fn from(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { memory, lead: 0 }
    }
}

impl From<PackBuffer> for Bytes {
    fn from(buffer: PackBuffer) -> Self {
        Self::from(buffer.memory).slice(buffer.lead..)
    }
}

impl AsRef<[u8]> for PackBuffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.get(self.lead..).unwrap_or_default()
    }
}

impl Deref for PackBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_begins_at_a_page_and_is_what_was_put_in() {
        let mut buffer = PackBuffer::new();
        for _ in 0..2 {
            assert!(buffer.is_empty());
            buffer.extend_from_slice(b"ab");
            buffer.extend_from_slice(&[7; 100_000]);
            assert_eq!(buffer.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!((buffer.len(), &buffer[..3]), (100_002, &b"ab\x07"[..]));
            buffer.clear();
        }
        buffer.extend_from_slice(&vec![1; PACK_BYTES * 3]);
        buffer.extend_from_slice(b"z");
        let bytes = Bytes::from(buffer);
        assert_eq!((bytes.len(), bytes[0], bytes[PACK_BYTES * 3]), (PACK_BYTES * 3 + 1, 1, b'z'));
    }

    #[test]
    fn other_memory_serves_as_well() {
        let mut buffer = PackBuffer::from(b"old".to_vec());
        buffer.extend_from_slice(b"new");
        assert_eq!(Bytes::from(buffer), "new");
    }
}

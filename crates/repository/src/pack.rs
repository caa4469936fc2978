//! Packs: blobs one behind the other, then a sealed header that lists them, then the header's length.
//!
//! Header entries are 37 bytes for a blob stored as it was (type 0 data, 1 tree) and 41 for a compressed one (2, 3).
//! Rules: restic's design document, "Pack Format".

use crate::blob::{BlobKind, PackedBlob};
use crate::crypto::{MasterKey, NONCE_BYTES, NoRandomness, OVERHEAD_BYTES};
use crate::id::Id;
use crate::pack_buffer::PackBuffer;

/// The size at which packs are closed, in bytes.
pub const PACK_BYTES: usize = 16 << 20;
/// The number of blobs at which packs are closed: what is known of a pack outlives its bytes until an index names it, and
/// of blobs of a hundred bytes one pack would hold more than three index objects list.
pub(crate) const PACK_BLOBS: usize = 32 << 10;
/// Bytes of the header's length at the end of a pack.
pub(crate) const LENGTH_BYTES: usize = 4;
/// The longest sealed header that restic reads, in bytes.
pub(crate) const MOST_HEADER_BYTES: usize = 16 << 20;
const PLAIN_ENTRY_BYTES: usize = 37;
const COMPRESSED_ENTRY_BYTES: usize = 41;

/// A pack whose header makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The end of the pack does not hold the length of a header.
    #[error("its last four bytes are no header length")]
    Length,
    /// The header is damaged or encrypted with another key.
    #[error("its header is damaged")]
    NotAuthentic,
    /// The header was sealed by us but its entries cannot be read.
    #[error("its header has an entry of unknown type or cut short")]
    Entries,
    /// The blobs listed do not fill the pack exactly.
    #[error("its header lists {listed} bytes of blobs and the pack holds {present}")]
    Size {
        /// Bytes by the header.
        listed: u64,
        /// Bytes there are.
        present: u64,
    },
}

/// Returns the length of the sealed header, from the last four bytes of a pack of `pack_bytes` bytes.
///
/// # Errors
/// [`HeaderError::Length`] for a length that is impossible.
pub fn header_bytes(tail: [u8; LENGTH_BYTES], pack_bytes: u64) -> Result<usize, HeaderError> {
    let length = u32::from_le_bytes(tail) as usize;
    let fits = (length + LENGTH_BYTES) as u64 <= pack_bytes;
    if fits && (OVERHEAD_BYTES + PLAIN_ENTRY_BYTES..=MOST_HEADER_BYTES).contains(&length) {
        return Ok(length);
    }
    Err(HeaderError::Length)
}

/// Reads the blobs that a sealed header lists. `blob_bytes` is the length of the pack before its header.
///
/// # Errors
/// What is wrong with the header; a header that does not account for every byte is refused.
pub fn read_header(key: &MasterKey, sealed: &[u8], blob_bytes: u64) -> Result<Vec<PackedBlob>, HeaderError> {
    let header = key.open_copy(sealed).map_err(|_| HeaderError::NotAuthentic)?;
    let mut blobs = Vec::with_capacity(header.len() / PLAIN_ENTRY_BYTES);
    let mut rest = header.as_slice();
    let mut offset = 0u64;
    while !rest.is_empty() {
        let (blob, tail) = read_entry(rest, offset)?;
        offset += u64::from(blob.length);
        blobs.push(blob);
        rest = tail;
    }
    if offset != blob_bytes {
        return Err(HeaderError::Size { listed: offset, present: blob_bytes });
    }
    Ok(blobs)
}

fn read_entry(bytes: &[u8], offset: u64) -> Result<(PackedBlob, &[u8]), HeaderError> {
    fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
        bytes.split_first_chunk::<4>().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
    }
    let parse = || {
        let (kind, rest) = bytes.split_first()?;
        let (length, rest) = number(rest)?;
        let (uncompressed_length, rest) = match kind {
            2 | 3 => number(rest).map(|(n, rest)| (Some(n), rest))?,
            _ => (None, rest),
        };
        let (id, rest) = rest.split_first_chunk::<32>()?;
        let kind = match kind {
            0 | 2 => BlobKind::Data,
            1 | 3 => BlobKind::Tree,
            _ => return None,
        };
        let offset = u32::try_from(offset).ok()?;
        Some((PackedBlob { id: Id::from_bytes(*id), kind, offset, length, uncompressed_length }, rest))
    };
    parse().ok_or(HeaderError::Entries)
}

/// Reads the blobs of a whole pack.
///
/// # Errors
/// What is wrong with its header.
pub fn read_pack(key: &MasterKey, pack: &[u8]) -> Result<Vec<PackedBlob>, HeaderError> {
    let (rest, tail) = pack.split_last_chunk::<LENGTH_BYTES>().ok_or(HeaderError::Length)?;
    let header = header_bytes(*tail, pack.len() as u64)?;
    let (blobs, sealed) = rest.split_at(rest.len() - header);
    read_header(key, sealed, blobs.len() as u64)
}

/// A pack that is being filled in memory.
#[derive(Debug)]
pub struct PackBuilder {
    kind: BlobKind,
    buffer: PackBuffer,
    blobs: Vec<PackedBlob>,
    header_bytes: usize,
}

/// A finished pack.
#[derive(Debug)]
pub struct FinishedPack {
    /// The SHA-256 of its bytes.
    pub id: Id,
    /// What its blobs are.
    pub kind: BlobKind,
    /// All its bytes.
    pub bytes: PackBuffer,
    /// Its blobs, in order.
    pub blobs: Vec<PackedBlob>,
}

/// A pack that is complete but has no name yet.
#[derive(Debug)]
pub(crate) struct ClosedPack {
    kind: BlobKind,
    bytes: PackBuffer,
    blobs: Vec<PackedBlob>,
}

impl ClosedPack {
    /// Returns all its bytes, whose SHA-256 will be its name.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives it its name.
    pub(crate) fn named(self, id: Id) -> FinishedPack {
        FinishedPack { id, kind: self.kind, bytes: self.bytes, blobs: self.blobs }
    }
}

impl PackBuilder {
    /// Begins a pack in a buffer, whose content is dropped and whose memory is used.
    #[must_use]
    pub fn new(kind: BlobKind, buffer: impl Into<PackBuffer>) -> Self {
        let mut buffer = buffer.into();
        buffer.clear();
        Self { kind, buffer, blobs: Vec::new(), header_bytes: OVERHEAD_BYTES + LENGTH_BYTES }
    }

    /// Appends a sealed blob.
    pub fn add(&mut self, id: Id, sealed: &[u8], uncompressed_length: Option<u32>) {
        let offset = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        self.buffer.extend_from_slice(sealed);
        self.blobs.push(PackedBlob { id, kind: self.kind, offset, length, uncompressed_length });
        self.header_bytes += match uncompressed_length {
            Some(_) => COMPRESSED_ENTRY_BYTES,
            None => PLAIN_ENTRY_BYTES,
        };
    }

    /// Returns the size the pack has with its header, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len() + self.header_bytes
    }

    /// Says whether another sealed blob still fits into a pack of [`PACK_BYTES`] and 32,768 blobs; one blob always fits.
    #[must_use]
    pub fn fits(&self, sealed_bytes: usize) -> bool {
        self.blobs.is_empty()
            || (self.blobs.len() < PACK_BLOBS
                && self.bytes() + sealed_bytes + COMPRESSED_ENTRY_BYTES <= PACK_BYTES)
    }

    /// Says whether there is no blob in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Writes the header and names the pack; computes a SHA-256 over all of it.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub fn finish(self, key: &MasterKey) -> Result<FinishedPack, NoRandomness> {
        let closed = self.close(key)?;
        let id = Id::of(closed.bytes());
        Ok(closed.named(id))
    }

    /// Writes the header and leaves it to the caller to name the pack.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system has none.
    pub(crate) fn close(self, key: &MasterKey) -> Result<ClosedPack, NoRandomness> {
        let Self { kind, mut buffer, blobs, header_bytes } = self;
        let mut header = Vec::with_capacity(header_bytes);
        header.resize(NONCE_BYTES, 0);
        for blob in &blobs {
            header.push(match (blob.kind, blob.uncompressed_length) {
                (BlobKind::Data, None) => 0,
                (BlobKind::Tree, None) => 1,
                (BlobKind::Data, Some(_)) => 2,
                (BlobKind::Tree, Some(_)) => 3,
            });
            header.extend_from_slice(&blob.length.to_le_bytes());
            if let Some(length) = blob.uncompressed_length {
                header.extend_from_slice(&length.to_le_bytes());
            }
            header.extend_from_slice(blob.id.as_bytes());
        }
        key.seal(&mut header)?;
        buffer.extend_from_slice(&header);
        buffer.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes());
        Ok(ClosedPack { kind, bytes: buffer, blobs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(key: &MasterKey) -> FinishedPack {
        let mut builder = PackBuilder::new(BlobKind::Data, Vec::new());
        assert!(builder.is_empty());
        builder.add(Id::of(b"a"), &key.seal_copy(b"a").unwrap(), None);
        builder.add(Id::of(b"bb"), &key.seal_copy(b"squeezed").unwrap(), Some(2));
        let expected = builder.bytes();
        let pack = builder.finish(key).unwrap();
        assert_eq!(pack.bytes.len(), expected);
        pack
    }

    #[test]
    fn a_pack_lists_what_was_put_in() {
        let key = MasterKey::random().unwrap();
        let pack = pack(&key);
        let blobs = read_pack(&key, &pack.bytes).unwrap();
        assert_eq!(blobs, pack.blobs);
        assert_eq!(blobs[1].offset, 33);
        assert_eq!(blobs[0].plain_length(), 1);
        assert_eq!(blobs[1].plain_length(), 2);
        assert_eq!(pack.id, Id::of(&pack.bytes));
    }

    #[test]
    fn no_cut_or_flipped_byte_of_the_header_goes_unnoticed() {
        let key = MasterKey::random().unwrap();
        let pack = pack(&key).bytes.to_vec();
        let blobs = read_pack(&key, &pack).unwrap();
        let first_header_byte = blobs.iter().map(|b| b.length as usize).sum::<usize>();
        for at in first_header_byte..pack.len() {
            let mut damaged = pack.clone();
            damaged[at] ^= 0x10;
            assert!(read_pack(&key, &damaged).is_err(), "byte {at}");
        }
        for length in 0..pack.len() {
            assert!(read_pack(&key, &pack[..length]).is_err(), "{length} bytes");
            assert!(read_pack(&key, &pack[pack.len() - length..]).is_err(), "last {length} bytes");
        }
    }

    #[test]
    fn a_pack_takes_blobs_until_it_is_full() {
        let mut builder = PackBuilder::new(BlobKind::Tree, Vec::new());
        assert!(builder.fits(PACK_BYTES * 2));
        builder.add(Id::of(b""), &vec![0; PACK_BYTES / 2], None);
        assert!(builder.fits(PACK_BYTES / 4));
        assert!(!builder.fits(PACK_BYTES / 2));
        let mut builder = PackBuilder::new(BlobKind::Data, Vec::new());
        for _ in 0..PACK_BLOBS {
            assert!(builder.fits(1));
            builder.add(Id::of(b""), b"?", None);
        }
        assert!(!builder.fits(1));
    }
}

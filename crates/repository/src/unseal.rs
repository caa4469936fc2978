//! Opening blobs: decrypt, decompress, compare the hash, with as little copying as can be.

use crate::blob::PackedBlob;
use crate::compress::Decompressor;
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use bytes::{Bytes, BytesMut};

/// Opens blobs one after another with the same context and buffer.
#[derive(Debug)]
pub(crate) struct Unsealer {
    key: MasterKey,
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

impl Unsealer {
    pub(crate) fn new(key: &MasterKey) -> Result<Self, RepositoryError> {
        let decompressor = Decompressor::new()
            .map_err(|cause| RepositoryError::Internal { what: format!("zstd failed: {cause}") })?;
        Ok(Self { key: key.clone(), decompressor, buffer: Vec::new() })
    }

    /// Opens a sealed blob, whose bytes are used up, and returns what is in it once its hash was found right.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    pub(crate) fn open<'a>(
        &'a mut self,
        blob: &PackedBlob,
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], String> {
        let packed: &[u8] = self.key.open_in_place(sealed).map_err(|e| e.to_string())?;
        let plain = match blob.uncompressed_length {
            None => packed,
            Some(bytes) => {
                let unpacked = self.decompressor.unpack_into(packed, bytes as usize, &mut self.buffer);
                unpacked.map_err(|e| e.to_string())?;
                &self.buffer
            }
        };
        if Id::of(plain) == blob.id { Ok(plain) } else { Err("its bytes do not have its SHA-256".to_owned()) }
    }
}

/// Makes bytes that were just read writable; copies them only where somebody else holds them too.
pub(crate) fn writable(bytes: Bytes) -> BytesMut {
    bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

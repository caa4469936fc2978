//! Opening blobs: decrypt, decompress, compare the hash, with as little copying as can be.

use crate::blob::PackedBlob;
use crate::compress::Decompressor;
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::lanes::{Stream, hash_all, hash_beside};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Blobs are opened in groups of at least so many bytes, so that their hashes are computed side by side while they are
/// in the processor's cache.
const GROUP_BYTES: usize = 1 << 20;
/// And of no more than so many, unless a single blob is longer; this bounds the memory.
const MOST_GROUP_BYTES: usize = 4 << 20;
const WRONG_HASH: &str = "its bytes do not have its SHA-256";

/// Opens blobs one after another with the same context and buffer.
#[derive(Debug)]
pub(crate) struct Unsealer {
    key: MasterKey,
    decompressor: Decompressor,
    buffer: Vec<u8>,
    ids: Vec<Id>,
}

/// Takes each blob of a run by its number: its bytes, whose hash was found right, or what is wrong with it.
pub(crate) type TakeBlob<'a, E> = &'a mut dyn FnMut(usize, Result<&[u8], &str>) -> Result<(), E>;

/// Which tags are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tags {
    /// Every one.
    All,
    /// Those of compressed blobs, so that nothing is decompressed that may have been made to harm. That a blob which is
    /// stored as it was is right, its hash says by itself; and a damaged tag need cost nobody a right blob.
    OfCompressed,
}

/// Where a blob that was decrypted and decompressed lies until its hash is compared.
enum Opened {
    InPlace(Range<usize>),
    InBuffer(Range<usize>),
    Failed(String),
}

impl Unsealer {
    pub(crate) fn new(key: &MasterKey) -> Result<Self, RepositoryError> {
        let decompressor = Decompressor::new()
            .map_err(|cause| RepositoryError::Internal { what: format!("zstd failed: {cause}") })?;
        Ok(Self { key: key.clone(), decompressor, buffer: Vec::new(), ids: Vec::new() })
    }

    /// Opens blobs of another repository from now on.
    pub(crate) fn set_key(&mut self, key: &MasterKey) {
        if self.key != *key {
            self.key = key.clone();
        }
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
        if Id::of(plain) == blob.id { Ok(plain) } else { Err(WRONG_HASH.to_owned()) }
    }

    /// Opens blobs that lie in a run of bytes of their pack which begins at `from`, and hands over each in turn.
    ///
    /// # Errors
    /// Those of `take`; what is wrong with a blob goes to `take`.
    pub(crate) fn open_run<E>(
        &mut self,
        run: &mut [u8],
        from: u32,
        blobs: &[PackedBlob],
        take: TakeBlob<'_, E>,
    ) -> Result<(), E> {
        let mut first = 0;
        while first < blobs.len() {
            let until = group_end(blobs, first);
            let opened = self.open_group(run, from, &blobs[first..until], Tags::OfCompressed);
            let messages: Vec<&[u8]> = opened.iter().map(|blob| plain(run, &self.buffer, blob)).collect();
            hash_all(&messages, &mut self.ids);
            self.hand_over(run, &blobs[first..until], &opened, first, take)?;
            first = until;
        }
        Ok(())
    }

    /// Does the same for a whole pack, all of whose blobs come in the order in which they lie, and returns the hash of the
    /// pack as it was. A pack is hashed beside its own blobs, always a little ahead of what is decrypted in place.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn open_pack<E>(
        &mut self,
        pack: &mut [u8],
        blobs: &[PackedBlob],
        take: TakeBlob<'_, E>,
    ) -> Result<Id, E> {
        let mut stream = Stream::new();
        let mut first = 0;
        let mut until = group_end(blobs, 0);
        self.hash_ahead(&mut stream, pack, end_of(&blobs[..until]), &[]);
        while first < blobs.len() {
            let next = group_end(blobs, until);
            let opened = self.open_group(pack, 0, &blobs[first..until], Tags::All);
            self.hash_ahead(&mut stream, pack, end_of(&blobs[..next]), &opened);
            self.hand_over(pack, &blobs[first..until], &opened, first, take)?;
            (first, until) = (until, next);
        }
        let rest = usize::try_from(stream.bytes()).ok().and_then(|hashed| pack.get(hashed..));
        Ok(stream.finish(rest.unwrap_or_default()))
    }

    /// Hashes a pack at least until a position, as far as whole blocks go, beside blobs that were opened.
    fn hash_ahead(&mut self, stream: &mut Stream, pack: &[u8], until: usize, opened: &[Opened]) {
        let from = usize::try_from(stream.bytes()).unwrap_or(usize::MAX).min(pack.len());
        let until = until.next_multiple_of(64).clamp(from, pack.len());
        let messages: Vec<&[u8]> = opened.iter().map(|blob| plain(pack, &self.buffer, blob)).collect();
        hash_beside(stream, &pack[from..until], &messages, &mut self.ids);
    }

    /// Decrypts and decompresses blobs.
    fn open_group(&mut self, run: &mut [u8], from: u32, blobs: &[PackedBlob], tags: Tags) -> Vec<Opened> {
        let mut used = 0;
        let mut opened = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let outcome = self.open_one(run, from, blob, tags, &mut used);
            opened.push(outcome.unwrap_or_else(Opened::Failed));
        }
        opened
    }

    fn open_one(
        &mut self,
        run: &mut [u8],
        from: u32,
        blob: &PackedBlob,
        tags: Tags,
        used: &mut usize,
    ) -> Result<Opened, String> {
        let begin = blob.offset.checked_sub(from).ok_or("it lies elsewhere")? as usize;
        let sealed = run.get_mut(begin..begin + blob.length as usize).ok_or("its pack is too short")?;
        let opened = match (tags, blob.uncompressed_length) {
            (Tags::OfCompressed, None) => self.key.decrypt_in_place(sealed),
            _ => self.key.open_in_place(sealed),
        };
        let packed: &[u8] = opened.map_err(|e| e.to_string())?;
        let Some(bytes) = blob.uncompressed_length else {
            let begin = begin + crate::crypto::NONCE_BYTES;
            return Ok(Opened::InPlace(begin..begin + packed.len()));
        };
        let until = *used + bytes as usize;
        Decompressor::plausible(packed, bytes as usize).map_err(|e| e.to_string())?;
        if self.buffer.len() < until {
            self.buffer.resize(until, 0);
        }
        let out = self.buffer.get_mut(*used..until).unwrap_or_default();
        self.decompressor.unpack_onto(packed, out).map_err(|e| e.to_string())?;
        let place = *used..until;
        *used = until;
        Ok(Opened::InBuffer(place))
    }

    fn hand_over<E>(
        &self,
        run: &[u8],
        blobs: &[PackedBlob],
        opened: &[Opened],
        first: usize,
        take: TakeBlob<'_, E>,
    ) -> Result<(), E> {
        for (at, ((blob, opened), id)) in blobs.iter().zip(opened).zip(&self.ids).enumerate() {
            let outcome = match opened {
                Opened::Failed(cause) => Err(cause.as_str()),
                _ if *id == blob.id => Ok(plain(run, &self.buffer, opened)),
                _ => Err(WRONG_HASH),
            };
            take(first + at, outcome)?;
        }
        Ok(())
    }
}

fn plain<'a>(run: &'a [u8], buffer: &'a [u8], opened: &Opened) -> &'a [u8] {
    match opened {
        Opened::InPlace(range) => run.get(range.clone()),
        Opened::InBuffer(range) => buffer.get(range.clone()),
        Opened::Failed(_) => None,
    }
    .unwrap_or_default()
}

/// Returns where the group ends that begins with a blob.
fn group_end(blobs: &[PackedBlob], first: usize) -> usize {
    let mut bytes = 0;
    let rest = blobs.get(first..).unwrap_or_default();
    let taken = rest.iter().enumerate().take_while(|(at, blob)| {
        let with = bytes + blob.plain_length() as usize;
        // Two at the least, for one alone has nothing to be hashed beside.
        let fits = *at == 0 || (with <= MOST_GROUP_BYTES && (bytes < GROUP_BYTES || *at < 2));
        bytes = with;
        fits
    });
    first + taken.count()
}

fn end_of(blobs: &[PackedBlob]) -> usize {
    blobs.last().map_or(0, |blob| (blob.offset as usize).saturating_add(blob.length as usize))
}

/// Makes bytes that were just read writable; copies them only where somebody else holds them too.
pub(crate) fn writable(bytes: Bytes) -> BytesMut {
    bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

//! Compression by zstd, with one context a thread.

use crate::crypto::{NONCE_BYTES, TAG_BYTES};
use std::io::{self, Read};
use zstd::bulk::{Compressor as Zstd, Decompressor as Unzstd};
use zstd::zstd_safe::{CParameter, ParamSwitch, Strategy};

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Speed before size.
    Fastest,
    /// The best bargain of the two.
    #[default]
    Optimal,
    /// Size before speed.
    SmallestSize,
    /// Not at all.
    NoCompression,
}

impl Compression {
    /// Returns zstd's level; `None` to store as it is.
    ///
    /// Level 2 costs 0.85 of level 3's time for 1 % more space (measured on files, dumps and random data together).
    const fn level(self) -> Option<i32> {
        match self {
            Self::Fastest => Some(1),
            Self::Optimal => Some(2),
            Self::SmallestSize => Some(9),
            Self::NoCompression => None,
        }
    }
}

/// Blobs up to this many bytes are compressed as short ones.
const SHORT_BLOB_BYTES: usize = 128 << 10;
/// Blobs shorter than this are never probed.
const PROBE_FROM_BYTES: usize = 16 << 10;
const SAMPLES: usize = 16;
const SAMPLE_BYTES: usize = 1 << 10;
/// Bits a byte; 16 KiB of random bytes measure 7.988 on average, and never under 7.98.
const RANDOM_ENTROPY: f64 = 7.95;

/// Compresses blobs one after another with the same context and buffer.
pub struct Compressor {
    /// A context for short blobs and one for long ones: changing the parameters of one costs more than keeping two.
    zstd: Option<[Zstd<'static>; 2]>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("buffer_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// A blob ready to be sealed in place.
#[derive(Debug)]
pub struct Packed<'a> {
    /// Room for the nonce, the blob, room for the tag.
    pub buffer: &'a mut [u8],
    /// The length before compression; `None` where it is stored as it was.
    pub uncompressed_bytes: Option<u32>,
}

impl Compressor {
    /// Makes a context.
    ///
    /// # Errors
    /// zstd's, when memory is short.
    pub fn new(compression: Compression) -> io::Result<Self> {
        let Some(level) = compression.level() else { return Ok(Self { zstd: None, buffer: Vec::new() }) };
        let (mut short, mut long) = (Zstd::new(level)?, Zstd::new(level)?);
        if compression == Compression::Optimal {
            tune(&mut short, [17, 14, 5, 2])?;
            tune(&mut long, [20, 16, 7, 0])?;
        }
        Ok(Self { zstd: Some([short, long]), buffer: Vec::new() })
    }

    /// Compresses a piece of a file into the own buffer, or copies it there where compression gains nothing.
    ///
    /// # Errors
    /// zstd's, when memory is short.
    pub fn pack(&mut self, blob: &[u8]) -> io::Result<Packed<'_>> {
        let length = if blob.len() > SHORT_BLOB_BYTES { Length::Long } else { Length::Short };
        self.pack_as(blob, (!looks_random(blob)).then_some(length))
    }

    /// Compresses a directory's tree into the own buffer.
    ///
    /// Trees have long matches whatever their length: as long blobs they are packed quicker, and a hundredth smaller.
    ///
    /// # Errors
    /// zstd's, when memory is short.
    pub fn pack_tree(&mut self, json: &[u8]) -> io::Result<Packed<'_>> {
        self.pack_as(json, Some(Length::Long))
    }

    fn pack_as(&mut self, blob: &[u8], length: Option<Length>) -> io::Result<Packed<'_>> {
        let bound = zstd::zstd_safe::compress_bound(blob.len()).max(blob.len());
        let needed = bound + NONCE_BYTES + TAG_BYTES;
        if self.buffer.len() < needed {
            // Zeroed memory fresh from the system costs nothing until it is written to.
            self.buffer = vec![0; needed];
        }
        if let (Some([short, long]), Some(length)) = (&mut self.zstd, length) {
            let zstd = if length == Length::Long { long } else { short };
            let room = &mut self.buffer[NONCE_BYTES..NONCE_BYTES + bound];
            let packed = zstd.compress_to_buffer(blob, room)?;
            if packed < blob.len()
                && let Ok(uncompressed) = u32::try_from(blob.len())
            {
                let buffer = &mut self.buffer[..NONCE_BYTES + packed + TAG_BYTES];
                return Ok(Packed { buffer, uncompressed_bytes: Some(uncompressed) });
            }
        }
        self.buffer[NONCE_BYTES..NONCE_BYTES + blob.len()].copy_from_slice(blob);
        let buffer = &mut self.buffer[..NONCE_BYTES + blob.len() + TAG_BYTES];
        Ok(Packed { buffer, uncompressed_bytes: None })
    }
}

/// Which of the two contexts a blob is given to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Short,
    Long,
}

/// Sets the fast strategy's own parameters: logarithms of window and table, shortest match, and how far it steps where it
/// finds nothing.
///
/// For long blobs a larger table of longer matches is both quicker than level 2 and a little smaller. For short ones a
/// smaller table is quicker and as small, and longer steps take a tenth less time for a fiftieth more space (measured
/// with `zstd -b --zstd=...`). With steps zstd would by itself leave out what makes most of the gain: coding the rest.
fn tune(zstd: &mut Zstd<'_>, [window_log, hash_log, shortest_match, step]: [u32; 4]) -> io::Result<()> {
    zstd.set_parameter(CParameter::WindowLog(window_log))?;
    zstd.set_parameter(CParameter::HashLog(hash_log))?;
    zstd.set_parameter(CParameter::MinMatch(shortest_match))?;
    zstd.set_parameter(CParameter::TargetLength(step))?;
    zstd.set_parameter(CParameter::LiteralCompressionMode(ParamSwitch::Enable))?;
    zstd.set_parameter(CParameter::Strategy(Strategy::ZSTD_fast))
}

/// Says whether a blob looks like random bytes, encrypted or already compressed data, from a sample of it.
///
/// Wrong guesses cost only space (never bytes); a blob that repeats itself over a distance is caught by the second look.
fn looks_random(blob: &[u8]) -> bool {
    if blob.len() < PROBE_FROM_BYTES {
        return false;
    }
    let mut counts = [0u32; 256];
    let stride = (blob.len() - SAMPLE_BYTES) / (SAMPLES - 1);
    for sample in 0..SAMPLES {
        for byte in &blob[sample * stride..][..SAMPLE_BYTES] {
            counts[usize::from(*byte)] += 1;
        }
    }
    let total = f64::from(u32::try_from(SAMPLES * SAMPLE_BYTES).unwrap_or(u32::MAX));
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum();
    entropy > RANDOM_ENTROPY && !repeats(blob)
}

/// Says whether any of a few 8-byte words occurs again within the sample that follows it, as in data whose bytes are
/// evenly spread but come in patterns.
fn repeats(blob: &[u8]) -> bool {
    let (words, _) = blob[..PROBE_FROM_BYTES].as_chunks::<8>();
    let mut seen: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    seen.sort_unstable();
    let total = seen.len();
    seen.dedup();
    seen.len() < total
}

/// Decompresses blobs one after another with the same context.
pub struct Decompressor {
    zstd: Unzstd<'static>,
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

impl Decompressor {
    /// Makes a context.
    ///
    /// # Errors
    /// zstd's, when memory is short.
    pub fn new() -> io::Result<Self> {
        Ok(Self { zstd: Unzstd::new()? })
    }

    /// Decompresses a blob whose length is known from the index or pack header.
    ///
    /// # Errors
    /// When the bytes are no zstd frame, or give another length.
    pub fn unpack(&mut self, packed: &[u8], uncompressed_bytes: u32) -> io::Result<Vec<u8>> {
        let expected = uncompressed_bytes as usize;
        let mut blob = Vec::new();
        self.unpack_into(packed, expected, &mut blob)?;
        Ok(blob)
    }

    /// Decompresses a blob into a buffer that is reused; it then holds exactly the blob.
    ///
    /// # Errors
    /// When the bytes are no zstd frame, or give another length.
    pub fn unpack_into(
        &mut self,
        packed: &[u8],
        uncompressed_bytes: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        out.clear();
        Self::plausible(packed, uncompressed_bytes)?;
        out.reserve(uncompressed_bytes);
        let written = self.zstd.decompress_to_buffer(packed, out)?;
        exactly(written, uncompressed_bytes)
    }

    /// Decompresses a blob into a place that is exactly as long as the blob.
    ///
    /// # Errors
    /// When the bytes are no zstd frame, or give another length.
    pub(crate) fn unpack_onto(&mut self, packed: &[u8], out: &mut [u8]) -> io::Result<()> {
        let written = self.zstd.decompress_to_buffer(packed, out)?;
        exactly(written, out.len())
    }

    /// Refuses a length that cannot be true: a damaged one must not make us ask for gigabytes, and zstd cannot expand
    /// more than about 1 : 32,000.
    ///
    /// # Errors
    /// For a length that is too great.
    pub(crate) fn plausible(packed: &[u8], uncompressed_bytes: usize) -> io::Result<()> {
        if uncompressed_bytes / 40_000 > packed.len() + 1 {
            return Err(io::Error::other("the stated length cannot be true"));
        }
        Ok(())
    }
}

fn exactly(written: usize, uncompressed_bytes: usize) -> io::Result<()> {
    if written == uncompressed_bytes {
        return Ok(());
    }
    Err(io::Error::other(format!("it holds {written} bytes instead of {uncompressed_bytes}")))
}

/// Compresses a metadata object (index, snapshot, lock), which is small and kept long.
///
/// # Errors
/// zstd's, when memory is short.
pub(crate) fn compress_object(json: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(json, 3)
}

/// The longest metadata object that is taken for one, in bytes; index objects have a few MiB.
const MOST_OBJECT_BYTES: u64 = 256 << 20;

/// Decompresses a metadata object; its frame need not say how long the content is.
///
/// # Errors
/// When the bytes are no zstd frame, or hold more than [`MOST_OBJECT_BYTES`].
pub(crate) fn decompress_object(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut bounded = zstd::stream::Decoder::new(packed)?.take(MOST_OBJECT_BYTES + 1);
    bounded.read_to_end(&mut plain)?;
    if plain.len() as u64 > MOST_OBJECT_BYTES {
        return Err(io::Error::other("it holds more than 256 MiB once it is decompressed"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: usize) -> Vec<u8> {
        let mut blob = vec![0; bytes];
        crate::crypto::fill_random(&mut blob).unwrap();
        blob
    }

    #[test]
    fn random_bytes_are_stored_and_text_is_compressed() {
        let mut compressor = Compressor::new(Compression::Optimal).unwrap();
        for bytes in [1, 100, 20_000, 1 << 20] {
            assert_eq!(compressor.pack(&random(bytes)).unwrap().uncompressed_bytes, None, "{bytes}");
        }
        let text = b"insert into orders values (1, 'two', 3);\n".repeat(5000);
        let packed = compressor.pack(&text).unwrap();
        assert_eq!(packed.uncompressed_bytes, Some(u32::try_from(text.len()).unwrap()));
        assert!(packed.buffer.len() < text.len() / 50);
        let inner = packed.buffer[NONCE_BYTES..packed.buffer.len() - TAG_BYTES].to_vec();
        let blob = Decompressor::new().unwrap().unpack(&inner, u32::try_from(text.len()).unwrap()).unwrap();
        assert_eq!(blob, text);
    }

    #[test]
    fn evenly_spread_patterns_are_still_compressed() {
        let pattern: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(!looks_random(&pattern));
        let block = random(2048);
        assert!(!looks_random(&block.repeat(64)));
        assert!(looks_random(&random(1 << 20)));
    }

    #[test]
    fn a_wrong_length_is_an_error_and_costs_no_memory() {
        let packed = zstd::bulk::compress(&[5; 1000], 1).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        for wrong in [0, 999, 1001, u32::MAX] {
            assert!(decompressor.unpack(&packed, wrong).is_err(), "{wrong}");
        }
        assert!(decompressor.unpack(b"nonsense", 8).is_err());
    }
}

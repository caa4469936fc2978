//! Where streams are cut: by content, with FastCDC, or at fixed places for database pages.

use fastcdc::v2020::{Normalization, cut, select_masks};

/// The shortest chunk but the last of a stream, in bytes; a file up to this size is one blob.
pub const MIN_CHUNK_BYTES: usize = 512 << 10;
/// The usual length of a chunk, in bytes.
pub const AVERAGE_CHUNK_BYTES: usize = 1 << 20;
/// The longest chunk, in bytes.
pub const MAX_CHUNK_BYTES: usize = 8 << 20;
/// About how long chunks of a database file are, in bytes, so that a changed page costs little more than itself.
const PAGED_CHUNK_BYTES: usize = 64 << 10;

/// Finds the ends of chunks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunker {
    /// By content.
    Content { mask_s: u64, mask_l: u64 },
    /// Every so many bytes.
    Fixed { bytes: usize },
}

impl Chunker {
    /// Cuts by content, as FastCDC's authors describe it in 2020, with level 1 of normalization.
    pub(super) fn by_content() -> Self {
        let (mask_s, mask_l) = select_masks(AVERAGE_CHUNK_BYTES, Normalization::Level1);
        Self::Content { mask_s, mask_l }
    }

    /// Cuts at whole pages of a database file.
    pub(super) fn by_pages(page_bytes: u32) -> Self {
        let page = (page_bytes as usize).clamp(1, MAX_CHUNK_BYTES);
        Self::Fixed { bytes: PAGED_CHUNK_BYTES.div_ceil(page).max(1) * page }
    }

    /// Returns the length of the first chunk of `bytes`, or `None` when more bytes are needed to know it.
    ///
    /// `at_end` says that nothing follows. The answer does not depend on how the stream came in pieces: an end that was
    /// found before the last byte stays where it is whatever follows.
    pub(super) fn next_chunk(&self, bytes: &[u8], at_end: bool) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        let length = match *self {
            Self::Fixed { bytes: fixed } => fixed.min(bytes.len()),
            Self::Content { .. } if bytes.len() <= MIN_CHUNK_BYTES => bytes.len(),
            Self::Content { mask_s, mask_l } => {
                cut(
                    bytes,
                    MIN_CHUNK_BYTES,
                    AVERAGE_CHUNK_BYTES,
                    MAX_CHUNK_BYTES,
                    mask_s,
                    mask_l,
                    mask_s << 1,
                    mask_l << 1,
                )
                .1
            }
        };
        let most = match *self {
            Self::Fixed { bytes } => bytes,
            Self::Content { .. } => MAX_CHUNK_BYTES,
        };
        (at_end || length < bytes.len() || length == most).then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastcdc::v2020::FastCDC;
    use larder_testbed::Random;

    fn cut_in_pieces(chunker: Chunker, stream: &[u8], piece: usize) -> Vec<usize> {
        let (mut lengths, mut from, mut until) = (Vec::new(), 0, 0);
        while from < stream.len() {
            match chunker.next_chunk(&stream[from..until], until == stream.len()) {
                Some(length) => {
                    lengths.push(length);
                    from += length;
                }
                None => until = stream.len().min(until + piece),
            }
        }
        lengths
    }

    #[test]
    fn cuts_are_those_of_the_whole_stream_however_it_comes() {
        let mut stream = Random::new(1).bytes(20 << 20);
        stream[3 << 20..15 << 20].fill(0);
        let whole: Vec<usize> = FastCDC::with_level(
            &stream,
            MIN_CHUNK_BYTES,
            AVERAGE_CHUNK_BYTES,
            MAX_CHUNK_BYTES,
            Normalization::Level1,
        )
        .map(|chunk| chunk.length)
        .collect();
        for piece in [100_000, 1 << 20, 4 << 20, 32 << 20] {
            assert_eq!(cut_in_pieces(Chunker::by_content(), &stream, piece), whole, "pieces of {piece}");
        }
        assert!(whole.contains(&MAX_CHUNK_BYTES));
    }

    #[test]
    fn database_files_are_cut_at_whole_pages() {
        let stream = vec![1; 300_000];
        let lengths = cut_in_pieces(Chunker::by_pages(4096), &stream, 10_000);
        assert_eq!(lengths, [65_536, 65_536, 65_536, 65_536, 37_856]);
        assert_eq!(cut_in_pieces(Chunker::by_pages(48 << 10), &stream, 70_000)[0], 96 << 10);
    }
}

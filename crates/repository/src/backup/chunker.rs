//! Where streams are cut: by content, with FastCDC, or at fixed places for database pages.

use fastcdc::v2020::{Normalization, cut, select_masks};

/// The shortest chunk but the last of a stream, in bytes; a file up to this size is one blob.
pub const MIN_CHUNK_BYTES: usize = 512 << 10;
/// The usual length of a chunk, in bytes.
pub const AVERAGE_CHUNK_BYTES: usize = 1 << 20;
/// The longest chunk, in bytes.
pub const MAX_CHUNK_BYTES: usize = 8 << 20;
/// A database file is cut into about so many chunks at the most. Each takes 48 bytes of memory in the index, and 67 in
/// the tree that lists them all, which every backup of the file writes anew.
const MOST_PAGED_CHUNKS: u64 = 256 << 10;
/// The shortest chunk of a database file, in bytes. With shorter ones the list of them grows by more than is saved.
const MIN_PAGED_CHUNK_BYTES: usize = 8 << 10;
/// The longest chunk of a database file, in bytes.
const MAX_PAGED_CHUNK_BYTES: usize = 1 << 20;
/// The chunks of a database file of unknown length, in bytes.
const USUAL_PAGED_CHUNK_BYTES: usize = 64 << 10;

/// Finds the ends of chunks.
#[derive(Clone, Copy, Debug)]
pub struct Chunker(Rule);

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// By content.
    Content { mask: u64 },
    /// Every so many bytes.
    Fixed { bytes: usize },
}

impl Chunker {
    /// Cuts by content, as FastCDC's authors describe it in 2020, without normalization.
    ///
    /// Past the shortest chunk each byte ends one with the same probability, so that chunks are 1 MiB long on average. With
    /// normalization the average would be a third more, and after a change it would take longer until ends fall where
    /// they fell before: one changed stretch in a dump then cost 3.3 MB instead of 2.6 (measured on 80 of them).
    #[must_use]
    pub fn by_content() -> Self {
        let (mask, _) = select_masks(AVERAGE_CHUNK_BYTES - MIN_CHUNK_BYTES, Normalization::Level0);
        Self(Rule::Content { mask })
    }

    /// Cuts a database file of `file_bytes` (0 while unknown) at whole pages.
    ///
    /// The shorter the chunks, the less is stored anew besides the pages that changed; the longer, the smaller the index.
    /// So a file of up to 2 GiB is cut at every 8 KiB, and longer chunks come with longer files, each time doubled: only
    /// a file that grows past such a bound is stored anew as a whole.
    #[must_use]
    pub fn by_pages(page_bytes: u32, file_bytes: u64) -> Self {
        let page = (page_bytes as usize).clamp(1, MAX_CHUNK_BYTES);
        let wanted = match usize::try_from(file_bytes.div_ceil(MOST_PAGED_CHUNKS)) {
            Ok(0) => USUAL_PAGED_CHUNK_BYTES,
            Ok(bytes) => bytes.next_power_of_two().clamp(MIN_PAGED_CHUNK_BYTES, MAX_PAGED_CHUNK_BYTES),
            Err(_) => MAX_PAGED_CHUNK_BYTES,
        };
        Self(Rule::Fixed { bytes: wanted.div_ceil(page) * page })
    }

    /// Returns the length of the first chunk of `bytes`, or `None` when more bytes are needed to know it.
    ///
    /// `at_end` says that nothing follows. The answer does not depend on how the stream came in pieces: an end that was
    /// found before the last byte stays where it is whatever follows.
    #[must_use]
    pub fn next_chunk(&self, bytes: &[u8], at_end: bool) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        let length = match self.0 {
            Rule::Fixed { bytes: fixed } => fixed.min(bytes.len()),
            Rule::Content { .. } if bytes.len() <= MIN_CHUNK_BYTES => bytes.len(),
            Rule::Content { mask } => {
                let (min, average, max) = (MIN_CHUNK_BYTES, AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES);
                cut(bytes, min, average, max, mask, mask, mask << 1, mask << 1).1
            }
        };
        let most = match self.0 {
            Rule::Fixed { bytes } => bytes,
            Rule::Content { .. } => MAX_CHUNK_BYTES,
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
            AVERAGE_CHUNK_BYTES - MIN_CHUNK_BYTES,
            MAX_CHUNK_BYTES,
            Normalization::Level0,
        )
        .map(|chunk| chunk.length)
        .collect();
        for piece in [100_000, 1 << 20, 4 << 20, 32 << 20] {
            assert_eq!(cut_in_pieces(Chunker::by_content(), &stream, piece), whole, "pieces of {piece}");
        }
        assert!(whole.contains(&MAX_CHUNK_BYTES));
    }

    #[test]
    fn chunks_are_one_mebibyte_on_average() {
        let stream = Random::new(2).bytes(64 << 20);
        let lengths = cut_in_pieces(Chunker::by_content(), &stream, 16 << 20);
        assert!((55..75).contains(&lengths.len()), "{}", lengths.len());
    }

    #[test]
    fn database_files_are_cut_at_whole_pages() {
        let stream = vec![1; 300_000];
        let lengths = cut_in_pieces(Chunker::by_pages(4096, 0), &stream, 10_000);
        assert_eq!(lengths, [65_536, 65_536, 65_536, 65_536, 37_856]);
        assert_eq!(cut_in_pieces(Chunker::by_pages(48 << 10, 0), &stream, 70_000)[0], 96 << 10);
        let first = |page, file_bytes| cut_in_pieces(Chunker::by_pages(page, file_bytes), &stream, 10_000)[0];
        assert_eq!(first(4096, 1), 8192);
        assert_eq!(first(512, 1 << 20), 8192);
        assert_eq!(first(16384, 1 << 20), 16384);
        assert_eq!(first(4096, 2 << 30), 8192);
        assert_eq!(first(4096, (2 << 30) + 1), 16384);
        assert_eq!(first(4096, 32 << 30), 128 << 10);
        assert_eq!(Chunker::by_pages(4096, u64::MAX).next_chunk(&vec![1; 3 << 20], true), Some(1 << 20));
    }
}

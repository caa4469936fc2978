//! Reads a stream chunk by chunk through one buffer that is used again for the next.

use super::chunker::{Chunker, MAX_CHUNK_BYTES};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// Bytes looked at together; longer stretches are read only where no end of a chunk is found in them.
const USUAL_FILL_BYTES: usize = 2 << 20;

/// A buffer of the longest chunk, and what of a stream is in it.
#[derive(Debug, Default)]
pub(super) struct ChunkReader {
    buffer: Vec<u8>,
    from: usize,
    until: usize,
    at_end: bool,
    read_bytes: u64,
}

impl ChunkReader {
    /// Begins another stream.
    pub(super) fn begin(&mut self) {
        if self.buffer.is_empty() {
            // Zeroed memory fresh from the system takes no room until it is written to.
            self.buffer = vec![0; MAX_CHUNK_BYTES];
        }
        self.from = 0;
        self.until = 0;
        self.at_end = false;
        self.read_bytes = 0;
    }

    /// Returns how many bytes of the stream were read.
    pub(super) const fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Reads up to the end of the next chunk and returns where it lies in [`ChunkReader::bytes`]; `None` at the end.
    pub(super) fn next(
        &mut self,
        stream: &mut dyn Read,
        chunker: &Chunker,
    ) -> io::Result<Option<Range<usize>>> {
        let mut fill = USUAL_FILL_BYTES;
        loop {
            if let Some(length) = chunker.next_chunk(&self.buffer[self.from..self.until], self.at_end) {
                let chunk = self.from..self.from + length;
                self.from = chunk.end;
                return Ok(Some(chunk));
            }
            if self.at_end {
                return Ok(None);
            }
            self.fill(stream, fill)?;
            fill = MAX_CHUNK_BYTES;
        }
    }

    /// Returns the next chunk where it is in the buffer already and shorter than `below`; those before stay where they are.
    pub(super) fn next_short(&mut self, chunker: &Chunker, below: usize) -> Option<Range<usize>> {
        let length = chunker.next_chunk(&self.buffer[self.from..self.until], self.at_end)?;
        let chunk = self.from..self.from + length;
        (length < below).then(|| self.from = chunk.end).map(|()| chunk)
    }

    /// Returns bytes of the buffer.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    fn fill(&mut self, stream: &mut dyn Read, target: usize) -> io::Result<()> {
        self.buffer.copy_within(self.from..self.until, 0);
        self.until -= self.from;
        self.from = 0;
        let target = if self.until >= target { MAX_CHUNK_BYTES } else { target };
        while self.until < target {
            match stream.read(&mut self.buffer[self.until..target]) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(());
                }
                Ok(bytes) => {
                    self.until += bytes;
                    self.read_bytes += bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::Random;

    /// Gives odd numbers of bytes at a time, and is interrupted now and then.
    struct Trickle<'a>(&'a [u8], usize);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(7) {
                return Err(ErrorKind::Interrupted.into());
            }
            let bytes = self.0.len().min(buffer.len()).min(self.1 * 1013 % 300_000 + 1);
            buffer[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0 = &self.0[bytes..];
            Ok(bytes)
        }
    }

    #[test]
    fn all_bytes_come_in_order_and_cut_alike() {
        let chunker = Chunker::by_content();
        let mut reader = ChunkReader::default();
        let mut source = Random::new(3).bytes(30 << 20);
        source[4 << 20..16 << 20].fill(7);
        for length in [0, 1, 4096, 512 << 10, (512 << 10) + 1, 3 << 20, 30 << 20] {
            let stream = &source[..length];
            let mut lengths = Vec::new();
            for streams in [&mut { stream } as &mut dyn Read, &mut Trickle(stream, 0)] {
                reader.begin();
                let mut got = Vec::new();
                let mut chunks = Vec::new();
                while let Some(chunk) = reader.next(streams, &chunker).unwrap() {
                    chunks.push(chunk.len());
                    got.extend_from_slice(reader.bytes(chunk));
                }
                assert!(got == stream, "{length} bytes");
                assert_eq!(reader.read_bytes(), length as u64);
                lengths.push(chunks);
            }
            assert_eq!(lengths[0], lengths[1]);
        }
    }
}

//! A fast hash of one line, or of a whole file, which comes in pieces.
//!
//! It finds what happened by accident to the rows of a restored table; it is no proof against somebody who makes up rows. Eight
//! bytes are taken at once: a dump passes by as fast as it can be read.

/// Odd numbers without a pattern: the first digits of π after the point.
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
const SECOND: u64 = 0x1319_8a2e_0370_7345;

/// How many bytes are taken at once.
const WORD: usize = size_of::<u64>();

/// The hash of what came of a line so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineHash {
    state: u64,
    /// Bytes that do not make a whole word yet: the low ones, as many as the length is past a whole word.
    rest: u64,
    /// How many bytes came.
    pub(crate) length: u64,
}

impl LineHash {
    /// The hash of nothing.
    pub(crate) const NEW: Self = Self { state: FIRST, rest: 0, length: 0 };

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let held = self.held();
        let missing = if held == 0 { 0 } else { (WORD - held).min(bytes.len()) };
        let (first, bytes) = bytes.split_at(missing);
        self.keep(first);
        let (words, last) = bytes.as_chunks::<WORD>();
        for word in words {
            self.take(u64::from_le_bytes(*word));
        }
        self.length += (words.len() * WORD) as u64;
        self.keep(last);
    }

    /// Returns the hash of all that came.
    pub(crate) const fn finish(self) -> u64 {
        let hash = folded(self.state ^ self.rest, SECOND ^ self.length);
        folded(hash, FIRST)
    }

    const fn held(&self) -> usize {
        (self.length % WORD as u64) as usize
    }

    fn keep(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.rest |= u64::from(*byte) << (8 * self.held());
            self.length += 1;
            if self.held() == 0 {
                self.take(self.rest);
                self.rest = 0;
            }
        }
    }

    const fn take(&mut self, word: u64) {
        self.state = folded(self.state ^ word, SECOND);
    }
}

/// Multiplies, and folds the upper half of the product over the lower one, so that every bit depends on every other.
const fn folded(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn of(pieces: &[&[u8]]) -> u64 {
        let mut hash = LineHash::NEW;
        for piece in pieces {
            hash.update(piece);
        }
        hash.finish()
    }

    #[test]
    fn it_is_the_same_however_a_line_comes() {
        let line: Vec<u8> = (0..100).collect();
        for length in [0, 1, 7, 8, 9, 16, 63, 100] {
            let whole = of(&[&line[..length]]);
            for first in 0..=length {
                for second in first..=length {
                    let pieces = [&line[..first], &line[first..second], &line[second..length]];
                    assert_eq!(of(&pieces), whole, "{length} bytes, cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn lines_that_differ_a_little_have_other_hashes() {
        let mut seen = HashSet::new();
        for number in 0..100_000_u32 {
            assert!(seen.insert(of(&[format!("{number}\t0\t\\N").as_bytes()])), "{number}");
        }
        // Zero bytes, and bytes that came before, count too.
        for length in 0..64 {
            assert!(seen.insert(of(&[&vec![0; length]])), "{length} zeros");
        }
    }
}

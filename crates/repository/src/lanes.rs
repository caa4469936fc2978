//! SHA-256 of several messages at once, on one core.
//!
//! Each step of SHA-256 waits for the step before, so a processor that hashes one message is idle for much of the time.
//! Two messages hashed a little at a time in turn fill each other's gaps: measured, a quarter to a third less time for
//! both. The compression function is `sha2`'s own; this only decides which message is next.

use crate::id::Id;
use sha2::block_api::compress256;

const BLOCK_BYTES: usize = 64;
/// How many blocks of one message are taken before the other is. Fewer cost more calls, more do not overlap any longer.
const TURN: usize = 2;

type Block = [u8; BLOCK_BYTES];
type State = [u32; 8];

/// The state before the first block (FIPS 180-4, 5.3.3).
const START: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A message that comes piece by piece, and is hashed beside others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    state: State,
    bytes: u64,
}

impl Stream {
    pub(crate) const fn new() -> Self {
        Self { state: START, bytes: 0 }
    }

    /// Returns how many bytes were taken so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the last piece, of any length, and returns the hash of all.
    pub(crate) fn finish(mut self, rest: &[u8]) -> Id {
        let (blocks, tail) = rest.as_chunks();
        compress256(&mut self.state, blocks);
        end(self.state, tail, self.bytes + rest.len() as u64)
    }
}

/// One of the two messages that are being hashed.
struct Lane<'a> {
    state: State,
    blocks: &'a [Block],
    /// Which message it is; `None` for the stream.
    message: Option<usize>,
}

impl Lane<'_> {
    /// Hashes all that is left.
    fn all(&mut self) {
        compress256(&mut self.state, std::mem::take(&mut self.blocks));
    }

    /// Hashes as much of both as the shorter has.
    fn both(&mut self, other: &mut Self) {
        let blocks = self.blocks.len().min(other.blocks.len()) / TURN * TURN;
        let (mine, my_rest) = self.blocks.split_at(blocks);
        let (theirs, their_rest) = other.blocks.split_at(blocks);
        for (mine, theirs) in mine.as_chunks::<TURN>().0.iter().zip(theirs.as_chunks::<TURN>().0) {
            compress256(&mut self.state, mine);
            compress256(&mut other.state, theirs);
        }
        (self.blocks, other.blocks) = (my_rest, their_rest);
        // Less than a turn is left of the shorter.
        if my_rest.len() <= their_rest.len() { self.all() } else { other.all() }
    }
}

/// Hashes messages; `ids` then holds the hash of each, in their order.
pub(crate) fn hash_all(messages: &[&[u8]], ids: &mut Vec<Id>) {
    hash_beside(&mut Stream::new(), &[], messages, ids);
}

/// Hashes messages, and a piece of a stream beside them; only its whole blocks of 64 bytes are taken, the caller hands the
/// rest in with the next piece. `ids` then holds the hash of each message, in their order.
pub(crate) fn hash_beside(stream: &mut Stream, piece: &[u8], messages: &[&[u8]], ids: &mut Vec<Id>) {
    ids.clear();
    ids.resize(messages.len(), Id::from_bytes([0; 32]));
    let (blocks, _) = piece.as_chunks();
    let begin = Lane { state: stream.state, blocks, message: None };
    let mut waiting = std::iter::once(begin).chain(messages.iter().enumerate().map(|(number, message)| {
        Lane { state: START, blocks: message.as_chunks().0, message: Some(number) }
    }));
    let mut done = |lane: Lane<'_>| match lane.message.and_then(|at| Some((at, messages.get(at)?))) {
        None => {
            stream.state = lane.state;
            stream.bytes += (blocks.len() * BLOCK_BYTES) as u64;
        }
        Some((number, message)) => {
            if let Some(id) = ids.get_mut(number) {
                *id = end(lane.state, message.as_chunks::<BLOCK_BYTES>().1, message.len() as u64);
            }
        }
    };
    let Some(mut first) = waiting.next() else { return };
    for mut second in waiting {
        first.both(&mut second);
        if second.blocks.is_empty() {
            done(second);
        } else {
            done(std::mem::replace(&mut first, second));
        }
    }
    first.all();
    done(first);
}

/// Hashes what is left of a message with its length behind it (FIPS 180-4, 5.1.1).
fn end(mut state: State, tail: &[u8], bytes: u64) -> Id {
    let mut last = [0; 2 * BLOCK_BYTES];
    last[..tail.len()].copy_from_slice(tail);
    last[tail.len()] = 0x80;
    let used = if tail.len() + 9 <= BLOCK_BYTES { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
    last[used - 8..used].copy_from_slice(&(bytes * 8).to_be_bytes());
    compress256(&mut state, last[..used].as_chunks().0);
    let mut id = [0; 32];
    for (bytes, word) in id.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Id::from_bytes(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::Random;

    #[test]
    fn every_length_beside_every_other_has_the_hash_that_it_has_alone() {
        let lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 191, 1000, 4096, 70_001];
        let messages: Vec<Vec<u8>> = lengths.iter().map(|bytes| Random::new(1).bytes(*bytes)).collect();
        let mut ids = Vec::new();
        for from in 0..messages.len() {
            for until in from..=messages.len() {
                let some: Vec<&[u8]> = messages[from..until].iter().map(Vec::as_slice).collect();
                hash_all(&some, &mut ids);
                let alone: Vec<Id> = some.iter().map(|message| Id::of(message)).collect();
                assert_eq!(ids, alone, "{from}..{until}");
            }
        }
    }

    #[test]
    fn a_stream_beside_messages_has_the_hash_of_all_its_pieces() {
        let bytes = Random::new(2).bytes(300_000);
        let messages: Vec<&[u8]> = bytes.chunks(7001).collect();
        let alone: Vec<Id> = messages.iter().map(|message| Id::of(message)).collect();
        let (mut stream, mut ids) = (Stream::new(), Vec::new());
        for piece in [0, 63, 64, 1000, 128 << 10] {
            let from = usize::try_from(stream.bytes()).unwrap();
            hash_beside(&mut stream, &bytes[from..from + piece], &messages, &mut ids);
            assert_eq!(ids, alone);
        }
        let from = usize::try_from(stream.bytes()).unwrap();
        assert_eq!(stream.finish(&bytes[from..]), Id::of(&bytes));
    }
}

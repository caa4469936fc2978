//! A stream of many gigabytes: does memory stay within its bound however long it is?

use crate::Failure;
use crate::backup;
use crate::cost;
use larder_model::{Cancel, Counters, Entry, EntryKind, Metadata};
use larder_repository::{BackupWriter, Seal};
use std::io::{self, Read};
use std::sync::Arc;

/// What a backup may take at its most, in MiB.
const MOST_MIB: f64 = 160.0;
/// The stream is made of stretches of this length.
const STRETCH_BYTES: u64 = 100_000_000;
/// One stretch in so many is new; the others come again and again.
const NEW_EVERY: u64 = 10;
/// How many different stretches come again.
const OLD_STRETCHES: u64 = 8;

/// Random bytes, made as they are read, so that the source takes no memory.
struct Generated {
    /// Bytes not made yet.
    left: u64,
    /// Bytes of this stretch not made yet.
    left_of_stretch: u64,
    stretch: u64,
    state: u64,
    /// The last word that was made, and how many bytes of it are still to be given.
    word: [u8; 8],
    held: usize,
}

impl Generated {
    const fn of(bytes: u64) -> Self {
        Self { left: bytes, left_of_stretch: 0, stretch: 0, state: 1, word: [0; 8], held: 0 }
    }

    fn begin_stretch(&mut self) {
        let number = self.stretch;
        let which =
            if number.is_multiple_of(NEW_EVERY) { OLD_STRETCHES + number } else { number % OLD_STRETCHES };
        self.state = (which + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        self.left_of_stretch = STRETCH_BYTES;
        self.stretch += 1;
    }

    /// Makes the next word (xorshift64*, by Vigna).
    const fn next(&mut self) -> [u8; 8] {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held > 0 {
            let bytes = self.held.min(buffer.len());
            let from = self.word.len() - self.held;
            buffer[..bytes].copy_from_slice(&self.word[from..from + bytes]);
            self.held -= bytes;
            return Ok(bytes);
        }
        if self.left == 0 {
            return Ok(0);
        }
        if self.left_of_stretch == 0 {
            self.begin_stretch();
        }
        // Stretches and the whole are multiples of a word.
        let most = usize::try_from(self.left.min(self.left_of_stretch)).unwrap_or(usize::MAX);
        let bytes = buffer.len().min(most) / 8 * 8;
        for word in buffer[..bytes].as_chunks_mut::<8>().0 {
            *word = self.next();
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let made = bytes.max(8) as u64;
        self.left -= made;
        self.left_of_stretch -= made;
        if bytes > 0 {
            return Ok(bytes);
        }
        (self.word, self.held) = (self.next(), 8);
        self.read(buffer)
    }
}

/// Backs up a stream and prints what it cost; an error where it took more memory than it may.
pub(crate) fn run(gigabytes: u64, destination: &str) -> Result<(), Failure> {
    let runtime = backup::runtime()?;
    let targets = backup::repositories(runtime.handle(), &[destination])?;
    let (summary, cost) = cost::of_process(|| {
        let counters = Arc::new(Counters::default());
        let mut writer = BackupWriter::start(&targets, backup::options(0), Cancel::new(), counters)?;
        let entry = Entry { name: b"stream".to_vec(), kind: EntryKind::File, metadata: Metadata::default() };
        let mut stream = Generated::of(gigabytes * 1_000_000_000);
        writer.stream(entry, &mut stream, None)?;
        Ok(writer.finish(Seal::default())?)
    })?;
    backup::print_line(&summary, cost)?;
    let peak = cost::peak_mib()?;
    if peak > MOST_MIB {
        return Err(format!("it took {peak:.0} MiB, more than the {MOST_MIB:.0} MiB it may").into());
    }
    Ok(())
}

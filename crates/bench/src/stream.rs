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
    length: u64,
    at: u64,
    state: u64,
}

impl Generated {
    fn seed(&self) -> u64 {
        let stretch = self.at / STRETCH_BYTES;
        let which =
            if stretch.is_multiple_of(NEW_EVERY) { OLD_STRETCHES + stretch } else { stretch % OLD_STRETCHES };
        (which + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at.is_multiple_of(STRETCH_BYTES) {
            self.state = self.seed();
        }
        let rest = (STRETCH_BYTES - self.at % STRETCH_BYTES).min(self.length - self.at);
        // Whole words only, so that a stretch is the same however it is read; stretches are whole words too.
        let bytes = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX)) / 8 * 8;
        for word in buffer[..bytes].as_chunks_mut::<8>().0 {
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            *word = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
        }
        self.at += bytes as u64;
        Ok(bytes)
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
        let mut stream = Generated { length: gigabytes * 1_000_000_000, at: 0, state: 0 };
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

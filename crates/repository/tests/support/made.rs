//! Entries, files and destinations made up for a test.

use larder_model::{Entry, EntryKind, Metadata, Timestamp};
use larder_repository::{BackupWriter, FileContent, RepositoryError};
use larder_testbed::{FaultyStorage, MemoryStorage, Random};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

pub fn file_entry(name: &str, size: u64) -> Entry {
    let modified = Timestamp { seconds: 1_700_000_000, nanoseconds: 5 };
    let metadata = Metadata {
        mode: 0o644,
        size,
        modified,
        changed: modified,
        inode: 1,
        links: 1,
        ..Metadata::default()
    };
    Entry { name: name.into(), kind: EntryKind::File, metadata }
}

pub fn directory_entry(name: &str) -> Entry {
    Entry {
        name: name.into(),
        kind: EntryKind::Directory,
        metadata: Metadata { mode: 0o755, ..Metadata::default() },
    }
}

/// A file in memory; `Err` cannot be opened, or breaks off after its bytes.
pub struct InMemory {
    pub bytes: Vec<u8>,
    pub opens: bool,
    pub breaks: bool,
}

/// Breaks off after its bytes.
pub struct Breaking(pub Cursor<Vec<u8>>);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            bytes => Ok(bytes),
        }
    }
}

impl FileContent for InMemory {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        if !self.opens {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let cursor = Cursor::new(self.bytes);
        if self.breaks { Ok(Box::new(Breaking(cursor))) } else { Ok(Box::new(cursor)) }
    }

    fn display_path(&self) -> String {
        "/source/bad".to_owned()
    }
}

pub fn content(bytes: Vec<u8>) -> Box<InMemory> {
    Box::new(InMemory { bytes, opens: true, breaks: false })
}

/// A little of everything: small files in directories, a large file, a stream.
pub fn add_all(writer: &mut BackupWriter, seed: u64) -> Result<(), RepositoryError> {
    let mut random = Random::new(seed);
    for directory in 0..5 {
        writer.enter(directory_entry(&format!("d{directory}")))?;
        for file in 0..20 {
            let bytes = random.bytes(1000 + file * 100);
            writer.file(file_entry(&format!("f{file}"), bytes.len() as u64), content(bytes))?;
        }
        writer.leave()?;
    }
    let large = random.bytes(40 << 20);
    writer.file(file_entry("large", large.len() as u64), content(large))?;
    let stream = random.bytes(5 << 20);
    writer.stream(file_entry("stream", 0), &mut Cursor::new(stream), None)?;
    Ok(())
}

pub fn memory() -> (Arc<FaultyStorage>, Arc<MemoryStorage>) {
    let inner = Arc::new(MemoryStorage::new());
    (FaultyStorage::new(inner.clone()), inner)
}

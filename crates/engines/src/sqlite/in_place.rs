//! Reads a database that lies still where it lies, without a copy of it.
//!
//! That nobody wrote to it meanwhile is known only when all is read. Where somebody did, what was read is taken back, and a copy
//! is made after all.

use super::failure::file;
use super::header::{Header, beside};
use super::inspect::{Depth, Found, Hashing, Sum, inspect};
use super::position::Position;
use super::{entry_of, shown_name};
use crate::engine::BackupJob;
use crate::error::EngineError;
use crate::held::{CarefulFile, Hold};
use crate::sink::Sink;
use crate::words::grouped;
use rusqlite::{Connection, OpenFlags};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// Says whether nobody wrote to a database lately, and nobody is just about to end a transaction that its file holds a part of.
pub(super) fn lies_still(path: &Path, before: &Position) -> bool {
    if !before.rests() {
        return false;
    }
    let header = CarefulFile::open(path).and_then(|file| Header::read(file.get()?));
    match header {
        // Without it nobody has the file open.
        Ok(Some(header)) if header.is_wal => !beside(path, "-shm").exists(),
        Ok(Some(_)) => is_free(path),
        _ => false,
    }
}

/// Says whether nobody holds a lock for writing: some who keep no journal leave half a transaction in the file meanwhile. Who
/// begins later changes its time.
fn is_free(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut hold = Hold::default();
    hold.add(path);
    let asked = Connection::open_with_flags(path, flags).and_then(|source| {
        source.busy_timeout(Duration::ZERO)?;
        source.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
    });
    // What else is wrong is told by those who read it all.
    asked.is_ok()
}

/// Reads the file, and checks it meanwhile; `None` where it was written to, and is to be copied.
pub(super) fn read(
    job: &BackupJob<'_>,
    path: &Path,
    before: &Position,
    sink: &mut dyn Sink,
) -> Result<Option<(Found, Sum)>, EngineError> {
    let failed = |error| file("reading", path, error);
    let opened = CarefulFile::open_shared(path).map_err(failed)?;
    let (size, header) =
        opened.get().and_then(|file| Ok((file.metadata()?.size(), Header::read(file)?))).map_err(failed)?;
    let entry = entry_of(path, size)?;
    job.counters.set_current(&shown_name(path));
    job.counters.items_total.store(1, Ordering::Relaxed);
    job.counters.bytes_total.store(size, Ordering::Relaxed);
    let is_void = AtomicBool::new(false);
    let (streamed, whole) = thread::scope(|scope| {
        let checking = scope.spawn(|| {
            let found = inspect(path, path, Depth::Pages, job.cancel);
            is_void.store(found.is_err(), Ordering::Relaxed);
            found
        });
        let reader = Hashing::new(BufReader::with_capacity(1 << 20, opened), job.cancel);
        let mut whole =
            Whole { reader, checking: Some(checking), found: None, is_void: &is_void, path, before };
        let void = || is_void.load(Ordering::Relaxed) && !job.cancel.is_canceled();
        let streamed = sink.stream_unless(entry, &mut whole, header.map(|header| header.page_bytes), &void);
        (streamed, (whole.found, whole.reader.finish()))
    });
    job.cancel.check()?;
    // Where nothing was added, and the database is what is wrong, that is found in the copy once more.
    let Some(streamed) = streamed? else { return Ok(None) };
    match whole {
        (Some(found), sum) if streamed == size => Ok(Some((found, sum))),
        _ => Err(EngineError::Failed {
            action: format!("backing up {}", path.display()),
            cause: format!("it has {} bytes and {} were taken", grouped(size), grouped(streamed)),
            remedy: "start the backup again".to_owned(),
        }),
    }
}

/// A file that ends well only where it was found sound, and nobody wrote to it up to then.
struct Whole<'a, 'scope, R> {
    reader: Hashing<'a, R>,
    checking: Option<ScopedJoinHandle<'scope, Result<Found, EngineError>>>,
    found: Option<Found>,
    is_void: &'a AtomicBool,
    path: &'a Path,
    before: &'a Position,
}

impl<R: Read> Whole<'_, '_, R> {
    fn end(&mut self) -> io::Result<usize> {
        let Some(checking) = self.checking.take() else { return Ok(0) };
        let found = checking.join().unwrap_or_else(|panic| resume_unwind(panic));
        let now = Position::look(self.path, None)?;
        if !now.is_some_and(|now| self.before.is_alike(&now)) {
            self.is_void.store(true, Ordering::Relaxed);
            return Err(io::Error::other("the database was written to"));
        }
        self.found = Some(found.map_err(io::Error::other)?);
        Ok(0)
    }
}

impl<R: Read> Read for Whole<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_void.load(Ordering::Relaxed) {
            return Err(io::Error::other("the database is damaged"));
        }
        match self.reader.read(buffer)? {
            0 if !buffer.is_empty() => self.end(),
            length => Ok(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::{TempDir, set_modified};

    #[test]
    fn what_was_written_lately_or_is_being_written_or_is_open_with_a_log_does_not_lie_still() {
        let directory = TempDir::new();
        let path = directory.join("shop.db");
        let now = 1_800_000_000;
        let still = || lies_still(&path, &Position::look(&path, Some(now)).unwrap().unwrap());
        let settle = || set_modified(&path, now - 60, 0);
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a INT)").unwrap();
        set_modified(&path, now - 1, 0);
        assert!(!still(), "written lately");
        settle();
        assert!(still());
        // Without a journal only the lock tells.
        writer
            .execute_batch("PRAGMA journal_mode = memory; BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)")
            .unwrap();
        assert!(!still(), "being written");
        writer.execute_batch("ROLLBACK").unwrap();
        settle();
        assert!(still());
        writer.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        settle();
        assert!(!still(), "open");
        writer.close().unwrap();
        settle();
        assert!(still());
    }
}

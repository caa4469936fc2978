//! SQLite database files: the engine `sqlite`.

mod compare;
mod copy;
mod create;
mod discover;
mod failure;
mod find;
mod header;
mod in_place;
mod inspect;
mod position;
mod restore;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, RestoreJob, RestoreReport,
};
use crate::error::EngineError;
use crate::files::MetadataReader;
use crate::sink::{BackupReader, Sink};
use crate::words::{grouped, hex};
use copy::Copier;
pub use create::{create_sqlite, place_sqlite};
use header::Header;
use inspect::{Depth, Found, Hashing, Sum, inspect};
use larder_model::{Database, DatabaseName, EngineKind, Entry, EntryKind, Source};
use position::Position;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Backs up one SQLite file as one database: a consistent copy, checked, in a single file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

impl Engine for Sqlite {
    fn kind(&self) -> EngineKind {
        EngineKind::Sqlite
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities { detects_unchanged: true, ..EngineCapabilities::default() }
    }

    fn discover(
        &self,
        source: &Source,
        own_directories: &[PathBuf],
    ) -> Result<Vec<FoundDatabase>, EngineError> {
        discover::discover(source, own_directories)
    }

    fn find(&self) -> Vec<FoundSource> {
        find::find()
    }

    fn changed(&self, _: &Source, database: &Database, position: &str) -> Result<ChangeCheck, EngineError> {
        let path = path_of(&database.locator);
        let now = Position::look(&path, None).map_err(|error| failure::file("reading", &path, error))?;
        match (Position::from_text(position), now) {
            (Some(before), Some(now)) if before.proves_unchanged(&now) => Ok(ChangeCheck::Unchanged),
            _ => Ok(ChangeCheck::MaybeChanged),
        }
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let path = path_of(&job.database.locator);
        let before = look_before(&path, job.staging)?;
        let read = in_place::lies_still(&path, &before).then(|| in_place::read(job, &path, &before, sink));
        if let Some((found, sum)) = read.transpose()?.flatten() {
            return Ok(report(&before, found, sum));
        }
        let copy = {
            let limited = RefCell::new(&mut *sink);
            let pace = |bytes: u64| -> Result<(), EngineError> {
                limited.borrow_mut().about_to_read(bytes).map_err(EngineError::from)
            };
            let (staging, cancel, counters) = (job.staging, job.cancel, job.counters);
            Copier { path: &path, staging, cancel, counters, pace: &pace }.copy(&before)?
        };
        job.counters.set_current(&shown_name(&path));
        // The check reads as much as the backup does, and both read a copy that nobody changes.
        let is_damaged = AtomicBool::new(false);
        let (found, streamed) = thread::scope(|scope| {
            let inspected = scope.spawn(|| {
                let found = inspect(&copy, &path, Depth::Pages, job.cancel);
                is_damaged.store(found.is_err(), Ordering::Relaxed);
                found
            });
            let streamed = stream(job, &path, &copy, &is_damaged, sink);
            (inspected.join().unwrap_or_else(|panic| resume_unwind(panic)), streamed)
        });
        // What is wrong with the database says more than that its stream ended.
        let (found, sum) = (found?, streamed?);
        Ok(report(&before, found, sum))
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        let restored = job.restored.path(self.kind())?;
        compare::compare(&path_of(&job.database.locator), job.report, restored, job.cancel)
    }
}

fn report(before: &Position, found: Found, sum: Sum) -> BackupReport {
    BackupReport { position: before.to_text(), evidence: found.evidence(sum), messages: found.remarks }
}

/// Takes the position before anything is read, so that a write during the copy shows as a change later.
fn look_before(path: &Path, staging: &Path) -> Result<Position, EngineError> {
    let metadata = path.metadata().map_err(|error| failure::file("reading", path, error))?;
    let no_database = |cause: &str| EngineError::Failed {
        action: format!("reading {}", path.display()),
        cause: cause.to_owned(),
        remedy: "leave it out of the source, or back it up as a plain file".to_owned(),
    };
    if !metadata.is_file() {
        return Err(no_database("it is not a regular file"));
    }
    if metadata.size() == 0 {
        return Err(no_database("it is empty, and not yet a database"));
    }
    let clock = staging.join("clock");
    let now = File::create(&clock).and_then(|file| Ok(file.metadata()?.mtime()));
    let now = now.map_err(|error| failure::file("writing", &clock, error))?;
    Position::look(path, Some(now))
        .map_err(|error| failure::file("reading", path, error))?
        .ok_or_else(|| no_database("it is not a SQLite database, or it is encrypted"))
}

/// Reads on only while the flag is down.
struct Unless<'a, R>(R, &'a AtomicBool);

impl<R: Read> Read for Unless<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the database is damaged")),
            false => self.0.read(buffer),
        }
    }
}

/// Hands the copy on, under the name and with the metadata of the original, as long as it is not found damaged; returns the
/// sum of it.
fn stream(
    job: &BackupJob<'_>,
    path: &Path,
    copy: &Path,
    is_damaged: &AtomicBool,
    sink: &mut dyn Sink,
) -> Result<Sum, EngineError> {
    let opened = File::open(copy).and_then(|file| Ok((file.metadata()?.size(), Header::read(&file)?, file)));
    let (size, header, opened) = opened.map_err(|error| failure::file("reading", copy, error))?;
    let entry = entry_of(path, size)?;
    let reader = Unless(BufReader::with_capacity(1 << 20, opened), is_damaged);
    let mut reader = Hashing::new(reader, job.cancel);
    job.counters.bytes_total.store(size, Ordering::Relaxed);
    let streamed = sink.stream(entry, &mut reader, header.map(|header| header.page_bytes));
    job.cancel.check()?;
    let streamed = streamed?;
    if streamed == size {
        return Ok(reader.finish());
    }
    Err(EngineError::Failed {
        action: format!("backing up {}", path.display()),
        cause: format!("the copy has {} bytes and {} were taken", grouped(size), grouped(streamed)),
        remedy: "start the backup again".to_owned(),
    })
}

/// Makes the entry of a database: the name and metadata of the original, and the length of what is read for it.
fn entry_of(path: &Path, size: u64) -> Result<Entry, EngineError> {
    let stat = rustix::fs::stat(path).map_err(|error| failure::file("reading", path, error.into()))?;
    let mut metadata = MetadataReader::default().plain(&stat);
    // The stream is nobody's hard link.
    (metadata.size, metadata.links, metadata.inode, metadata.device_id) = (size, 1, 0, 0);
    let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    Ok(Entry { name, kind: EntryKind::File, metadata })
}

fn shown_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn suggested_name(path: &Path) -> String {
    DatabaseName::from_lossy(&shown_name(path)).as_str().to_owned()
}

/// What stands before a path that is not text; no absolute path begins so.
const BYTES: &str = "bytes:";

/// Writes a path as text; one that is not text in hexadecimal digits.
fn locator_of(path: &Path) -> String {
    path.to_str().map_or_else(|| format!("{BYTES}{}", hex(path.as_os_str().as_bytes())), str::to_owned)
}

/// Reads what [`locator_of`] wrote.
fn path_of(locator: &str) -> PathBuf {
    let digits = locator.strip_prefix(BYTES).map(str::as_bytes).filter(|digits| digits.len() % 2 == 0);
    let bytes: Option<Vec<u8>> = digits.and_then(|digits| {
        let byte =
            |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        digits.chunks_exact(2).map(byte).collect()
    });
    bytes.map_or_else(|| locator.into(), |bytes| OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn locators_keep_every_path() {
        for path in [&b"/srv/shop.db"[..], b"/srv/\xff\x00\x01.db", "/srv/ü b".as_bytes()] {
            let path = Path::new(OsStr::from_bytes(path));
            assert_eq!(path_of(&locator_of(path)), path);
        }
    }
}

//! Makes a consistent copy of a database that others may be writing to.

use super::failure::{explain, file, interruptible, locked, unless_canceled};
use super::header::{Header, beside};
use super::position::Position;
use crate::error::EngineError;
use crate::held::{CarefulFile, Hold};
use crate::words::grouped;
use larder_model::{Cancel, Counters};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pages copied between two looks at the abort flag; a few milliseconds of work.
const STEP_PAGES: i32 = 512;

/// How often a copy may begin anew because of a writer, before writers have to wait for it.
const RESTARTS: u32 = 3;

/// How long one try for a lock lasts, and how many there are: half a minute in all.
const LOCK_WAIT: Duration = Duration::from_millis(250);
const LOCK_TRIES: u32 = 120;

/// Makes copies of one database in a staging directory.
pub(super) struct Copier<'a> {
    pub(super) path: &'a Path,
    pub(super) staging: &'a Path,
    pub(super) cancel: &'a Cancel,
    pub(super) counters: &'a Counters,
    /// Waits until so many bytes may be read.
    pub(super) pace: &'a dyn Fn(u64) -> Result<(), EngineError>,
}

impl Copier<'_> {
    /// Makes a copy in one file, and leaves nothing beside the original that was not there.
    pub(super) fn copy(&self, before: &Position) -> Result<PathBuf, EngineError> {
        self.check_space()?;
        let target = self.staging.join("copy.db");
        let header = CarefulFile::open(self.path).and_then(|file| Header::read(file.get()?));
        let is_wal = matches!(header, Ok(Some(header)) if header.is_wal);
        // Without a -shm file nobody has a write-ahead database open, and opening it would leave one behind.
        if is_wal && !beside(self.path, "-shm").exists() && self.copy_files(before, &target, "-wal")? {
            return Ok(target);
        }
        let Err(why) = self.copy_online(&target) else { return Ok(target) };
        if why.needs_a_writer() && before.has_journal() && self.copy_files(before, &target, "-journal")? {
            return Ok(target);
        }
        let error = match why {
            Copied::Refused(error) => explain("reading", self.path, &error),
            Copied::Failed(error) => error,
        };
        Err(unless_canceled(self.cancel, error))
    }

    fn check_space(&self) -> Result<(), EngineError> {
        let wal = fs::metadata(beside(self.path, "-wal")).map_or(0, |metadata| metadata.size());
        let needed = fs::metadata(self.path).map_err(|error| file("reading", self.path, error))?.size() + wal;
        self.counters.items_total.store(1, Ordering::Relaxed);
        self.counters.bytes_total.store(needed, Ordering::Relaxed);
        let volume = rustix::fs::statvfs(self.staging);
        let volume = volume.map_err(|error| file("looking at", self.staging, error.into()))?;
        let free = volume.f_bavail.saturating_mul(volume.f_frsize);
        if free >= needed {
            return Ok(());
        }
        Err(EngineError::Failed {
            action: format!("copying {} to {}", self.path.display(), self.staging.display()),
            cause: format!("the copy needs {} bytes and {} are free there", grouped(needed), grouped(free)),
            remedy: "free space on that volume, or put the data directory on a larger one".to_owned(),
        })
    }

    /// Copies the files themselves, and lets SQLite put them in order in the copy: replay the write-ahead log, or roll
    /// an interrupted transaction back. False where somebody wrote meanwhile, so that the copy is worth nothing.
    fn copy_files(&self, before: &Position, target: &Path, suffix: &str) -> Result<bool, EngineError> {
        // Within one tick of the clock a write could go unseen.
        if suffix == "-wal" && !before.is_settled() {
            return Ok(false);
        }
        self.copy_file(self.path, target)?;
        if beside(self.path, suffix).exists() {
            self.copy_file(&beside(self.path, suffix), &beside(target, suffix))?;
        }
        let after = Position::look(self.path, None).map_err(|error| file("reading", self.path, error))?;
        if !after.is_some_and(|after| before.is_alike(&after)) || beside(self.path, "-shm").exists() {
            for leftover in [target.to_owned(), beside(target, suffix)] {
                if leftover.exists() {
                    fs::remove_file(&leftover).map_err(|error| file("removing", &leftover, error))?;
                }
            }
            return Ok(false);
        }
        put_in_order(target, self.cancel)
            .map_err(|error| unless_canceled(self.cancel, explain("reading", self.path, &error)))?;
        Ok(true)
    }

    fn copy_file(&self, from: &Path, to: &Path) -> Result<(), EngineError> {
        let mut source = CarefulFile::open(from).map_err(|error| file("reading", from, error))?;
        let mut target = File::create(to).map_err(|error| file("writing", to, error))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            self.cancel.check()?;
            let length = source.read(&mut buffer).map_err(|error| file("reading", from, error))?;
            if length == 0 {
                return Ok(());
            }
            (self.pace)(length as u64)?;
            let block = buffer.get(..length).unwrap_or_default();
            target.write_all(block).map_err(|error| file("writing", to, error))?;
        }
    }

    /// Copies through SQLite, under its locks.
    fn copy_online(&self, target: &Path) -> Result<(), Copied> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut hold = Hold::default();
        hold.add(self.path);
        hold.add(&beside(self.path, "-shm"));
        let mut source = Connection::open_with_flags(self.path, flags)?;
        source.busy_timeout(LOCK_WAIT)?;
        interruptible(&mut source, self.cancel)?;
        let mode =
            self.with_lock(|| source.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0)))?;
        // Opening may have made it.
        hold.add(&beside(self.path, "-shm"));
        // A reader of a write-ahead database keeps its view while others write. Elsewhere it keeps them waiting, so
        // that is only done when they would not let the copy end otherwise.
        if mode != "wal" {
            if self.step_through(&source, &mut empty_copy(target)?, RESTARTS, true)? {
                return Ok(());
            }
            fs::remove_file(target).map_err(|error| file("removing", target, error))?;
        }
        let mut copy = empty_copy(target)?;
        self.with_lock(|| {
            source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").inspect_err(|_| {
                // Leave the transaction that began before the lock was refused.
                let _ = source.execute_batch("ROLLBACK");
            })
        })?;
        if self.step_through(&source, &mut copy, u32::MAX, mode == "wal")? {
            return Ok(());
        }
        Err(Copied::Failed(locked(self.path)))
    }

    /// Tries again while another program holds a lock; each try waits for it.
    fn with_lock<T>(&self, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T, Copied> {
        for _ in 0..LOCK_TRIES {
            self.cancel.check().map_err(EngineError::from)?;
            match attempt() {
                Err(error) if is_busy(&error) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(Copied::Failed(locked(self.path)))
    }

    /// Copies page by page; false where writers made it begin anew too often. It takes its time only where `paced`: not while
    /// writers wait for its end.
    fn step_through(
        &self,
        source: &Connection,
        copy: &mut Connection,
        restarts: u32,
        paced: bool,
    ) -> Result<bool, Copied> {
        let ask =
            |question: &str| self.with_lock(|| source.query_row(question, [], |row| row.get::<_, i32>(0)));
        let (page_bytes, mut ahead) = (ask("PRAGMA page_size")?, ask("PRAGMA page_count")?);
        let backup = Backup::new(source, copy)?;
        let (mut least_remaining, mut restarted, mut waited) = (i32::MAX, 0, 0);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        loop {
            self.cancel.check().map_err(EngineError::from)?;
            if paced {
                let bytes = i64::from(ahead.min(STEP_PAGES)) * i64::from(page_bytes);
                (self.pace)(u64::try_from(bytes).unwrap_or_default())?;
            }
            match backup.step(STEP_PAGES)? {
                StepResult::Done => return Ok(true),
                StepResult::More => {
                    let progress = backup.progress();
                    if progress.remaining >= least_remaining {
                        restarted += 1;
                        if restarted > restarts {
                            return Ok(false);
                        }
                    }
                    least_remaining = progress.remaining;
                    ahead = progress.remaining;
                    let done = i64::from(progress.pagecount - progress.remaining) * 100;
                    let percent = done / i64::from(progress.pagecount.max(1));
                    self.counters.set_current(&format!("copying {name}, {percent} %"));
                }
                // The step itself waited for the lock.
                _ => {
                    waited += 1;
                    if waited > LOCK_TRIES {
                        return Err(Copied::Failed(locked(self.path)));
                    }
                }
            }
        }
    }
}

/// Why an online copy did not come about.
enum Copied {
    Refused(rusqlite::Error),
    Failed(EngineError),
}

impl Copied {
    /// Says whether a crash may have left a transaction that only a writer can roll back.
    fn needs_a_writer(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
    }
}

impl From<EngineError> for Copied {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<rusqlite::Error> for Copied {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(error)
    }
}

/// Opens a new database to copy into. It is read only after the copy has ended well, so nothing protects it meanwhile.
fn empty_copy(target: &Path) -> rusqlite::Result<Connection> {
    let copy = Connection::open(target)?;
    copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
    Ok(copy)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Opens a private copy for writing, so that it takes in what lies beside it and stands alone.
fn put_in_order(copy: &Path, cancel: &Cancel) -> rusqlite::Result<()> {
    let mut connection = Connection::open(copy)?;
    interruptible(&mut connection, cancel)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
    connection.close().map_err(|(_, error)| error)
}

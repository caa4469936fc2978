//! Puts a database back in its place, whole or not at all.

use super::failure::file;
use super::header::{SUFFIXES, beside};
use super::inspect::{Depth, Hashing, inspect};
use crate::dump::only_file;
use crate::engine::{RestoreJob, RestoreReport};
use crate::error::EngineError;
use crate::sink::{BackupReader, ListedEntry};
use crate::temporary::Temporary;
use crate::words::plain;
use larder_model::{EngineKind, Metadata};
use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

pub(super) fn restore(job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
    let target = job.target.path(EngineKind::Sqlite)?;
    refuse_what_is_there(target, job.overwrite)?;
    let entry = only_file(backup)?;
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| file("making", parent, error))?;
    let temporary = Temporary::beside(target)?;
    let bytes = write(job, target, backup, &entry, &temporary)?;
    let found = inspect(&temporary.path, target, Depth::Indexes, job.cancel)?;
    let mut messages = found.remarks;
    messages.extend(set_metadata(&temporary.path, &entry.entry.metadata));
    let sync = |path: &Path| File::open(path).and_then(|opened| opened.sync_all());
    sync(&temporary.path).map_err(|error| file("writing", &temporary.path, error))?;
    job.cancel.check()?;
    put_in_place(target, job.overwrite, temporary)?;
    sync(parent).map_err(|error| file("writing", parent, error))?;
    Ok(RestoreReport { files: 1, bytes, messages })
}

/// A stray `-wal` or `-journal` counts as well: SQLite would take it for the restored database's own.
fn refuse_what_is_there(target: &Path, overwrite: bool) -> Result<(), EngineError> {
    if target.is_dir() {
        return Err(EngineError::Failed {
            action: format!("restoring to {}", target.display()),
            cause: "it is a directory".to_owned(),
            remedy: "name the file that the database is to become".to_owned(),
        });
    }
    let there = std::iter::once(target.to_owned())
        .chain(SUFFIXES.iter().map(|suffix| beside(target, suffix)))
        .find(|path| path.symlink_metadata().is_ok());
    match there {
        Some(path) if !overwrite => Err(EngineError::TargetNotEmpty { target: path.display().to_string() }),
        _ => Ok(()),
    }
}

fn write(
    job: &RestoreJob<'_>,
    target: &Path,
    backup: &dyn BackupReader,
    entry: &ListedEntry,
    temporary: &Temporary,
) -> Result<u64, EngineError> {
    let failed = |error| file("writing", &temporary.path, error);
    let mut copy = OpenOptions::new().write(true).open(&temporary.path).map_err(failed)?;
    let mut source = Hashing::like(job.report, backup.open(&entry.path)?, job.cancel);
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        job.cancel.check()?;
        let length = source.read(&mut buffer).map_err(|error| EngineError::Failed {
            action: "reading the backup".to_owned(),
            cause: error.to_string(),
            remedy: "check the repository, or restore from another destination".to_owned(),
        })?;
        if length == 0 {
            break;
        }
        copy.write_all(buffer.get(..length).unwrap_or_default()).map_err(failed)?;
        bytes += length as u64;
    }
    let sum = source.finish();
    if job.report.and_then(|report| sum.is_in(report)) == Some(false) {
        return Err(EngineError::Failed {
            action: format!("restoring {}", target.display()),
            cause: "the backup's bytes are not those that were backed up".to_owned(),
            remedy: "check the repository, and restore from another backup or destination".to_owned(),
        });
    }
    Ok(bytes)
}

fn set_metadata(path: &Path, metadata: &Metadata) -> Option<String> {
    let is_root = rustix::process::geteuid().is_root();
    let owned = if is_root { chown(path, Some(metadata.uid), Some(metadata.gid)) } else { Ok(()) };
    let moment =
        Timespec { tv_sec: metadata.modified.seconds, tv_nsec: metadata.modified.nanoseconds.into() };
    let times = Timestamps { last_access: moment, last_modification: moment };
    let set = owned
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(metadata.mode)))
        .and_then(|()| Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?));
    set.err()
        .map(|error| format!("the file could not be given its own mode, owner and time: {}", plain(error)))
}

/// Gives the restored file its name. What was there before is removed only after that, and is put back if it fails.
fn put_in_place(target: &Path, overwrite: bool, temporary: Temporary) -> Result<(), EngineError> {
    let failed = |error: io::Error| file("writing", target, error);
    if !overwrite {
        return match rename_new(&temporary.path, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(EngineError::TargetNotEmpty { target: target.display().to_string() })
            }
            Err(error) => Err(failed(error)),
        };
    }
    refuse_while_in_use(target)?;
    let mut aside = Vec::new();
    let moved =
        SUFFIXES.iter().map(|suffix| beside(target, suffix)).filter(|path| path.exists()).try_for_each(
            |path| {
                let away = beside(&temporary.path, &format!(".old-{}", aside.len()));
                fs::rename(&path, &away)?;
                aside.push((path, away));
                Ok(())
            },
        );
    if let Err(error) = moved.and_then(|()| fs::rename(&temporary.path, target)) {
        for (path, away) in aside {
            let _ = fs::rename(away, path);
        }
        return Err(failed(error));
    }
    aside.iter().try_for_each(|(_, away)| fs::remove_file(away)).map_err(failed)
}

/// A program that has the old database open would go on writing to it, and into the new one's log.
fn refuse_while_in_use(target: &Path) -> Result<(), EngineError> {
    if !target.exists() {
        return Ok(());
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let lock = rusqlite::Connection::open_with_flags(target, flags).and_then(|connection| {
        connection.busy_timeout(std::time::Duration::ZERO)?;
        // In this mode a write-ahead log, too, is locked against readers.
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK;")
    });
    match lock.map_err(|error| error.sqlite_error_code()) {
        Err(Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)) => {
            Err(EngineError::Failed {
                action: format!("overwriting {}", target.display()),
                cause: "another program has the database open".to_owned(),
                remedy: "end that program first, or restore to another file".to_owned(),
            })
        }
        // Whatever else is wrong with the old file is no reason not to replace it.
        _ => Ok(()),
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems know only this way.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        outcome => Ok(outcome?),
    }
}

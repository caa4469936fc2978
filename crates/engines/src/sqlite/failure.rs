//! What goes wrong with a SQLite file, in sentences.

use crate::error::EngineError;
use larder_model::{Cancel, Canceled};
use rusqlite::ErrorCode;
use std::io;
use std::path::Path;

/// Says an error of SQLite about a file.
pub(super) fn explain(action: &str, path: &Path, error: &rusqlite::Error) -> EngineError {
    let shown = path.display();
    let words = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return EngineError::Failed {
                action: format!("{action} {shown}"),
                cause: "it is not a SQLite database, or it is encrypted".to_owned(),
                remedy: "leave it out of the source, or back it up as a plain file".to_owned(),
            };
        }
        Some(ErrorCode::DatabaseCorrupt) => return damaged(path, &words),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return locked(path),
        Some(ErrorCode::DiskFull) => "free space on the volume of the data directory",
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "give the user that Larder runs as the right to read the file and its directory"
        }
        _ => "open the file with the program it belongs to, and see whether that can read it",
    };
    EngineError::Failed { action: format!("{action} {shown}"), cause: words, remedy: remedy.to_owned() }
}

/// Says that a database is damaged.
pub(super) fn damaged(path: &Path, what: &str) -> EngineError {
    EngineError::Failed {
        action: format!("checking {}", path.display()),
        cause: format!("the database is damaged ({what})"),
        remedy: "restore it from its last good backup, which stays".to_owned(),
    }
}

/// Says that another program does not let go of a database.
pub(super) fn locked(path: &Path) -> EngineError {
    EngineError::Failed {
        action: format!("reading {}", path.display()),
        cause: "another program keeps the database locked".to_owned(),
        remedy: "end that program's long transaction; the backup will be tried again".to_owned(),
    }
}

/// Says an error of the file system about a file.
pub(super) fn file(action: &str, path: &Path, error: io::Error) -> EngineError {
    if error.kind() == io::ErrorKind::NotFound {
        return EngineError::Missing {
            what: format!("the database {}", path.display()),
            remedy: "see whether its disk is mounted, or remove the source if it is gone for good".to_owned(),
        };
    }
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on that volume",
        io::ErrorKind::PermissionDenied => "give the user that Larder runs as the right to do that",
        _ => "see whether its disk is in order",
    };
    EngineError::Failed {
        action: format!("{action} {}", path.display()),
        cause: crate::words::plain(error),
        remedy: remedy.to_owned(),
    }
}

/// Turns an interruption that [`interruptible`] caused into the word for it.
pub(super) fn unless_canceled(cancel: &Cancel, error: EngineError) -> EngineError {
    if cancel.is_canceled() { Canceled.into() } else { error }
}

/// Makes every statement of a connection stop soon after the work is cancelled.
pub(super) fn interruptible(connection: &mut rusqlite::Connection, cancel: &Cancel) -> rusqlite::Result<()> {
    let cancel = cancel.clone();
    // So many steps of SQLite's virtual machine take a few milliseconds.
    connection.progress_handler(20_000, Some(move || cancel.is_canceled()))
}

//! What to do about what PostgreSQL's programs say.

use crate::error::EngineError;
use crate::tool::{ToolFailure, ToolTrouble};

/// Texts of the server and its programs, in the language that Larder asks for, and what helps.
const REMEDIES: [(&str, &str); 23] = [
    (
        "pg_read_all_settings",
        "run: larder source check SOURCE; it names each right that is missing, with the statement that grants it",
    ),
    (
        "replication role",
        "run: larder source check SOURCE; it names each right that is missing, with the statement that grants it",
    ),
    (
        "to use replication slots",
        "run: larder source check SOURCE; it names each right that is missing, with the statement that grants it",
    ),
    (
        "No space left on device",
        "free space on the server's volume and start again; what the restore had made there is removed, and all else is as it was",
    ),
    (
        "has already been removed",
        "make a full backup; a larger max_slot_wal_keep_size lets the server keep more of its log",
    ),
    (
        "all replication slots are in use",
        "drop a slot that nobody uses any more (pg_replication_slots), or raise max_replication_slots",
    ),
    (
        "password authentication failed",
        "correct the user or the password of the source, with: larder source change",
    ),
    (
        "no password supplied",
        "give the source a password, with: larder source change NAME --password-file FILE",
    ),
    ("peer authentication failed", "give the source the option OsUser, or let pg_hba.conf take a password"),
    ("no pg_hba.conf entry", "allow Larder's host and user in the server's pg_hba.conf"),
    ("row-level security", "let the user see every row: ALTER ROLE ... BYPASSRLS"),
    ("row security", "let the user see every row: ALTER ROLE ... BYPASSRLS"),
    (
        "permission denied",
        "run: larder source check SOURCE; it names each right that is missing, with the statement that grants it",
    ),
    ("must be owner", "restore as a superuser of the server"),
    ("must be superuser", "restore as a superuser of the server"),
    (
        "lock timeout",
        "find out who locks the table (pg_locks), or let the source wait longer with the option LockTimeout",
    ),
    (
        "statement timeout",
        "find out who locks the table (pg_locks), or let the source wait longer with the option LockTimeout",
    ),
    ("server version mismatch", "install a newer postgresql-client"),
    ("does not exist", "look whether it was dropped or renamed meanwhile, and search the source again"),
    ("is not available", "install what the extension needs on the server's host"),
    ("being accessed by other users", "let those who use the database disconnect, and start again"),
    ("could not connect", "check that the server runs and that its address is right"),
    (
        "connection to server",
        "check that the server runs, that its address is right, and that it stays reachable",
    ),
];

/// What helps otherwise.
const OTHERWISE: &str = "correct what it complains about and start again";

/// Turns a failed run into an error with a remedy that fits.
pub(super) fn explained(failure: ToolFailure, action: impl Into<String>) -> EngineError {
    let remedy = match &failure.trouble {
        ToolTrouble::Incomplete(_) => {
            "check that the program is PostgreSQL's own, and start the backup again"
        }
        ToolTrouble::Ended(status) if status.code().is_none() => {
            "find out who ended it (the kernel, for want of memory?), and start again"
        }
        _ => {
            let said = failure.said.as_str();
            let fits = REMEDIES.iter().find(|(text, _)| said.contains(text));
            fits.map_or(OTHERWISE, |(_, remedy)| remedy)
        }
    };
    failure.into_error(action, remedy)
}

/// Makes the error of an answer that is not what it should be.
pub(super) fn odd(action: impl Into<String>, cause: impl Into<String>) -> EngineError {
    EngineError::Failed {
        action: action.into(),
        cause: cause.into(),
        remedy: "check that the server is PostgreSQL 10 or newer".to_owned(),
    }
}

//! Whether a database is still what it was at its last backup.

use super::header::{Header, beside};
use crate::held::CarefulFile;
use crate::words::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file written less long ago than this before it was looked at could have been written again within the same tick
/// of the file system's clock (FAT's is the coarsest, with two seconds), so that its time proves nothing.
const SETTLED_SECONDS: i64 = 2;

/// A log longer than this is not read to see whether it changed; usual ones have 4 MB.
const LOG_BYTES: u64 = 256 << 20;
const TOO_LONG: &str = "too long";

/// What a database's files looked like before they were read; the next backup goes on from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Position {
    database: FileState,
    change_counter: u32,
    /// The hashes of the write-ahead log and of the rollback journal. Their times are no proof: when root opens them,
    /// SQLite gives them the owner of the database, and that alone sets their time of change.
    wal: Option<String>,
    journal: Option<String>,
    settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileState {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for FileState {
    fn from(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Position {
    /// Looks at a database's files; `None` where the file is no SQLite database.
    ///
    /// `now` is the file system's present moment in seconds, taken from a file just written: without it nothing is
    /// taken for settled.
    pub(super) fn look(path: &Path, now: Option<i64>) -> io::Result<Option<Self>> {
        let file = CarefulFile::open(path)?;
        let file = file.get()?;
        let Some(header) = Header::read(file)? else { return Ok(None) };
        let database = FileState::from(&file.metadata()?);
        Ok(Some(Self {
            database,
            change_counter: header.change_counter,
            wal: hash_of_log(&beside(path, "-wal"))?,
            journal: hash_of_log(&beside(path, "-journal"))?,
            settled: now.is_some_and(|now| now.saturating_sub(database.modified.0) > SETTLED_SECONDS),
        }))
    }

    /// Reads what [`Position::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Says whether it is proved that nothing was written between the two looks.
    pub(super) fn proves_unchanged(&self, now: &Self) -> bool {
        self.settled && self.is_alike(now)
    }

    /// Says whether nothing is seen to have been written between the two looks.
    pub(super) fn is_alike(&self, now: &Self) -> bool {
        let is_known = |hash: &Option<String>| hash.as_deref() != Some(TOO_LONG);
        is_known(&self.wal)
            && is_known(&self.journal)
            && Self { settled: self.settled, ..now.clone() } == *self
    }

    /// Says whether a crash or a transaction under way left a rollback journal.
    pub(super) const fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Says whether there is a write-ahead log with something in it.
    pub(super) const fn has_wal(&self) -> bool {
        self.wal.is_some()
    }

    /// Says whether nobody wrote lately and no log or journal waits to be worked in.
    pub(super) const fn rests(&self) -> bool {
        self.settled && !self.has_wal() && !self.has_journal()
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }
}

/// Returns the hash of a log; `None` where there is none, or an empty one.
fn hash_of_log(path: &Path) -> io::Result<Option<String>> {
    let mut log = match File::open(path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match log.metadata()?.len() {
        0 => return Ok(None),
        length if length > LOG_BYTES => return Ok(Some(TOO_LONG.to_owned())),
        _ => {}
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match log.read(&mut buffer)? {
            0 => return Ok(Some(hex(&hash.finalize()))),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

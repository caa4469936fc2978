//! Where engines write entries to, and where they get them back from.

use crate::error::SinkError;
use larder_model::Entry;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file, opened only when they are wanted: a file known to be unchanged is never opened.
pub trait Content: Send {
    /// Opens the bytes for reading from the beginning.
    ///
    /// # Errors
    /// The error of the file system; the file is then left out of the backup and named as unreadable.
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>>;

    /// Returns the path shown to people when the file cannot be read.
    fn display_path(&self) -> String;
}

/// Takes the entries of one backup, depth first.
///
/// Between [`Sink::enter`] and its [`Sink::leave`] come the entries of that directory, in any order; the root
/// directory is there from the start and is never entered. Calls may return before the bytes are stored; an
/// error of the destination comes back from a later call.
pub trait Sink {
    /// Goes down into a directory.
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError>;

    /// Goes down into a directory that goes on from one of another name in the previous backup: what [`Sink::carry`] takes over
    /// in it is looked for there. Where a sink cannot do that, nothing in it can be carried.
    fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), SinkError> {
        let _ = before;
        self.enter(directory)
    }

    /// Comes back up from the directory entered last.
    fn leave(&mut self) -> Result<(), SinkError>;

    /// Adds a file of a tree. It may be read later, on another thread, or not at all where the previous backup
    /// shows it unchanged. A file that cannot be read is noted and left out; the backup is then incomplete.
    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError>;

    /// Adds a stream, read to its end before this returns. A read error fails the whole backup: half a dump is
    /// no backup. Returns the number of bytes read.
    ///
    /// `page_bytes` is the page size of a database file, so that chunks can follow pages; `None` for the rest.
    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError>;

    /// Adds a stream of which only its end tells whether it is what it should be: where reading fails and `is_void` then says so,
    /// nothing is added, `None` comes back, and the backup goes on. A sink that cannot take back what it began reads nothing, and
    /// says the same.
    fn stream_unless(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        is_void: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, SinkError> {
        let _ = (entry, bytes, page_bytes, is_void);
        Ok(None)
    }

    /// Takes over the entry of this name in the current directory, with all that is below it, from the backup that an
    /// incremental goes on from; nothing of it is read. Says whether there is one.
    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError>;

    /// Takes over the file of this entry's name in the current directory as [`Sink::carry`] does, with the metadata that it has
    /// there, where size, times and inode are the entry's. Says whether it did; what was not taken over is to be read.
    fn carry_same(&mut self, entry: &Entry) -> Result<bool, SinkError> {
        let _ = entry;
        Ok(false)
    }

    /// Waits until so many bytes of the source may be read, where reading is limited: for those who copy before they hand on. What
    /// [`Sink::file`] and [`Sink::stream`] read waits by itself.
    fn about_to_read(&mut self, bytes: u64) -> Result<(), SinkError> {
        let _ = bytes;
        Ok(())
    }

    /// Adds a link, device, pipe or socket.
    fn special(&mut self, entry: Entry) -> Result<(), SinkError>;

    /// Waits until every file that was added is read; nothing may be added afterwards. For those who must know that the source is
    /// no longer needed.
    fn settle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Notes that something could not be read; the backup is kept, marked incomplete, and never counts as good.
    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError>;
}

/// One entry of a backup that is being read back.
#[derive(Clone, Debug)]
pub struct ListedEntry {
    /// The path from the root of the backup, parts separated by `/`, without a leading one.
    pub path: Vec<u8>,
    /// The entry itself.
    pub entry: Entry,
}

/// What a bulk restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtractReport {
    /// Files written or found identical.
    pub files: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes found already in place.
    pub bytes_kept: u64,
    /// Entries that could not be restored in full, with the cause: metadata that this user may not set, say.
    pub warnings: Vec<String>,
}

/// Gives back the entries of one backup.
pub trait BackupReader {
    /// Calls `visit` with every entry, each directory before what is in it.
    fn for_each(&self, visit: &mut dyn FnMut(&ListedEntry) -> Result<(), SinkError>)
    -> Result<(), SinkError>;

    /// Opens one file of the backup; every byte it gives was checked against its hash.
    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send + '_>, SinkError>;

    /// Writes the whole backup below a directory, in parallel, with metadata.
    ///
    /// The directory is made where it does not exist. With `overwrite` false a non-empty directory is refused by
    /// the engine before this is called.
    fn extract(&self, target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError>;

    /// Writes what is in one directory of the backup right below a directory, in the same way. The path is that of
    /// [`ListedEntry::path`].
    fn extract_below(&self, path: &[u8], target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError>;
}

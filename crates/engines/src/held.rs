//! Keeps the locks of an open SQLite database from being lost.
//!
//! SQLite locks with POSIX advisory locks, and a process loses all of those it has on a file as soon as it closes *any*
//! descriptor of that file ("How To Corrupt An SQLite Database File", section 2.2, on sqlite.org). Larder reads trees
//! and looks for databases on other threads while it copies a database, so it puts off closing such files until the
//! database is let go.

use rustix::fs::Stat;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A file by its device and inode numbers.
type FileId = (u64, u64);

#[derive(Debug, Default)]
struct Holding {
    holders: usize,
    /// Descriptors whose closing is put off.
    waiting: Vec<File>,
}

static HELD: LazyLock<Mutex<HashMap<FileId, Holding>>> = LazyLock::new(Mutex::default);

fn held() -> std::sync::MutexGuard<'static, HashMap<FileId, Holding>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id(stat: &Stat) -> FileId {
    (stat.st_dev, stat.st_ino)
}

/// As long as this lives, nothing in this process that goes through [`CarefulFile`] closes the files it names.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    files: Vec<FileId>,
}

impl Hold {
    /// Begins with a file that SQLite is about to open; one that is not there is passed over.
    pub(crate) fn add(&mut self, path: &Path) {
        if let Ok(stat) = rustix::fs::stat(path)
            && !self.files.contains(&id(&stat))
        {
            held().entry(id(&stat)).or_default().holders += 1;
            self.files.push(id(&stat));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = held();
        for file in &self.files {
            let Some(holding) = held.get_mut(file) else { continue };
            holding.holders -= 1;
            if holding.holders == 0 {
                held.remove(file);
            }
        }
    }
}

/// Not to keep in the page cache what was not in it before: `RWF_DONTCACHE` (Linux 6.14, `include/uapi/linux/fs.h`).
///
/// A backup reads each file once. What the machine's own programs have in the page cache stays there and is read from
/// there; the rest would only push it out, and to fill pages of memory anew costs far more than to use the same few again.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
/// What [`preadv2`] takes for the file's own position.
const HERE: u64 = u64::MAX;

/// A file open for reading that is not closed while a [`Hold`] is on it.
#[derive(Debug)]
pub(crate) struct CarefulFile {
    /// Always there until it is dropped.
    file: Option<File>,
    /// Whether the kernel or the file system refused [`DONT_CACHE`].
    through_cache: bool,
}

impl CarefulFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(File::open(path)?.into())
    }

    /// Opens a file that others are about to read as well: what one has read, the next finds in memory.
    pub(crate) fn open_shared(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Some(File::open(path)?), through_cache: true })
    }

    pub(crate) fn get(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl From<File> for CarefulFile {
    fn from(file: File) -> Self {
        Self { file: Some(file), through_cache: false }
    }
}

impl Read for CarefulFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.through_cache {
            match preadv2(self.get()?, &mut [IoSliceMut::new(buffer)], HERE, DONT_CACHE) {
                Ok(bytes) => return Ok(bytes),
                Err(Errno::INTR) => return Err(io::ErrorKind::Interrupted.into()),
                // Whatever else it is: the usual way knows better, or gives the same error.
                Err(_) => self.through_cache = true,
            }
        }
        self.get()?.read(buffer)
    }
}

impl Drop for CarefulFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        let mut held = held();
        // Nobody holds anything most of the time; then not even the inode is looked up.
        if held.is_empty() {
            return;
        }
        if let Ok(stat) = rustix::fs::fstat(&file)
            && let Some(holding) = held.get_mut(&id(&stat))
        {
            holding.waiting.push(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_its_position_whether_the_kernel_knows_the_flag_or_not() {
        let path = std::env::current_exe().unwrap();
        let expected = std::fs::read(&path).unwrap();
        for through_cache in [false, true] {
            let mut file = CarefulFile::open(&path).unwrap();
            file.through_cache = through_cache;
            let (mut first, mut rest) = (vec![0; 10_001], Vec::new());
            file.read_exact(&mut first).unwrap();
            file.read_to_end(&mut rest).unwrap();
            assert!([first, rest].concat() == expected);
        }
    }

    #[test]
    fn a_held_file_is_closed_only_when_the_last_hold_ends() {
        let path = std::env::current_exe().unwrap();
        let stat = rustix::fs::stat(&path).unwrap();
        let waiting = || held().get(&id(&stat)).map(|holding| holding.waiting.len());
        let (mut first, mut second) = (Hold::default(), Hold::default());
        first.add(&path);
        first.add(&path);
        second.add(&path);
        drop(CarefulFile::open(&path).unwrap());
        assert_eq!(waiting(), Some(1));
        drop(first);
        assert_eq!(waiting(), Some(1));
        drop(second);
        assert_eq!(waiting(), None);
        drop(CarefulFile::open(&path).unwrap());
        assert_eq!(waiting(), None);
    }
}

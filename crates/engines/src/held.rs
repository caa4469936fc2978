//! Keeps the locks of an open SQLite database from being lost.
//!
//! SQLite locks with POSIX advisory locks, and a process loses all of those it has on a file as soon as it closes *any*
//! descriptor of that file ("How To Corrupt An SQLite Database File", section 2.2, on sqlite.org). Larder reads trees
//! and looks for databases on other threads while it copies a database, so it puts off closing such files until the
//! database is let go.

use rustix::fs::Stat;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
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

/// A file open for reading that is not closed while a [`Hold`] is on it.
#[derive(Debug)]
pub(crate) struct CarefulFile {
    /// Always there until it is dropped.
    file: Option<File>,
}

impl CarefulFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(File::open(path)?.into())
    }

    pub(crate) fn get(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl From<File> for CarefulFile {
    fn from(file: File) -> Self {
        Self { file: Some(file) }
    }
}

impl Read for CarefulFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

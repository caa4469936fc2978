//! One file of a restore, from its first byte to its name.
//!
//! A file has its right name only when it is complete. Until then it is called `<name>.larder-partial`; one that stays
//! incomplete keeps that name, and a later restore goes on from it. A new file of one chunk is written at once and has no
//! name at all before, where the file system permits that.

use super::metadata::{Before, apply, words};
use super::place::{DirectoryNumber, Place, give_name, make_unnamed};
use super::report::Report;
use super::uncached::write_all_at;
use crate::id::Id;
use larder_model::{Counters, Entry};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What unfinished files are called.
const SUFFIX: &[u8] = b".larder-partial";
/// The longest name that file systems take, in bytes (`NAME_MAX`).
const MOST_NAME_BYTES: usize = 255;
/// Unfinished files that are kept open.
const MOST_OPEN: usize = 128;

/// What a file is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing: a new file is made.
    Nothing,
    /// The unfinished file of an earlier restore, or an existing file that was given that name to be changed.
    Partial,
    /// An existing file that has the right bytes already.
    Complete,
}

#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) directory: DirectoryNumber,
    pub(super) entry: Entry,
    pub(super) content: Vec<Id>,
    /// The size in bytes, as its chunks add up.
    pub(super) size: u64,
    /// Chunks that are still to be written.
    pub(super) remaining: AtomicU32,
    pub(super) state: Mutex<FileState>,
}

#[derive(Debug)]
pub(super) struct FileState {
    pub(super) base: Base,
    pub(super) failure: Option<String>,
    open: Option<Arc<File>>,
    begun: bool,
    /// Whether it was begun without any name.
    unnamed: bool,
}

impl FileState {
    pub(super) const fn new(failure: Option<String>) -> Self {
        Self { base: Base::Nothing, failure, open: None, begun: false, unnamed: false }
    }
}

/// What all files of a restore share.
#[derive(Debug)]
pub(super) struct Files<'a> {
    pub(super) place: &'a Place,
    pub(super) report: &'a Report,
    pub(super) counters: &'a Counters,
    open: AtomicUsize,
}

/// Returns the name that a file has until it is complete.
pub(super) fn partial_name(name: &[u8]) -> Vec<u8> {
    if name.len() + SUFFIX.len() <= MOST_NAME_BYTES {
        return [name, SUFFIX].concat();
    }
    let mut short = Id::of(name).to_hex().into_bytes();
    short.extend_from_slice(SUFFIX);
    short
}

fn is_plain(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
}

impl<'a> Files<'a> {
    pub(super) const fn new(place: &'a Place, report: &'a Report, counters: &'a Counters) -> Self {
        Self { place, report, counters, open: AtomicUsize::new(0) }
    }

    fn state<'f>(file: &'f PlannedFile) -> MutexGuard<'f, FileState> {
        file.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, file: &PlannedFile) -> String {
        self.place.path(file.directory, &file.entry.name)
    }

    /// Looks for something that the file can be built on. Returns it open for reading, and whether it still has its right name.
    pub(super) fn find_base(&self, file: &PlannedFile) -> Option<(File, Stat, bool)> {
        let directory = self.place.directory(file.directory).ok()?;
        let open = |name: &[u8]| {
            let found = rustix::fs::statat(&*directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let usable = is_plain(&found);
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = usable.then(|| rustix::fs::openat(&*directory, name, flags, Mode::empty()))?.ok()?;
            Some((File::from(opened), found))
        };
        let partial = open(&partial_name(&file.entry.name)).map(|(opened, found)| (opened, found, false));
        partial.or_else(|| open(&file.entry.name).map(|(opened, found)| (opened, found, true)))
    }

    /// Takes an existing file to build on; `named` says that it has its right name, which it then loses.
    pub(super) fn take_base(&self, file: &PlannedFile, named: bool) -> Result<(), Errno> {
        if named {
            let directory = self.place.directory(file.directory)?;
            let partial = partial_name(&file.entry.name);
            rustix::fs::renameat(&*directory, &*file.entry.name, &*directory, &*partial)?;
        }
        Self::state(file).base = Base::Partial;
        Ok(())
    }

    fn open_new(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR);
        match open() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
                open()
            }
            opened => opened,
        }
    }

    fn open_again(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(directory, name, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
                rustix::fs::openat(directory, name, flags, Mode::empty())
            }
            opened => opened,
        }
    }

    /// Returns the file open for writing; begins it where this is the first time.
    fn open(&self, file: &PlannedFile, state: &mut FileState) -> Result<Arc<File>, Errno> {
        if let Some(open) = &state.open {
            return Ok(open.clone());
        }
        let directory = self.place.directory(file.directory)?;
        let new = !state.begun && state.base == Base::Nothing;
        if new && file.content.len() <= 1 && self.place.takes_unnamed() {
            let opened = make_unnamed(&directory, Mode::from_raw_mode(file.entry.metadata.mode))?;
            (state.begun, state.unnamed) = (true, true);
            return Ok(Arc::new(File::from(opened)));
        }
        let name = partial_name(&file.entry.name);
        let opened =
            if new { Self::open_new(&directory, &name) } else { Self::open_again(&directory, &name) };
        let opened = Arc::new(File::from(opened?));
        if !state.begun && (!new || file.content.len() > 1) {
            rustix::fs::ftruncate(&*opened, file.size)?;
        }
        state.begun = true;
        if file.content.len() > 1 && self.open.fetch_add(1, Ordering::AcqRel) < MOST_OPEN {
            state.open = Some(opened.clone());
        } else if file.content.len() > 1 {
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(opened)
    }

    /// Writes a chunk whose hash was checked, and finishes the file where it was the last one.
    ///
    /// # Errors
    /// Only where no other file could be written either: the disk is full.
    pub(super) fn write(
        &self,
        file: &PlannedFile,
        offset: u64,
        chunk: &[u8],
        zeros: bool,
    ) -> Result<(), Errno> {
        let bytes = chunk.len() as u64;
        let mut state = Self::state(file);
        let opened = self.open(file, &mut state);
        let hole = zeros && state.base == Base::Nothing;
        drop(state);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.fail_if(file, Err(error))?;
                return self.done(file, 1, None);
            }
        };
        if hole {
            if file.content.len() == 1 {
                self.fail_if(file, rustix::fs::ftruncate(&*opened, file.size))?;
            }
            self.report.skipped(self.counters, bytes);
        } else {
            let written = write_all_at(&opened, chunk, offset);
            let errno =
                |error: std::io::Error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
            self.fail_if(file, written.map_err(errno))?;
            self.report.wrote(self.counters, bytes);
        }
        self.done(file, 1, Some(opened))
    }

    fn fail_if(&self, file: &PlannedFile, outcome: Result<(), Errno>) -> Result<(), Errno> {
        if let Err(error) = outcome {
            Self::state(file).failure.get_or_insert_with(|| words(error));
            if matches!(error, Errno::NOSPC | Errno::DQUOT) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Notes that a chunk cannot be had.
    pub(super) fn fail(&self, file: &PlannedFile, cause: &str) -> Result<(), Errno> {
        Self::state(file).failure.get_or_insert_with(|| cause.to_owned());
        self.done(file, 1, None)
    }

    /// Counts chunks that are dealt with; with the last one the file is finished.
    pub(super) fn done(
        &self,
        file: &PlannedFile,
        chunks: u32,
        opened: Option<Arc<File>>,
    ) -> Result<(), Errno> {
        if chunks > 0 && file.remaining.fetch_sub(chunks, Ordering::AcqRel) != chunks {
            return Ok(());
        }
        self.finish(file, opened)
    }

    /// Gives a complete file its metadata and name.
    pub(super) fn finish(&self, file: &PlannedFile, opened: Option<Arc<File>>) -> Result<(), Errno> {
        let mut state = Self::state(file);
        let path = || self.path(file);
        if let Some(cause) = state.failure.take() {
            let partial = (state.begun && !state.unnamed) || state.base == Base::Partial;
            let partial = partial.then(|| self.place.path(file.directory, &partial_name(&file.entry.name)));
            self.report.fail(path(), cause, partial);
        } else {
            let named = self.complete(file, &mut state, opened);
            match named {
                Ok(()) => self.report.file(self.counters, state.base == Base::Complete),
                Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Err(error),
                Err(error) => self.report.fail(path(), words(error), None),
            }
        }
        if state.open.take().is_some() {
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(())
    }

    fn complete(
        &self,
        file: &PlannedFile,
        state: &mut FileState,
        opened: Option<Arc<File>>,
    ) -> Result<(), Errno> {
        let directory = self.place.directory(file.directory)?;
        let path = || self.path(file);
        if state.base == Base::Complete {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = rustix::fs::openat(&*directory, &*file.entry.name, flags, Mode::empty())?;
            apply(&opened, &file.entry.metadata, Before::Existing, self.report, &path);
            return Ok(());
        }
        let opened = match opened {
            Some(opened) => opened,
            None => self.open(file, state)?,
        };
        let before = match state.base {
            Base::Nothing if state.unnamed => Before::Unnamed,
            Base::Nothing => Before::New,
            _ => Before::Existing,
        };
        apply(&*opened, &file.entry.metadata, before, self.report, &path);
        if state.unnamed {
            return give_name(&*opened, &directory, &file.entry.name);
        }
        let partial = partial_name(&file.entry.name);
        rustix::fs::renameat(&*directory, &*partial, &*directory, &*file.entry.name)
    }
}

//! Goes through a directory tree in a fixed order, relative to open directories, and leaves out what is to be left out.

mod listing;
mod mounts;
mod rules;
mod sieve;

pub(crate) use mounts::CLOUD_MOUNTS;
pub(crate) use rules::{LeftOut, patterns};
pub(crate) use sieve::{Sieve, below};

use crate::error::EngineError;
use crate::words::plain;
use larder_model::{Cancel, Source};
use listing::Listing;
use rules::{Rules, Verdict};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many directories are held open at once; deeper ones are opened again on the way back.
const OPEN_DIRECTORIES: usize = 200;

/// Where the walk is: one name in an open directory.
pub(crate) struct Place<'a> {
    /// The directory that holds the entry.
    pub(crate) directory: BorrowedFd<'a>,
    /// The entry's name.
    pub(crate) name: &'a CStr,
    /// The entry's whole path.
    pub(crate) path: &'a [u8],
}

impl Place<'_> {
    pub(crate) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path))
    }
}

/// Is told what a walk finds.
pub(crate) trait Visitor {
    /// A directory; what is in it follows, then [`Visitor::leave`].
    fn enter(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError>;
    /// The end of the directory entered last.
    fn leave(&mut self) -> Result<(), EngineError>;
    /// Anything but a directory.
    fn other(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError>;
    /// Something that could not be looked at or listed.
    fn unreadable(&mut self, path: &Path, cause: Errno) -> Result<(), EngineError>;
}

/// The path of a tree, and what is not to be walked into.
pub(crate) struct Walk<'a> {
    pub(crate) root: &'a Path,
    pub(crate) source: &'a Source,
    pub(crate) own_directories: &'a [PathBuf],
    pub(crate) cancel: &'a Cancel,
}

struct Frame {
    /// `None` while too many directories are open.
    directory: Option<OwnedFd>,
    names: Listing,
    path_length: usize,
    /// The directory's device and inode.
    id: (u64, u64),
}

impl Frame {
    /// Opens this directory again by way of one in it; not where that was moved elsewhere meanwhile.
    fn reopen_from(&mut self, child: &Self) {
        if self.directory.is_none()
            && let Some(child) = &child.directory
            && let Ok(parent) = open_directory(child.as_fd(), c"..")
            && rustix::fs::fstat(&parent).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == self.id)
        {
            self.directory = Some(parent);
        }
    }
}

impl Walk<'_> {
    /// Opens the root, which a person named, so that links are followed.
    fn open_root(&self) -> Result<(OwnedFd, Stat), EngineError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(self.root, flags, Mode::empty())
            .and_then(|root| rustix::fs::fstat(&root).map(|stat| (root, stat)))
            .map_err(|error| unusable(self.root, error))
    }

    /// Walks the whole tree, sorted by the bytes of the names.
    ///
    /// # Errors
    /// The visitor's; a root that is missing, unreadable, or no longer the same directory at the end.
    pub(crate) fn run(&self, visitor: &mut dyn Visitor) -> Result<LeftOut, EngineError> {
        let (root, root_stat) = self.open_root()?;
        let mut rules = Rules::new(self, &root_stat)?;
        let names = Listing::read(&root).map_err(|error| unusable(self.root, error))?;
        let mut path = self.root.as_os_str().as_bytes().to_vec();
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        let root_length = if path == b"/" { 0 } else { path.len() };
        let id = (root_stat.st_dev, root_stat.st_ino);
        let mut frames = vec![Frame { directory: Some(root), names, path_length: root_length, id }];
        let mut name = Vec::new();
        while let Some(frame) = frames.last_mut() {
            self.cancel.check()?;
            path.truncate(frame.path_length);
            if !frame.names.next(&mut name) {
                let child = frames.pop();
                if let Some((child, parent)) = child.zip(frames.last_mut()) {
                    visitor.leave()?;
                    parent.reopen_from(&child);
                }
                continue;
            }
            let Ok(name) = CStr::from_bytes_with_nul(&name) else { continue };
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            if let Some(child) = step(&mut frames, name, &path, root_length, &mut rules, visitor)? {
                frames.push(child);
                close_far_above(&mut frames);
            }
        }
        self.check_root_stayed(&root_stat)?;
        Ok(rules.left_out())
    }

    /// A disk that goes away while it is walked must not look like a tree that became small.
    fn check_root_stayed(&self, before: &Stat) -> Result<(), EngineError> {
        let now = rustix::fs::stat(self.root).map_err(|error| unusable(self.root, error))?;
        if (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino) {
            return Ok(());
        }
        Err(EngineError::Failed {
            action: format!("reading {}", self.root.display()),
            cause: "it was replaced by another directory meanwhile".to_owned(),
            remedy: "see whether its disk is still mounted, and start the backup again".to_owned(),
        })
    }
}

/// Looks at one name, tells the visitor, and returns a directory to go down into.
fn step(
    frames: &mut [Frame],
    name: &CStr,
    path: &[u8],
    root_length: usize,
    rules: &mut Rules,
    visitor: &mut dyn Visitor,
) -> Result<Option<Frame>, EngineError> {
    let shown = Path::new(OsStr::from_bytes(path));
    let directory = match opened(frames, path, root_length) {
        Ok(directory) => directory,
        Err(error) => return visitor.unreadable(shown, error).map(|()| None),
    };
    let relative = path.get(root_length + 1..).unwrap_or_default();
    // Before it is looked at: where the other side is gone, already that may never end.
    if rules.is_mounted_elsewhere(relative) {
        return Ok(None);
    }
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => {
            rules.note_vanished();
            return Ok(None);
        }
        Err(error) => return visitor.unreadable(shown, error).map(|()| None),
    };
    let verdict = rules.judge(relative, name.to_bytes(), &stat);
    let place = Place { directory, name, path };
    match verdict {
        Verdict::LeaveOut => Ok(None),
        Verdict::Take if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
            visitor.other(&place, &stat).map(|()| None)
        }
        Verdict::TakeEmpty => {
            visitor.enter(&place, &stat)?;
            visitor.leave().map(|()| None)
        }
        Verdict::Take => descend(&place, &stat, relative, rules, visitor),
    }
}

fn descend(
    place: &Place<'_>,
    stat: &Stat,
    relative: &[u8],
    rules: &mut Rules,
    visitor: &mut dyn Visitor,
) -> Result<Option<Frame>, EngineError> {
    visitor.enter(place, stat)?;
    let listed = open_directory(place.directory, place.name)
        .and_then(|directory| Listing::read(&directory).map(|names| (directory, names)));
    match listed {
        Ok((directory, mut names)) => {
            rules.judge_listing(relative, directory.as_fd(), &mut names);
            let id = (stat.st_dev, stat.st_ino);
            Ok(Some(Frame { directory: Some(directory), names, path_length: place.path.len(), id }))
        }
        Err(error) => {
            if error == Errno::NOENT {
                rules.note_vanished();
            } else {
                visitor.unreadable(place.path(), error)?;
            }
            visitor.leave().map(|()| None)
        }
    }
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Returns the open directory of the last frame; opens it again, name by name, where it was closed on the way down.
fn opened<'a>(frames: &'a mut [Frame], path: &[u8], root_length: usize) -> Result<BorrowedFd<'a>, Errno> {
    let Some((last, above)) = frames.split_last_mut() else { return Err(Errno::NOENT) };
    if last.directory.is_none() {
        let root = above.first().and_then(|root| root.directory.as_ref()).ok_or(Errno::NOENT)?;
        let names = path.get(root_length + 1..last.path_length).unwrap_or_default();
        let mut directory = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
        for name in names.split(|byte| *byte == b'/') {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        }
        last.directory = Some(directory);
    }
    last.directory.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
}

fn close_far_above(frames: &mut [Frame]) {
    let far = frames.len().saturating_sub(OPEN_DIRECTORIES);
    if far > 0
        && let Some(frame) = frames.get_mut(far)
    {
        frame.directory = None;
    }
}

/// Says why a directory that was named cannot be read; one that is missing is told apart.
pub(crate) fn unusable(path: &Path, error: impl Into<io::Error>) -> EngineError {
    let what = format!("the directory {}", path.display());
    let error = error.into();
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            "see whether its disk is mounted, or remove the source if it is gone for good"
        }
        io::ErrorKind::NotADirectory => "name the directory that holds the files",
        _ => "give the user that Larder runs as the right to read it",
    };
    let remedy = remedy.to_owned();
    if error.kind() == io::ErrorKind::NotFound {
        return EngineError::Missing { what, remedy };
    }
    EngineError::Failed { action: format!("reading {what}"), cause: plain(error), remedy }
}

//! The target of a restore: directories are reached from its root name by name, and no link is ever followed.

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Directories that are kept open.
const MOST_OPEN: usize = 192;
const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory of the restore, by its number; 0 is the target itself.
pub(super) type DirectoryNumber = u32;

/// The directories below the target.
#[derive(Debug)]
pub(super) struct Place {
    root: Arc<OwnedFd>,
    overwrite: bool,
    unnamed: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    directories: Vec<(DirectoryNumber, Box<[u8]>)>,
    open: HashMap<DirectoryNumber, Arc<OwnedFd>>,
}

impl Place {
    /// Opens the target, which exists.
    pub(super) fn open(target: &Path, overwrite: bool) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Arc::new(rustix::fs::openat(CWD, target, flags, Mode::empty())?);
        let state = State { directories: vec![(0, Box::default())], open: HashMap::new() };
        let unnamed = !overwrite && takes_unnamed(&root);
        Ok(Self { root, overwrite, unnamed, state: Mutex::new(state) })
    }

    /// Says whether new files may be made without a name here, and be given one later with [`give_name`].
    pub(super) const fn takes_unnamed(&self) -> bool {
        self.unnamed
    }

    pub(super) const fn overwrites(&self) -> bool {
        self.overwrite
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a directory, or takes one that is there where that is allowed; what else is in the way is replaced.
    pub(super) fn add(&self, parent: DirectoryNumber, name: &[u8]) -> rustix::io::Result<DirectoryNumber> {
        let above = self.directory(parent)?;
        let mode = Mode::RWXU;
        match rustix::fs::mkdirat(&above, name, mode) {
            Err(Errno::EXIST) if self.overwrite => {
                match rustix::fs::openat(&above, name, OPEN_DIRECTORY, Mode::empty()) {
                    Ok(existing) => {
                        // Its owner may have barred himself; the end of the restore sets the mode anyway.
                        let _ = rustix::fs::fchmod(&existing, mode);
                    }
                    Err(Errno::NOTDIR | Errno::LOOP) => {
                        rustix::fs::unlinkat(&above, name, AtFlags::empty())?;
                        rustix::fs::mkdirat(&above, name, mode)?;
                    }
                    Err(error) => return Err(error),
                }
            }
            outcome => outcome?,
        }
        let mut state = self.state();
        state.directories.push((parent, name.into()));
        Ok(u32::try_from(state.directories.len() - 1).unwrap_or(u32::MAX))
    }

    /// Opens a directory of the restore.
    pub(super) fn directory(&self, number: DirectoryNumber) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut state = self.state();
        let mut way = Vec::new();
        let mut at = number;
        let mut found = loop {
            if at == 0 {
                break self.root.clone();
            }
            if let Some(open) = state.open.get(&at) {
                break open.clone();
            }
            way.push(at);
            at = state.directories.get(at as usize).map_or(0, |(parent, _)| *parent);
        };
        for number in way.into_iter().rev() {
            let Some((_, name)) = state.directories.get(number as usize) else { return Err(Errno::NOENT) };
            found = Arc::new(rustix::fs::openat(found.as_fd(), &**name, OPEN_DIRECTORY, Mode::empty())?);
            if state.open.len() >= MOST_OPEN {
                state.open.clear();
            }
            state.open.insert(number, found.clone());
        }
        Ok(found)
    }

    /// Returns the path of a name in a directory, below the target, for messages.
    pub(super) fn path(&self, directory: DirectoryNumber, name: &[u8]) -> String {
        let state = self.state();
        let mut parts = vec![String::from_utf8_lossy(name).into_owned()];
        let mut at = directory;
        while at != 0 {
            let Some((parent, name)) = state.directories.get(at as usize) else { break };
            parts.push(String::from_utf8_lossy(name).into_owned());
            at = *parent;
        }
        parts.reverse();
        parts.join("/")
    }

    /// Removes what has a name in a directory, where that may be overwritten and is no directory.
    pub(super) fn make_way(&self, directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
        if !self.overwrite {
            return Ok(());
        }
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome,
        }
    }
}

/// Makes a file that has no name yet, open for reading and writing.
pub(super) fn make_unnamed(directory: &OwnedFd, mode: Mode) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode)
}

/// Gives such a file its name, as open(2) describes it; never in place of something else.
pub(super) fn give_name(file: impl AsFd, directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    rustix::fs::linkat(CWD, open, directory, name, AtFlags::SYMLINK_FOLLOW)
}

/// Tries it once: some file systems have no unnamed files, and where `/proc` is missing none could be named.
fn takes_unnamed(root: &OwnedFd) -> bool {
    const TRIAL: &[u8] = b".larder-partial";
    let named = make_unnamed(root, Mode::RUSR | Mode::WUSR).and_then(|made| give_name(made, root, TRIAL));
    named.is_ok() && rustix::fs::unlinkat(root, TRIAL, AtFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

    #[test]
    fn a_link_under_the_name_of_a_directory_leads_nowhere() {
        let (target, outside) = (TempDir::new(), TempDir::new());
        let link = || std::os::unix::fs::symlink(outside.path(), target.join("x"));
        link().unwrap();
        let place = Place::open(target.path(), false).unwrap();
        assert_eq!(place.add(0, b"x").unwrap_err(), Errno::EXIST);
        let place = Place::open(target.path(), true).unwrap();
        let number = place.add(0, b"x").unwrap();
        assert!(!target.join("x").is_symlink());
        // Somebody puts a link there while the restore runs, and the directory is not open any more.
        std::fs::remove_dir(target.join("x")).unwrap();
        link().unwrap();
        assert!(place.directory(number).is_err());
        assert_eq!(place.path(number, b"f"), "x/f");
    }

    #[test]
    fn a_file_is_never_taken_for_a_directory() {
        let target = TempDir::new();
        std::fs::write(target.join("x"), "mine").unwrap();
        assert_eq!(Place::open(target.path(), false).unwrap().add(0, b"x").unwrap_err(), Errno::EXIST);
        Place::open(target.path(), true).unwrap().add(0, b"x").unwrap();
        assert!(target.join("x").is_dir());
    }

    #[test]
    fn an_unnamed_file_gets_a_name_that_nothing_else_has() {
        let target = TempDir::new();
        let place = Place::open(target.path(), false).unwrap();
        if !place.takes_unnamed() {
            return;
        }
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "the trial leaves nothing behind");
        std::fs::write(target.join("taken"), "mine").unwrap();
        let directory = place.directory(0).unwrap();
        let made = make_unnamed(&directory, Mode::RUSR | Mode::WUSR).unwrap();
        rustix::io::write(&made, b"new").unwrap();
        assert_eq!(give_name(&made, &directory, b"taken"), Err(Errno::EXIST));
        give_name(&made, &directory, b"f").unwrap();
        assert_eq!(std::fs::read(target.join("taken")).unwrap(), b"mine");
        assert_eq!(std::fs::read(target.join("f")).unwrap(), b"new");
    }
}

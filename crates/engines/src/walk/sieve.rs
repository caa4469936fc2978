//! The rules of a walk for single paths, for whoever learns of changes one by one.

use super::listing::Listing;
use super::rules::{Rules, Verdict};
use super::{Walk, open_directory};
use crate::error::EngineError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;

/// Knows which paths below an open root a walk would leave out.
pub(crate) struct Sieve {
    root: OwnedFd,
    root_stat: Stat,
    rules: Rules,
}

impl Sieve {
    /// Opens the root, which a person named, so that links are followed.
    ///
    /// # Errors
    /// The root cannot be opened, or a pattern makes no sense.
    pub(crate) fn new(walk: &Walk<'_>) -> Result<Self, EngineError> {
        let (root, root_stat) = walk.open_root()?;
        let rules = Rules::new(walk, &root_stat)?;
        Ok(Self { root, root_stat, rules })
    }

    /// Says whether something below the root is left out. Of what is gone already, only the path decides.
    pub(crate) fn leaves_out(&mut self, relative: &[u8], is_directory: bool) -> bool {
        if self.rules.is_mounted_elsewhere(relative) {
            return true;
        }
        let found = rustix::fs::statat(&self.root, relative, AtFlags::SYMLINK_NOFOLLOW);
        let stat = found.unwrap_or_else(|_| {
            let kind = if is_directory { FileType::Directory } else { FileType::RegularFile };
            let mut stat = self.root_stat;
            stat.st_mode = kind.as_raw_mode();
            stat
        });
        let name = relative.rsplit(|byte| *byte == b'/').next().unwrap_or(relative);
        self.rules.judge(relative, name, &stat) == Verdict::LeaveOut
    }

    /// Lists the directories in one that a walk goes down into, as paths below the root; an empty path is the root.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(crate) fn directories_in(&mut self, relative: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
        let directory = if relative.is_empty() {
            open_directory(self.root.as_fd(), c".")?
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&self.root, relative, flags, Mode::empty())?
        };
        let mut names = Listing::read(&directory)?;
        self.rules.judge_listing(relative, directory.as_fd(), &mut names);
        let (mut found, mut name) = (Vec::new(), Vec::new());
        while names.next(&mut name) {
            let Ok(name) = CStr::from_bytes_with_nul(&name) else { continue };
            let path = below(relative, name.to_bytes());
            if self.rules.is_mounted_elsewhere(&path) {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                continue;
            }
            if self.rules.judge(&path, name.to_bytes(), &stat) == Verdict::Take {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Joins a name to a path below the root.
pub(crate) fn below(relative: &[u8], name: &[u8]) -> Vec<u8> {
    if relative.is_empty() { name.to_vec() } else { [relative, b"/", name].concat() }
}

//! What inotify reports about one tree or one database file.

use crate::walk::{Sieve, Walk, below};
use crate::words::plain;
use larder_model::{Cancel, Source};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Room for some hundred events.
const BUFFER_BYTES: usize = 32 << 10;

/// One inotify instance, and what it looks at.
pub(super) struct Eyes {
    inotify: OwnedFd,
    target: Target,
}

enum Target {
    Tree(Box<Tree>),
    /// A database file, by its name in the directory that is watched.
    File(Vec<u8>),
}

struct Tree {
    root: PathBuf,
    sieve: Sieve,
    /// Which directory each watch is on, as a path below the root.
    directories: HashMap<i32, Vec<u8>>,
}

/// One event, out of the buffer.
struct Event {
    watch: i32,
    flags: ReadFlags,
    name: Option<Vec<u8>>,
}

impl AsFd for Eyes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn open() -> Result<OwnedFd, String> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|error| limited(error, "another watch"))
}

/// Says why something is not watched.
fn limited(error: Errno, what: &str) -> String {
    match error {
        Errno::NOSPC => format!(
            "the host allows no more watched directories, so {what} is not watched; raise fs.inotify.max_user_watches"
        ),
        Errno::MFILE => format!(
            "the host allows no more watches, so {what} is not made; raise fs.inotify.max_user_instances"
        ),
        other => format!("{what} is not watched: {}", plain(other)),
    }
}

impl Eyes {
    /// Looks at every directory of a tree that a backup walks into.
    pub(super) fn on_tree(root: &Path, source: &Source, own_directories: &[PathBuf]) -> Result<Self, String> {
        let cancel = Cancel::new();
        let walk = Walk { root, source, own_directories, cancel: &cancel };
        let sieve = Sieve::new(&walk).map_err(|error| error.to_string())?;
        let mut tree = Tree { root: root.to_owned(), sieve, directories: HashMap::new() };
        let inotify = open()?;
        tree.add(inotify.as_fd(), Vec::new())?;
        Ok(Self { inotify, target: Target::Tree(Box::new(tree)) })
    }

    /// Looks at a database file and its log.
    pub(super) fn on_file(path: &Path) -> Result<Self, String> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{} is no file in a directory", path.display()));
        };
        let inotify = open()?;
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, directory, flags)
            .map_err(|error| limited(error, &directory.display().to_string()))?;
        Ok(Self { inotify, target: Target::File(name.as_bytes().to_vec()) })
    }

    /// Takes in what was reported; says whether any of it changes what a backup would hold.
    pub(super) fn see(&mut self) -> Result<bool, String> {
        let mut changed = false;
        loop {
            let events = self.read()?;
            if events.is_empty() {
                return Ok(changed);
            }
            for event in &events {
                changed |= match &mut self.target {
                    Target::File(name) => is_of_file(name, event),
                    Target::Tree(tree) => tree.take_in(self.inotify.as_fd(), event)?,
                };
            }
        }
    }

    fn read(&self) -> Result<Vec<Event>, String> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    watch: event.wd(),
                    flags: event.events(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()),
                }),
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(error) => return Err(format!("changes could not be read: {}", plain(error))),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }
}

/// Says whether an event is about a database file or its write-ahead log. That the log appears or goes is no change: a
/// mere reader brings that about.
fn is_of_file(name: &[u8], event: &Event) -> bool {
    if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        return true;
    }
    let Some(its) = &event.name else { return false };
    its == name || (its.strip_suffix(b"-wal") == Some(name) && event.flags.contains(ReadFlags::MODIFY))
}

impl Tree {
    /// Watches a directory and all in it that a backup walks into.
    fn add(&mut self, inotify: BorrowedFd<'_>, relative: Vec<u8>) -> Result<(), String> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        let mut open = vec![relative];
        while let Some(relative) = open.pop() {
            let path = self.root.join(OsStr::from_bytes(&relative));
            // A person named the root, so a link there is followed.
            let flags = if relative.is_empty() { flags } else { flags | WatchFlags::DONT_FOLLOW };
            let watch = match inotify::add_watch(inotify, &path, flags) {
                Ok(watch) => watch,
                // Gone again, or not to be looked into: its own event tells what there is to tell.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) if !relative.is_empty() => continue,
                Err(error) => return Err(limited(error, &path.display().to_string())),
            };
            // Listed after it is watched, so that nothing made in between is missed.
            open.extend(self.sieve.directories_in(&relative).unwrap_or_default());
            self.directories.insert(watch, relative);
        }
        Ok(())
    }

    fn take_in(&mut self, inotify: BorrowedFd<'_>, event: &Event) -> Result<bool, String> {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            // What was lost may have been new directories.
            self.add(inotify, Vec::new())?;
            return Ok(true);
        }
        if event.flags.contains(ReadFlags::IGNORED) {
            self.directories.remove(&event.watch);
            return Ok(false);
        }
        let Some(directory) = self.directories.get(&event.watch) else { return Ok(false) };
        let Some(name) = &event.name else {
            let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
            if directory.is_empty() && event.flags.intersects(gone) {
                return Err(format!("{} is gone, or was replaced", self.root.display()));
            }
            return Ok(false);
        };
        let path = below(directory, name);
        let is_directory = event.flags.contains(ReadFlags::ISDIR);
        if self.sieve.leaves_out(&path, is_directory) {
            return Ok(false);
        }
        if is_directory && event.flags.contains(ReadFlags::MOVED_FROM) {
            self.forget(inotify, &path);
        }
        if is_directory && event.flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            self.add(inotify, path)?;
        }
        Ok(true)
    }

    /// Watches a directory that was moved away no longer; where it was moved within the tree, it is watched anew.
    fn forget(&mut self, inotify: BorrowedFd<'_>, path: &[u8]) {
        let inside =
            |other: &[u8]| other.strip_prefix(path).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        self.directories.retain(|watch, directory| {
            let stays = !inside(directory);
            if !stays {
                // It may be gone already.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            stays
        });
    }
}

//! How one object becomes one file, and survives a crash at any instant.

use crate::local_direct;
use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder below the root in which objects are written before they get their name.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Backups are nobody else's business; restic makes its files and directories with the same modes.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// What to do where an object of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Keep,
}

/// The root directory, and which directory it was when it was opened.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Folders whose own names are known to be on disk: each is synced once, also when somebody else made it.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Root {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let metadata = fs::metadata(&path)?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let root =
            Self { path, device: metadata.dev(), inode: metadata.ino(), durable: Mutex::new(HashSet::new()) };
        root.sweep();
        Ok(root)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, object: &str) -> PathBuf {
        self.path.join(object)
    }

    /// Refuses to go on where the path leads to another directory than at first: an unmounted disk leaves an empty
    /// directory behind, and what is written or listed there would be believed.
    pub(crate) fn check(&self) -> io::Result<()> {
        let gone = |cause: &str| {
            io::Error::new(
                io::ErrorKind::NotConnected,
                format!("the directory {cause} since it was opened; see whether its disk is still mounted"),
            )
        };
        match fs::metadata(&self.path) {
            Ok(found) if found.dev() == self.device && found.ino() == self.inode => Ok(()),
            Ok(_) => Err(gone("was replaced by another")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone("has disappeared")),
            Err(error) => Err(error),
        }
    }

    /// Removes temporary files whose writers are dead: a living writer holds a lock on its own.
    ///
    /// Failing to tidy is no reason not to open; what stays is never listed.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.path.join(TEMPORARY)) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
            {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Makes the root directory and syncs the names of all that it had to make.
pub(crate) fn make_root(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    for directory in missing.into_iter().rev() {
        make_directory(directory)?;
        if let Some(parent) = directory.parent() {
            sync_directory(parent)?;
        }
    }
    Ok(())
}

/// Writes an object durably; says whether it was written.
pub(crate) fn write(root: &Root, object: &str, data: &[u8], existing: Existing) -> io::Result<bool> {
    let target = root.file(object);
    let folder = target.parent().unwrap_or(root.path());
    if existing == Existing::Keep && target.symlink_metadata().is_ok() {
        sync_directory(folder)?;
        return Ok(false);
    }
    let temporary = Temporary::write(root, data)?;
    make_durable(root, folder)?;
    let written = match temporary.rename(&target, existing) {
        // Somebody removed the folder after it was made: make it once more.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            root.check()?;
            forget_durable(root, folder);
            make_durable(root, folder)?;
            temporary.rename(&target, existing)?
        }
        outcome => outcome?,
    };
    // Also when another writer won: the caller takes `false` as "it is there", so it must be there for good.
    sync_directory(folder)?;
    Ok(written)
}

/// Reads a whole object.
pub(crate) fn read(root: &Root, object: &str) -> io::Result<Bytes> {
    let (mut file, size) = open(root, object)?;
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut data)?;
    if data.len() as u64 == size {
        return Ok(Bytes::from(data));
    }
    let cause = format!("it has {size} bytes, but {} could be read", data.len());
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause))
}

/// Reads exactly the bytes asked for.
pub(crate) fn read_range(root: &Root, object: &str, range: Range<u64>) -> io::Result<Bytes> {
    let (mut file, size) = open(root, object)?;
    let length = range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok());
    let Some(length) = length else {
        let cause = format!("bytes {} to {} are no range", range.start, range.end);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
    };
    if range.end > size {
        let cause = format!("it has {size} bytes, but bytes {} to {} were asked for", range.start, range.end);
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
    }
    // Reading to the end of what is asked for fills the memory without zeroing it first.
    let mut data = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(range.start))?;
    file.take(length as u64).read_to_end(&mut data)?;
    if data.len() == length {
        return Ok(Bytes::from(data));
    }
    let cause = format!("{length} bytes were asked for, but {} could be read", data.len());
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause))
}

/// Returns an object's size, or nothing where there is no such object; a folder is no object.
pub(crate) fn size(root: &Root, object: &str) -> io::Result<Option<u64>> {
    match fs::metadata(root.file(object)) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Removes an object durably: a removal that a power cut could undo would let later ones overtake it.
pub(crate) fn delete(root: &Root, object: &str) -> io::Result<()> {
    let target = root.file(object);
    match fs::remove_file(&target) {
        Ok(()) => sync_directory(target.parent().unwrap_or(root.path())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn open(root: &Root, object: &str) -> io::Result<(File, u64)> {
    // Without O_NONBLOCK a named pipe put there by somebody would block for ever.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(root.file(object))?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "it is not a regular file"))
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome,
    }
}

/// Makes a folder below the root, with those above it, and sees to it that their names are on disk.
fn make_durable(root: &Root, folder: &Path) -> io::Result<()> {
    let known = |path: &Path| root.durable.lock().is_ok_and(|durable| durable.contains(path));
    if folder == root.path() || known(folder) {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root.path());
    make_durable(root, parent)?;
    make_directory(folder)?;
    sync_directory(parent)?;
    if let Ok(mut durable) = root.durable.lock() {
        durable.insert(folder.to_owned());
    }
    Ok(())
}

fn forget_durable(root: &Root, folder: &Path) {
    if let Ok(mut durable) = root.durable.lock() {
        durable.retain(|known| !folder.starts_with(known));
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems cannot sync a directory, and say so in one of these two ways.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        outcome => outcome,
    }
}

/// A written and synced file that has not got its name yet; dropping it removes it.
struct Temporary {
    path: PathBuf,
    /// Held open for its lock, by which a sweep sees that the writer lives.
    _file: File,
    /// Whether the temporary name still is this writer's: once it is renamed away, another may take it.
    owned: Cell<bool>,
}

impl Temporary {
    fn write(root: &Root, data: &[u8]) -> io::Result<Self> {
        let (path, mut file) = Self::make(root)?;
        let written = local_direct::write_all(&mut file, data).and_then(|()| file.sync_all());
        let temporary = Self { path, _file: file, owned: Cell::new(true) };
        written.map(|()| temporary)
    }

    /// Makes a file of a new name and locks it; a sweep at that very moment may take it, then another name is tried.
    fn make(root: &Root) -> io::Result<(PathBuf, File)> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let folder = root.path.join(TEMPORARY);
        for _ in 0..100 {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{serial}", std::process::id()));
            let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
            let file = match made {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    root.check()?;
                    make_directory(&folder)?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                // Where locks are not supported, no sweep can lock either, so nothing is taken away.
                Ok(()) | Err(fs::TryLockError::Error(_)) if path.exists() => return Ok((path, file)),
                _ => continue,
            }
        }
        Err(io::Error::other("no temporary name could be found in its folder .tmp"))
    }

    /// Gives the file its name; says whether it got it.
    fn rename(&self, target: &Path, existing: Existing) -> io::Result<bool> {
        if existing == Existing::Replace {
            fs::rename(&self.path, target)?;
            self.owned.set(false);
            return Ok(true);
        }
        match rustix::fs::renameat_with(CWD, &self.path, CWD, target, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.owned.set(false);
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            // NFS, for one, cannot rename without replacing, but can link.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                match rustix::fs::linkat(CWD, &self.path, CWD, target, AtFlags::empty()) {
                    Ok(()) => Ok(true),
                    Err(Errno::EXIST) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.owned.get() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! A plain walk over a directory, sorted by name.

use larder_model::{Entry, EntryKind, Metadata, Timestamp};
use larder_repository::{BackupWriter, FileContent, RepositoryError};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct OnDisk(PathBuf);

impl FileContent for OnDisk {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(&self.0)?))
    }

    fn display_path(&self) -> String {
        self.0.display().to_string()
    }
}

/// Adds everything below a directory.
pub fn walk(directory: &Path, writer: &mut BackupWriter) -> Result<(), RepositoryError> {
    let mut names: Vec<_> = match fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect(),
        Err(error) => {
            writer.unreadable(&directory.display().to_string(), &error.to_string());
            return Ok(());
        }
    };
    names.sort();
    for name in names {
        let path = directory.join(&name);
        let entry = match entry_of(&path) {
            Ok(entry) => entry,
            Err(error) => {
                writer.unreadable(&path.display().to_string(), &error.to_string());
                continue;
            }
        };
        match entry.kind {
            EntryKind::Directory => {
                writer.enter(entry)?;
                walk(&path, writer)?;
                writer.leave()?;
            }
            EntryKind::File => writer.file(entry, Box::new(OnDisk(path)))?,
            _ => writer.special(entry)?,
        }
    }
    Ok(())
}

/// Returns the entry of a path.
pub fn entry_of(path: &Path) -> io::Result<Entry> {
    let status = fs::symlink_metadata(path)?;
    let kind = status.file_type();
    let kind = if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_symlink() {
        EntryKind::Symlink { target: fs::read_link(path)?.into_os_string().into_vec() }
    } else if kind.is_block_device() {
        EntryKind::BlockDevice { device: status.rdev() }
    } else if kind.is_char_device() {
        EntryKind::CharacterDevice { device: status.rdev() }
    } else if kind.is_fifo() {
        EntryKind::Fifo
    } else if kind.is_socket() {
        EntryKind::Socket
    } else {
        EntryKind::File
    };
    let time =
        |seconds, nanoseconds| Timestamp { seconds, nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) };
    let root: Option<Arc<str>> = Some(Arc::from("root"));
    let metadata = Metadata {
        mode: status.mode() & 0o7777,
        uid: status.uid(),
        gid: status.gid(),
        user: root.clone().filter(|_| status.uid() == 0),
        group: root.filter(|_| status.gid() == 0),
        modified: time(status.mtime(), status.mtime_nsec()),
        accessed: time(status.atime(), status.atime_nsec()),
        changed: time(status.ctime(), status.ctime_nsec()),
        inode: status.ino(),
        device_id: status.dev(),
        links: status.nlink(),
        size: if kind == EntryKind::File { status.size() } else { 0 },
        xattrs: xattrs_of(path),
    };
    let name = path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
    Ok(Entry { name, kind, metadata })
}

fn xattrs_of(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, &mut list[..]) else { return Vec::new() };
    let mut attributes = Vec::new();
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        if let Ok(length) = rustix::fs::lgetxattr(path, name, &mut value[..]) {
            attributes.push((name.to_vec(), value[..length].to_vec()));
        }
    }
    attributes.sort();
    attributes
}

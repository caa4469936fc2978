//! What an engine hands over and gets back: files, directories and the rest, with their metadata.

use std::sync::Arc;

/// A moment as file systems keep it, in seconds and nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// What kind of thing an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file or any other stream of bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What the link says, byte for byte.
        target: Vec<u8>,
    },
    /// A block device.
    BlockDevice {
        /// The device number as `st_rdev` gives it.
        device: u64,
    },
    /// A character device.
    CharacterDevice {
        /// The device number as `st_rdev` gives it.
        device: u64,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Everything a file system keeps about an entry besides its name and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The twelve permission bits: `rwxrwxrwx`, set-user-id, set-group-id and sticky (`st_mode & 0o7777`).
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// The owner's name where it is known.
    pub user: Option<Arc<str>>,
    /// The group's name where it is known.
    pub group: Option<Arc<str>>,
    /// When the content was last changed.
    pub modified: Timestamp,
    /// When the entry was last read.
    pub accessed: Timestamp,
    /// When the metadata was last changed (`st_ctime`).
    pub changed: Timestamp,
    /// The inode number; 0 where there is none, as for a dump stream.
    pub inode: u64,
    /// The file system's device number; 0 where there is none.
    pub device_id: u64,
    /// How many names the inode has; more than 1 makes it a hard link.
    pub links: u64,
    /// The size in bytes when the entry was looked at; 0 while unknown.
    pub size: u64,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One file, directory or other thing inside a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name within its directory: any bytes but `/` and NUL, UTF-8 or not.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// What the file system keeps about it.
    pub metadata: Metadata,
}

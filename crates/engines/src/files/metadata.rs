//! Reads what a file system keeps about an entry.

use larder_model::{Metadata, Timestamp};
use nix::unistd::{Gid, Group, Uid, User};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names and values, sorted by name.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Turns a file system's answers into metadata; remembers owners' names, and which file systems have no attributes.
#[derive(Debug, Default)]
pub(crate) struct MetadataReader {
    users: HashMap<u32, Option<Arc<str>>>,
    groups: HashMap<u32, Option<Arc<str>>>,
    without_attributes: HashSet<u64>,
    buffer: Vec<u8>,
}

impl MetadataReader {
    /// Returns all but the extended attributes.
    pub(crate) fn plain(&mut self, stat: &Stat) -> Metadata {
        Metadata {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            user: self.user(stat.st_uid),
            group: self.group(stat.st_gid),
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            accessed: moment(stat.st_atime, stat.st_atime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            device_id: stat.st_dev,
            links: links(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            xattrs: Vec::new(),
        }
    }

    /// Returns the extended attributes of a path, sorted by name; links are not followed.
    pub(crate) fn attributes(&mut self, path: &[u8], device: u64) -> Result<Attributes, Errno> {
        if self.without_attributes.contains(&device) {
            return Ok(Vec::new());
        }
        let names = match filled(&mut self.buffer, |buffer| rustix::fs::llistxattr(path, buffer)) {
            Ok([]) | Err(Errno::NOENT) => return Ok(Vec::new()),
            Ok(names) => names.to_vec(),
            Err(Errno::OPNOTSUPP) => {
                self.without_attributes.insert(device);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut attributes = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match filled(&mut self.buffer, |buffer| rustix::fs::lgetxattr(path, name, buffer)) {
                Ok(value) => attributes.push((name.to_vec(), value.to_vec())),
                // Taken away since it was listed.
                Err(Errno::NODATA | Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        attributes.sort();
        Ok(attributes)
    }

    fn user(&mut self, uid: u32) -> Option<Arc<str>> {
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name.into());
        self.users.entry(uid).or_insert_with(look_up).clone()
    }

    fn group(&mut self, gid: u32) -> Option<Arc<str>> {
        let look_up = || Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name.into());
        self.groups.entry(gid).or_insert_with(look_up).clone()
    }
}

/// Returns size, time of change of content, time of change of metadata, and inode: what tells that a file is as it was.
pub(crate) fn stamp(stat: &Stat) -> (u64, Timestamp, Timestamp, u64) {
    let modified = moment(stat.st_mtime, stat.st_mtime_nsec);
    let changed = moment(stat.st_ctime, stat.st_ctime_nsec);
    (u64::try_from(stat.st_size).unwrap_or(0), modified, changed, stat.st_ino)
}

/// Calls with a buffer that is made larger until the answer fits; 64 KiB is as large as Linux lets either become.
fn filled(buffer: &mut Vec<u8>, call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<&[u8], Errno> {
    if buffer.is_empty() {
        buffer.resize(1 << 10, 0);
    }
    let length = match call(buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(1 << 16, 0);
            call(buffer)?
        }
        outcome => outcome?,
    };
    Ok(buffer.get(..length).unwrap_or_default())
}

fn moment(seconds: i64, nanoseconds: u64) -> Timestamp {
    Timestamp { seconds, nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) }
}

// The width of this field differs between processors.
#[allow(clippy::useless_conversion)]
fn links(stat: &Stat) -> u64 {
    u64::from(stat.st_nlink)
}

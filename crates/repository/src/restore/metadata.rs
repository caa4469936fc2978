//! Giving restored things their owner, attributes, mode and times.

use super::report::Report;
use larder_model::{Metadata, Timestamp};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

fn times(metadata: &Metadata) -> Timestamps {
    let timespec = |time: Timestamp| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: timespec(metadata.accessed), last_modification: timespec(metadata.modified) }
}

fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    // The number with all bits set means "leave as it is" to the system and is nobody's.
    let uid = if metadata.uid == u32::MAX { None } else { Some(Uid::from_raw(metadata.uid)) };
    let gid = if metadata.gid == u32::MAX { None } else { Some(Gid::from_raw(metadata.gid)) };
    (uid, gid)
}

/// What something was before it was given its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Made by this restore.
    New,
    /// Made by this restore with the mode it is to have, as far as the process's mask permitted; it has no name yet.
    Unnamed,
    /// There before: it may have attributes that it should not have, and may be right in part.
    Existing,
}

/// Sets everything on an open file or directory. The order matters: a change of owner takes special bits away, attributes
/// need a mode that permits writing, and each of these changes the times.
pub(super) fn apply(
    open: impl AsFd,
    metadata: &Metadata,
    before: Before,
    report: &Report,
    path: &dyn Fn() -> String,
) {
    let open = open.as_fd();
    let found = (before != Before::New).then(|| rustix::fs::fstat(open).ok()).flatten();
    let owned =
        found.as_ref().is_some_and(|found| (found.st_uid, found.st_gid) == (metadata.uid, metadata.gid));
    if !owned {
        let (uid, gid) = owner(metadata);
        report.note_owner(rustix::fs::fchown(open, uid, gid), path);
    }
    if before == Before::Existing {
        remove_surplus(open, metadata, report, path);
    }
    for (name, value) in &metadata.xattrs {
        if before == Before::Existing && has_attribute(open, name, value) {
            continue;
        }
        let set = rustix::fs::fsetxattr(open, OsStr::from_bytes(name), value, XattrFlags::empty());
        report.note_attribute(set, name, path);
    }
    let permitted = owned && found.as_ref().is_some_and(|found| found.st_mode & 0o7777 == metadata.mode);
    // An access control list changes the mode.
    if !permitted || !metadata.xattrs.is_empty() {
        report.note("set the mode of", rustix::fs::fchmod(open, Mode::from_raw_mode(metadata.mode)), path);
    }
    if !found.is_some_and(|found| is_modified_at(&found, metadata.modified)) {
        report.note("set the times of", rustix::fs::futimens(open, &times(metadata)), path);
    }
}

pub(super) fn is_modified_at(found: &Stat, time: Timestamp) -> bool {
    (found.st_mtime, u32::try_from(found.st_mtime_nsec).ok()) == (time.seconds, Some(time.nanoseconds))
}

/// Says whether an attribute is the system's own: it is set for a file where it lies, and comes from no backup.
fn belongs_to_the_system(name: &[u8]) -> bool {
    name.starts_with(b"security.") && name != b"security.capability"
}

/// Removes the attributes that the backup does not have: what was left of another file, or a list that lets others in.
fn remove_surplus(open: BorrowedFd<'_>, metadata: &Metadata, report: &Report, path: &dyn Fn() -> String) {
    let mut names = vec![0; 64 << 10];
    // Where there can be none, there are none too many.
    let Ok(length) = rustix::fs::flistxattr(open, &mut names[..]) else { return };
    let found = names.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    for name in found.filter(|name| !name.is_empty() && !belongs_to_the_system(name)) {
        if metadata.xattrs.iter().all(|(wanted, _)| wanted != name) {
            let removed = match rustix::fs::fremovexattr(open, OsStr::from_bytes(name)) {
                Err(Errno::NODATA) => Ok(()),
                outcome => outcome,
            };
            let action = format!("remove the attribute {} of", String::from_utf8_lossy(name));
            report.note(&action, removed, path);
        }
    }
}

fn has_attribute(open: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> bool {
    let mut found = vec![0; value.len() + 1];
    let length = rustix::fs::fgetxattr(open, OsStr::from_bytes(name), &mut found[..]);
    length.is_ok_and(|length| found.get(..length) == Some(value))
}

/// Does the same for something that cannot be opened: a link, pipe, socket or device.
pub(super) fn apply_by_name(
    directory: &OwnedFd,
    name: &[u8],
    is_link: bool,
    metadata: &Metadata,
    report: &Report,
    path: &dyn Fn() -> String,
) {
    let (uid, gid) = owner(metadata);
    report.note_owner(rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW), path);
    if !metadata.xattrs.is_empty() {
        let name = by_descriptor(directory, name);
        for (attribute, value) in &metadata.xattrs {
            let set = rustix::fs::lsetxattr(&name, OsStr::from_bytes(attribute), value, XattrFlags::empty());
            report.note_attribute(set, attribute, path);
        }
    }
    if !is_link {
        let mode = Mode::from_raw_mode(metadata.mode);
        let set = rustix::fs::chmodat(directory, name, mode, AtFlags::empty());
        report.note("set the mode of", set, path);
    }
    let set = rustix::fs::utimensat(directory, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW);
    report.note("set the times of", set, path);
}

/// Returns a path that leads to a name in an open directory, for calls that know no other way.
fn by_descriptor(directory: &OwnedFd, name: &[u8]) -> PathBuf {
    let open = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Path::new(&open).join(OsStr::from_bytes(name))
}

/// Puts the system's error in words without its number.
pub(super) fn words(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_lowercase()
}

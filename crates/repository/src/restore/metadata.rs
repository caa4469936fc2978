//! Giving restored things their owner, attributes, mode and times.

use super::report::Report;
use larder_model::{Metadata, Timestamp};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

/// Sets everything on an open file or directory. The order matters: a change of owner takes special bits away, attributes
/// need a mode that permits writing, and each of these changes the times.
pub(super) fn apply(open: impl AsFd, metadata: &Metadata, report: &Report, path: &dyn Fn() -> String) {
    let open = open.as_fd();
    let (uid, gid) = owner(metadata);
    report.note_owner(rustix::fs::fchown(open, uid, gid), path);
    for (name, value) in &metadata.xattrs {
        let set = rustix::fs::fsetxattr(open, OsStr::from_bytes(name), value, XattrFlags::empty());
        report.note_attribute(set, name, path);
    }
    report.note("set the mode of", rustix::fs::fchmod(open, Mode::from_raw_mode(metadata.mode)), path);
    report.note("set the times of", rustix::fs::futimens(open, &times(metadata)), path);
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

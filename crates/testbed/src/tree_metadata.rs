//! The shapes of trees that differ in what a file system keeps besides names and bytes.

use crate::tree_shape::write;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Sets the time of the last change of content, of a link itself where it is one; the access time goes with it.
pub fn set_modified(path: &Path, seconds: i64, nanoseconds: i64) {
    let moment = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: moment, last_modification: moment };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .unwrap_or_else(|error| panic!("could not set the times of {}: {error}", path.display()));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn extended_attributes(root: &Path) {
    write(root, "file", b"with attributes");
    write(root, "plain", b"without");
    fs::create_dir(root.join("directory")).unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    let attributes: [(&str, &str, &[u8]); 6] = [
        ("file", "user.text", b"a value"),
        ("file", "user.binary", &every_byte),
        ("file", "user.empty", b""),
        ("file", "user.name with spaces", b"x"),
        ("file", "user.long", &[b'x'; 2_000]),
        ("directory", "user.origin", b"https://example.org/"),
    ];
    for (name, attribute, value) in attributes {
        rustix::fs::setxattr(root.join(name), attribute, value, XattrFlags::empty()).unwrap_or_else(
            |error| panic!("could not set {attribute}; is {} on ext4 or xfs? {error}", root.display()),
        );
    }
    if is_root() {
        symlink("file", root.join("link")).unwrap();
        rustix::fs::lsetxattr(root.join("link"), "trusted.note", b"on a link", XattrFlags::empty()).unwrap();
    }
}

pub(crate) fn modes(root: &Path) {
    for mode in [0o000, 0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644] {
        let name = format!("file-{mode:04o}");
        write(root, &name, b"readable by root at least");
        set_mode(&root.join(name), mode);
    }
    for mode in [0o700, 0o750, 0o1777, 0o2775, 0o555] {
        let path = root.join(format!("directory-{mode:04o}"));
        fs::create_dir(&path).unwrap();
        write(&path, "inside", b"inside");
        set_mode(&path, mode);
    }
}

pub(crate) fn owners(root: &Path) {
    for name in ["numbers-without-names", "nobody", "set-user-id"] {
        write(root, name, name.as_bytes());
    }
    fs::create_dir(root.join("directory")).unwrap();
    symlink("nobody", root.join("link")).unwrap();
    if is_root() {
        lchown(root.join("numbers-without-names"), Some(4_000_001), Some(4_000_002)).unwrap();
        lchown(root.join("nobody"), Some(65_534), Some(65_534)).unwrap();
        lchown(root.join("directory"), Some(1), Some(2)).unwrap();
        lchown(root.join("link"), Some(33), Some(33)).unwrap();
        lchown(root.join("set-user-id"), Some(2), Some(2)).unwrap();
    }
    // A change of owner takes these bits away, so they come last, here and in every restore.
    set_mode(&root.join("set-user-id"), 0o6755);
}

pub(crate) fn odd_times(root: &Path) {
    let times: [(&str, i64, i64); 7] = [
        ("epoch", 0, 0),
        ("one-nanosecond", 1_700_000_000, 1),
        ("last-nanosecond", 1_700_000_000, 999_999_999),
        ("before-1970", -86_400 * 365, 123_456_789),
        ("just-before-1970", -1, 999_999_999),
        ("far-future", 7_258_118_400, 5),
        ("beyond-32-bits", 2_147_483_648, 0),
    ];
    for (name, seconds, nanoseconds) in times {
        write(root, name, name.as_bytes());
        set_modified(&root.join(name), seconds, nanoseconds);
        let directory = root.join(format!("directory-{name}"));
        write(&directory, "inside", b"inside");
        set_modified(&directory, seconds, nanoseconds);
    }
}

pub(crate) fn read_only_directories(root: &Path) {
    write(root, "locked/inner/file", b"below two");
    write(root, "locked/file", b"below one");
    set_mode(&root.join("locked/file"), 0o444);
    set_mode(&root.join("locked/inner"), 0o555);
    set_mode(&root.join("locked"), 0o555);
}

fn make_node(path: &Path, kind: FileType, device: u64) {
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(CWD, path, kind, mode, device)
        .unwrap_or_else(|error| panic!("could not make {}: {error}", path.display()));
}

pub(crate) fn pipes(root: &Path) {
    make_node(&root.join("pipe"), FileType::Fifo, 0);
    fs::create_dir(root.join("directory")).unwrap();
    make_node(&root.join("directory/another"), FileType::Fifo, 0);
    write(root, "file", b"beside a pipe");
}

pub(crate) fn sockets(root: &Path) {
    // The name of a socket goes away with nobody: it stays when the listener is dropped.
    drop(UnixListener::bind(root.join("socket")).expect("a path short enough for a socket"));
    write(root, "file", b"beside a socket");
}

pub(crate) fn devices(root: &Path) {
    write(root, "file", b"beside devices");
    if is_root() {
        make_node(&root.join("null"), FileType::CharacterDevice, rustix::fs::makedev(1, 3));
        make_node(&root.join("wide-numbers"), FileType::CharacterDevice, rustix::fs::makedev(4_000, 300_000));
        make_node(&root.join("loop"), FileType::BlockDevice, rustix::fs::makedev(7, 200));
    }
}

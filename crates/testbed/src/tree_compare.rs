//! Whether two trees are the same in everything a backup has to keep.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Returns in words everything that differs between two trees; nothing when they are the same.
///
/// Compared are names, types, bytes, modes, owners, modification times to the nanosecond, extended attributes,
/// link targets, device numbers, and which names are hard links of one another. Not compared: what the two roots
/// themselves look like, access and change times, and where sparse files have their holes.
#[must_use]
pub fn compare_trees(left: &Path, right: &Path) -> Vec<String> {
    compare(left, right, Judge::Exact)
}

/// Does as [`compare_trees`], but forgives what stock restic 0.14 loses of any repository, its own included: sockets,
/// link targets that are not UTF-8, attributes of links, and that links can be hard links of one another.
#[must_use]
pub fn compare_trees_restored_by_restic(original: &Path, restored: &Path) -> Vec<String> {
    compare(original, restored, Judge::Restic)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judge {
    Exact,
    Restic,
}

fn compare(left: &Path, right: &Path, judge: Judge) -> Vec<String> {
    let (left_entries, right_entries) = (scan(left, judge), scan(right, judge));
    let mut differences = Vec::new();
    for (name, a) in &left_entries {
        match right_entries.get(name) {
            None => differences.push(format!("{} is only in the first tree", name.display())),
            Some(b) => {
                compare_entries(name, (&left.join(name), a), (&right.join(name), b), judge, &mut differences)
            }
        }
    }
    for name in right_entries.keys().filter(|name| !left_entries.contains_key(*name)) {
        differences.push(format!("{} is only in the second tree", name.display()));
    }
    let (left_links, right_links) = (hard_links(&left_entries, judge), hard_links(&right_entries, judge));
    if left_links != right_links {
        differences.push(format!("hard links: {left_links:?}, but {right_links:?}"));
    }
    differences
}

fn scan(root: &Path, judge: Judge) -> BTreeMap<PathBuf, Metadata> {
    let mut entries = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let path = root.join(&directory);
        let listed =
            fs::read_dir(&path).unwrap_or_else(|error| panic!("could not list {}: {error}", path.display()));
        for entry in listed {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let name = directory.join(entry.file_name());
            if metadata.is_dir() {
                pending.push(name.clone());
            }
            if judge == Judge::Exact || !metadata.file_type().is_socket() {
                entries.insert(name, metadata);
            }
        }
    }
    entries
}

/// Returns the groups of names that share an inode, within the tree, each sorted.
fn hard_links(entries: &BTreeMap<PathBuf, Metadata>, judge: Judge) -> Vec<Vec<&Path>> {
    let mut groups: BTreeMap<(u64, u64), Vec<&Path>> = BTreeMap::new();
    let can_be_linked = |metadata: &Metadata| match judge {
        Judge::Exact => !metadata.is_dir(),
        Judge::Restic => metadata.is_file(),
    };
    for (name, metadata) in entries.iter().filter(|(_, found)| can_be_linked(found) && found.nlink() > 1) {
        groups.entry((metadata.dev(), metadata.ino())).or_default().push(name);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|names| names.len() > 1).collect();
    groups.sort();
    groups
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "link",
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () if kind.is_block_device() => "block device",
        () => "character device",
    }
}

fn compare_entries(
    name: &Path,
    a: (&Path, &Metadata),
    b: (&Path, &Metadata),
    judge: Judge,
    differences: &mut Vec<String>,
) {
    let mut differ = |what: &str, left: String, right: String| {
        if left != right {
            differences.push(format!("{}: {what} {left}, but {right}", name.display()));
        }
    };
    let ((a_path, a), (b_path, b)) = (a, b);
    let is_device = |metadata: &Metadata| kind(metadata).ends_with("device");
    differ("type", kind(a).to_owned(), kind(b).to_owned());
    differ("mode", format!("{:04o}", a.mode() & 0o7777), format!("{:04o}", b.mode() & 0o7777));
    differ("owner", format!("{}:{}", a.uid(), a.gid()), format!("{}:{}", b.uid(), b.gid()));
    let modified = |metadata: &Metadata| format!("{} s {} ns", metadata.mtime(), metadata.mtime_nsec());
    differ("modified", modified(a), modified(b));
    if judge == Judge::Exact || !a.is_symlink() {
        let attributes = |path| {
            let mut found = attributes(path);
            // restic 0.14 sets what a link has on what it points to; links can only have trusted ones.
            found.retain(|name, _| judge == Judge::Exact || !name.as_bytes().starts_with(b"trusted."));
            found
        };
        differ("attributes", format!("{:?}", attributes(a_path)), format!("{:?}", attributes(b_path)));
    }
    if a.is_symlink() && b.is_symlink() {
        let (a, b) = (fs::read_link(a_path).unwrap(), fs::read_link(b_path).unwrap());
        if judge == Judge::Exact || a.to_str().is_some() {
            differ("target", format!("{a:?}"), format!("{b:?}"));
        }
    } else if is_device(a) && is_device(b) {
        differ("device number", a.rdev().to_string(), b.rdev().to_string());
    } else if a.is_file() && b.is_file() {
        differ("size", a.len().to_string(), b.len().to_string());
        if a.len() == b.len()
            && let Some(offset) = first_difference(a_path, b_path)
        {
            differences.push(format!("{}: bytes differ from offset {offset} on", name.display()));
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = vec![0; 65_536];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => 0,
        Err(error) => panic!("could not list the attributes of {}: {error}", path.display()),
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = std::ffi::OsStr::from_bytes(name);
            let mut value = vec![0; 65_536];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_owned(), value)
        })
        .collect()
}

/// Returns the first block in which two files of the same size differ, as an offset in bytes.
fn first_difference(a: &Path, b: &Path) -> Option<u64> {
    const BLOCK: usize = 1 << 20;
    let (mut a, mut b) = (File::open(a).unwrap(), File::open(b).unwrap());
    let (mut left, mut right) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let mut offset = 0;
    loop {
        left.clear();
        right.clear();
        a.by_ref().take(BLOCK as u64).read_to_end(&mut left).unwrap();
        b.by_ref().take(BLOCK as u64).read_to_end(&mut right).unwrap();
        if left != right {
            let within = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
            return Some(offset + within as u64);
        }
        if left.is_empty() {
            return None;
        }
        offset += left.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::compare_trees;
    use crate::{Random, TempDir, TreeShape, set_modified};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn copies_of_every_shape_are_the_same() {
        for shape in TreeShape::ALL {
            let directory = TempDir::new();
            fs::create_dir(directory.join("a")).unwrap();
            shape.build(&directory.join("a"));
            let copied =
                Command::new("cp").arg("-a").arg(directory.join("a")).arg(directory.join("b")).status();
            assert!(copied.unwrap().success(), "{}", shape.name);
            assert_eq!(compare_trees(&directory.join("a"), &directory.join("b")), [""; 0], "{}", shape.name);
        }
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        type Change = (&'static str, fn(&TempDir));
        let changes: [Change; 8] = [
            ("only in the first", |b| fs::remove_file(b.join("b/file")).unwrap()),
            ("only in the second", |b| fs::write(b.join("b/new"), "").unwrap()),
            ("bytes differ from offset 70000", |b| {
                let mut bytes = Random::new(1).bytes(200_000);
                bytes[70_000] ^= 1;
                fs::write(b.join("b/file"), bytes).unwrap();
            }),
            ("mode", |b| fs::set_permissions(b.join("b/file"), fs::Permissions::from_mode(0o611)).unwrap()),
            ("modified", |b| set_modified(&b.join("b/file"), 5, 6)),
            ("size", |b| fs::write(b.join("b/file"), "shorter").unwrap()),
            ("hard links", |b| {
                fs::remove_file(b.join("b/linked")).unwrap();
                fs::copy(b.join("b/file"), b.join("b/linked")).unwrap();
            }),
            ("attributes", |b| {
                rustix::fs::setxattr(b.join("b/file"), "user.x", b"y", rustix::fs::XattrFlags::empty())
                    .unwrap();
            }),
        ];
        for (words, change) in changes {
            let directory = TempDir::new();
            fs::create_dir(directory.join("a")).unwrap();
            fs::write(directory.join("a/file"), Random::new(1).bytes(200_000)).unwrap();
            fs::hard_link(directory.join("a/file"), directory.join("a/linked")).unwrap();
            assert!(
                Command::new("cp")
                    .arg("-a")
                    .arg(directory.join("a"))
                    .arg(directory.join("b"))
                    .status()
                    .unwrap()
                    .success()
            );
            change(&directory);
            let differences = compare_trees(&directory.join("a"), &directory.join("b"));
            assert!(differences.iter().any(|found| found.contains(words)), "{words}: {differences:?}");
        }
    }
}

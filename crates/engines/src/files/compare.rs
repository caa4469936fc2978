//! Compares a restored tree with its backup and with the live one.

use super::metadata::{MetadataReader, stamp};
use super::source::open_regular;
use crate::engine::Comparison;
use crate::error::{EngineError, SinkError};
use crate::sink::{BackupReader, ListedEntry};
use crate::words::{count, grouped, plain};
use larder_model::{Cancel, EntryKind, Metadata};
use rustix::fs::{AtFlags, CWD, FileType, Stat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// As many differences are named one by one; more are counted.
const NAMED: usize = 100;
const BLOCK_BYTES: usize = 256 << 10;

/// Compares every entry of a backup with what was restored, and every file byte by byte: with the live one where that
/// is as it was, else with the backup's own bytes.
pub(super) fn compare(
    live: &Path,
    backup: &dyn BackupReader,
    restored: &Path,
    cancel: &Cancel,
) -> Result<Comparison, EngineError> {
    let mut check = Check::new(live, restored);
    // What ends the walk is carried around the sink's own errors.
    let mut stopped = None;
    let walked = backup.for_each(&mut |listed| {
        let outcome =
            cancel.check().map_err(EngineError::from).and_then(|()| check.entry(listed, backup, cancel));
        outcome.map_err(|error| {
            let said = SinkError(error.to_string().into());
            stopped = Some(error);
            said
        })
    });
    if let Some(error) = stopped {
        return Err(error);
    }
    walked?;
    check.finish()
}

struct Check<'a> {
    live: &'a Path,
    restored: &'a Path,
    metadata: MetadataReader,
    is_root: bool,
    entries: u64,
    files: u64,
    bytes: u64,
    changed_since: u64,
    differences: Vec<String>,
    unnamed: u64,
    /// For each inode of the backup with several names, the inode that the first of them was restored to.
    links: HashMap<(u64, u64), u64>,
    left: Vec<u8>,
    right: Vec<u8>,
}

impl<'a> Check<'a> {
    fn new(live: &'a Path, restored: &'a Path) -> Self {
        Self {
            live,
            restored,
            metadata: MetadataReader::default(),
            is_root: rustix::process::geteuid().is_root(),
            entries: 0,
            files: 0,
            bytes: 0,
            changed_since: 0,
            differences: Vec::new(),
            unnamed: 0,
            links: HashMap::new(),
            left: vec![0; BLOCK_BYTES],
            right: vec![0; BLOCK_BYTES],
        }
    }

    fn differ(&mut self, path: &Path, what: &str) {
        if self.differences.len() < NAMED {
            self.differences.push(format!("{}: {what}", path.display()));
        } else {
            self.unnamed += 1;
        }
    }

    fn entry(
        &mut self,
        listed: &ListedEntry,
        backup: &dyn BackupReader,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        self.entries += 1;
        let name = Path::new(OsStr::from_bytes(&listed.path));
        let path = self.restored.join(name);
        let stat = match rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => {
                self.differ(name, &format!("was not restored: {}", plain(error)));
                return Ok(());
            }
        };
        if !self.kind_is_equal(name, &path, listed, &stat) {
            return Ok(());
        }
        self.compare_metadata(name, &path, &listed.entry.metadata, &stat, &listed.entry.kind);
        if listed.entry.kind == EntryKind::File {
            self.files += 1;
            self.bytes += listed.entry.metadata.size;
            return self.compare_bytes(name, &path, listed, backup, cancel);
        }
        if !matches!(listed.entry.kind, EntryKind::Directory)
            && !self.is_as_recorded(name, &listed.entry.metadata)
        {
            self.changed_since += 1;
        }
        Ok(())
    }

    fn kind_is_equal(&mut self, name: &Path, path: &Path, listed: &ListedEntry, stat: &Stat) -> bool {
        let found = FileType::from_raw_mode(stat.st_mode);
        let equal = match &listed.entry.kind {
            EntryKind::File => found == FileType::RegularFile,
            EntryKind::Directory => found == FileType::Directory,
            EntryKind::Fifo => found == FileType::Fifo,
            EntryKind::Socket => found == FileType::Socket,
            EntryKind::Symlink { target } => {
                fs::read_link(path).is_ok_and(|restored| restored.as_os_str().as_bytes() == target.as_slice())
            }
            EntryKind::BlockDevice { device } => found == FileType::BlockDevice && stat.st_rdev == *device,
            EntryKind::CharacterDevice { device } => {
                found == FileType::CharacterDevice && stat.st_rdev == *device
            }
        };
        if !equal {
            self.differ(name, "was restored as another kind of entry, or leads elsewhere");
        }
        equal
    }

    fn compare_metadata(
        &mut self,
        name: &Path,
        path: &Path,
        wanted: &Metadata,
        stat: &Stat,
        kind: &EntryKind,
    ) {
        let found = self.metadata.plain(stat);
        // Linux gives every link the mode 0777 and lets nobody change it.
        if found.mode != wanted.mode && !matches!(kind, EntryKind::Symlink { .. }) {
            self.differ(name, &format!("has mode {:04o} instead of {:04o}", found.mode, wanted.mode));
        }
        // Only root may give files away.
        if self.is_root && (found.uid, found.gid) != (wanted.uid, wanted.gid) {
            let (is, was) =
                (format!("{}:{}", found.uid, found.gid), format!("{}:{}", wanted.uid, wanted.gid));
            self.differ(name, &format!("belongs to {is} instead of {was}"));
        }
        if found.modified != wanted.modified {
            self.differ(name, "has another modification time");
        }
        let attributes =
            self.metadata.attributes(path.as_os_str().as_bytes(), stat.st_dev).unwrap_or_default();
        let settable = |name: &[u8]| self.is_root || name.starts_with(b"user.");
        if !wanted
            .xattrs
            .iter()
            .filter(|(name, _)| settable(name))
            .eq(attributes.iter().filter(|(name, _)| settable(name)))
        {
            self.differ(name, "has other extended attributes");
        }
        if wanted.links > 1 && wanted.inode != 0 && *kind != EntryKind::Directory {
            let first = *self.links.entry((wanted.device_id, wanted.inode)).or_insert(found.inode);
            if first != found.inode {
                self.differ(name, "is no longer a hard link of the same file");
            }
        }
    }

    /// Says whether the live entry is still what the backup recorded.
    fn is_as_recorded(&self, name: &Path, recorded: &Metadata) -> bool {
        let Ok(stat) = rustix::fs::statat(CWD, self.live.join(name), AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        stamp(&stat) == (recorded.size, recorded.modified, recorded.changed, recorded.inode)
    }

    fn compare_bytes(
        &mut self,
        name: &Path,
        path: &Path,
        listed: &ListedEntry,
        backup: &dyn BackupReader,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let mut restored = match open_regular(path) {
            Ok(restored) => restored,
            Err(error) => {
                self.differ(name, &format!("cannot be read after the restore: {}", plain(error)));
                return Ok(());
            }
        };
        let recorded = &listed.entry.metadata;
        if self.is_as_recorded(name, recorded)
            && let Ok(live) = open_regular(&self.live.join(name))
        {
            let equal = self.same_bytes(&mut restored, live, cancel)?;
            if matches!(equal, Ok(None)) {
                return Ok(());
            }
            if self.is_as_recorded(name, recorded) {
                let what = match equal {
                    Ok(Some(offset)) => format!("differs from the source from byte {} on", grouped(offset)),
                    Ok(None) => return Ok(()),
                    Err(error) => format!("could not be compared with the source: {}", plain(error)),
                };
                self.differ(name, &what);
                return Ok(());
            }
        }
        self.changed_since += 1;
        let Ok(restored) = open_regular(path) else { return Ok(()) };
        let stored = backup.open(&listed.path)?;
        match self.same_bytes(restored, stored, cancel)? {
            Ok(None) => {}
            Ok(Some(offset)) => {
                self.differ(name, &format!("differs from the backup from byte {} on", grouped(offset)));
            }
            Err(error) => self.differ(name, &format!("could not be compared with the backup: {error}")),
        }
        Ok(())
    }

    /// Returns where two readers first differ, or nothing where they are the same to the end.
    fn same_bytes(
        &mut self,
        mut left: impl Read,
        mut right: impl Read,
        cancel: &Cancel,
    ) -> Result<io::Result<Option<u64>>, EngineError> {
        let mut offset = 0;
        loop {
            cancel.check()?;
            let (a, b) = match (fill(&mut left, &mut self.left), fill(&mut right, &mut self.right)) {
                (Ok(a), Ok(b)) => (a, b),
                (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
            };
            let (a, b) = (self.left.get(..a).unwrap_or_default(), self.right.get(..b).unwrap_or_default());
            if a != b {
                let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
                return Ok(Ok(Some(offset + same as u64)));
            }
            if a.is_empty() {
                return Ok(Ok(None));
            }
            offset += a.len() as u64;
        }
    }

    fn finish(mut self) -> Result<Comparison, EngineError> {
        let restored = count_entries(self.restored).map_err(|error| EngineError::Failed {
            action: format!("listing the restored tree {}", self.restored.display()),
            cause: plain(error),
            remedy: "compare again into an empty directory".to_owned(),
        })?;
        if restored > self.entries {
            let more = count(restored - self.entries, "entry", "entries");
            self.differences.push(format!("the restored tree has {more} more than the backup"));
        }
        if self.unnamed > 0 {
            self.differences.push(format!("{} more differences", grouped(self.unnamed)));
        }
        let compared = format!(
            "{}, {}, {} bytes",
            count(self.entries, "entry", "entries"),
            count(self.files, "file", "files"),
            grouped(self.bytes)
        );
        Ok(Comparison { compared, differences: self.differences, changed_since: self.changed_since })
    }
}

/// Reads until the buffer is full or the end is reached.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn count_entries(root: &Path) -> io::Result<u64> {
    count_those(root, |_| true)
}

/// Counts what is no directory.
pub(crate) fn count_files(root: &Path) -> io::Result<u64> {
    count_those(root, |kind| !kind.is_dir())
}

fn count_those(root: &Path, counts: impl Fn(fs::FileType) -> bool) -> io::Result<u64> {
    let mut entries = 0;
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            entries += u64::from(counts(kind));
            if kind.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(entries)
}

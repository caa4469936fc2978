//! A backup kept in memory: takes entries as a repository does, and gives them back.
#![allow(dead_code, reason = "each test binary uses another part")]

use larder_engines::{BackupReader, Content, ExtractReport, ListedEntry, Sink, SinkError};
use larder_model::{Database, DatabaseName, EngineKind, Entry, EntryKind, Metadata, Source};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryBackup {
    pub(crate) entries: Vec<(ListedEntry, Vec<u8>)>,
    pub(crate) unreadable: Vec<(String, String)>,
    pub(crate) page_bytes: Option<u32>,
    current: Vec<Vec<u8>>,
    /// Where what is carried is looked for: the same directories under the names that they had.
    before: Vec<Vec<u8>>,
    /// How many bytes were waited for before they were read.
    pub(crate) awaited: u64,
    /// How many files were taken over because they are the same.
    pub(crate) carried: u64,
    /// The paths of what was taken over by name, as they are in this backup.
    pub(crate) taken_over: Vec<String>,
    /// What an incremental goes on from.
    pub(crate) previous: Option<Box<Self>>,
}

impl MemoryBackup {
    /// Makes one that goes on from another.
    pub(crate) fn after(previous: Self) -> Self {
        Self { previous: Some(Box::new(previous)), ..Self::default() }
    }

    fn add(&mut self, entry: Entry, bytes: Vec<u8>) {
        let mut path = self.current.join(&b'/');
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        self.entries.push((ListedEntry { path, entry }, bytes));
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(listed, _)| String::from_utf8_lossy(&listed.path).into_owned()).collect()
    }
}

impl Sink for MemoryBackup {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        let before = directory.name.clone();
        self.enter_after(directory, &before)
    }

    fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), SinkError> {
        let name = directory.name.clone();
        self.add(directory, Vec::new());
        self.current.push(name);
        self.before.push(before.to_vec());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.before.pop().expect("a directory was entered");
        self.current.pop().expect("a directory was entered");
        Ok(())
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        let path = content.display_path();
        let mut bytes = Vec::new();
        match content.open().and_then(|mut reader| reader.read_to_end(&mut bytes)) {
            Ok(_) => self.add(entry, bytes),
            Err(error) => self.unreadable.push((path, error.to_string())),
        }
        Ok(())
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        let mut content = Vec::new();
        let length = bytes.read_to_end(&mut content).map_err(|error| SinkError(error.into()))?;
        self.page_bytes = page_bytes;
        self.add(entry, content);
        Ok(length as u64)
    }

    fn stream_unless(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        is_void: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, SinkError> {
        match self.stream(entry, bytes, page_bytes) {
            Err(_) if is_void() => Ok(None),
            streamed => streamed.map(Some),
        }
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        let path_in = |place: &[Vec<u8>]| [place, &[name.to_vec()]].concat().join(&b'/');
        let (path, new) = (path_in(&self.before), path_in(&self.current));
        let below = [path.as_slice(), b"/"].concat();
        let before = self.previous.iter().flat_map(|previous| &previous.entries);
        let mut carried: Vec<_> = before
            .filter(|(listed, _)| listed.path == path || listed.path.starts_with(&below))
            .cloned()
            .collect();
        for (listed, _) in &mut carried {
            listed.path.splice(..path.len(), new.iter().copied());
        }
        let is_there = !carried.is_empty();
        if is_there {
            self.taken_over.push(String::from_utf8_lossy(&new).into_owned());
        }
        self.entries.extend(carried);
        Ok(is_there)
    }

    fn carry_same(&mut self, entry: &Entry) -> Result<bool, SinkError> {
        let path = [self.current.as_slice(), std::slice::from_ref(&entry.name)].concat().join(&b'/');
        let mut before = self.previous.iter().flat_map(|previous| &previous.entries);
        let stamp = |entry: &Entry| {
            (entry.metadata.size, entry.metadata.modified, entry.metadata.changed, entry.metadata.inode)
        };
        let same =
            before.find(|(listed, _)| listed.path == path && stamp(&listed.entry) == stamp(entry)).cloned();
        self.carried += u64::from(same.is_some());
        let is_there = same.is_some();
        self.entries.extend(same);
        Ok(is_there)
    }

    fn about_to_read(&mut self, bytes: u64) -> Result<(), SinkError> {
        self.awaited += bytes;
        Ok(())
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.add(entry, Vec::new());
        Ok(())
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.unreadable.push((path.to_owned(), cause.to_owned()));
        Ok(())
    }
}

impl BackupReader for MemoryBackup {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(&ListedEntry) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.entries.iter().try_for_each(|(listed, _)| visit(listed))
    }

    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send + '_>, SinkError> {
        let found = self.entries.iter().find(|(listed, _)| listed.path == path);
        let (_, bytes) = found.ok_or_else(|| SinkError("no such file in the backup".into()))?;
        Ok(Box::new(bytes.as_slice()))
    }

    fn extract_below(&self, path: &[u8], target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError> {
        let below = [path, b"/"].concat();
        let mut part = Self::default();
        for (listed, bytes) in &self.entries {
            if let Some(path) = listed.path.strip_prefix(below.as_slice()) {
                part.entries.push((ListedEntry { path: path.to_vec(), ..listed.clone() }, bytes.clone()));
            }
        }
        part.extract(target, overwrite)
    }

    fn extract(&self, target: &Path, _overwrite: bool) -> Result<ExtractReport, SinkError> {
        let mut report = ExtractReport::default();
        write_tree(self, target, &mut report).map_err(|error| SinkError(error.into()))?;
        Ok(report)
    }
}

fn write_tree(backup: &MemoryBackup, target: &Path, report: &mut ExtractReport) -> io::Result<()> {
    let mut links: HashMap<(u64, u64), PathBuf> = HashMap::new();
    fs::create_dir_all(target)?;
    for (listed, bytes) in &backup.entries {
        let path = target.join(OsStr::from_bytes(&listed.path));
        let metadata = &listed.entry.metadata;
        if metadata.links > 1 && listed.entry.kind != EntryKind::Directory {
            if let Some(first) = links.get(&(metadata.device_id, metadata.inode)) {
                fs::hard_link(first, &path)?;
                continue;
            }
            links.insert((metadata.device_id, metadata.inode), path.clone());
        }
        let node =
            |kind, device| Ok(rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(0o600), device)?);
        match &listed.entry.kind {
            EntryKind::Directory => fs::create_dir(&path),
            EntryKind::File => {
                report.files += 1;
                report.bytes_written += bytes.len() as u64;
                fs::write(&path, bytes)
            }
            EntryKind::Symlink { target } => symlink(OsStr::from_bytes(target), &path),
            EntryKind::BlockDevice { device } => node(FileType::BlockDevice, *device),
            EntryKind::CharacterDevice { device } => node(FileType::CharacterDevice, *device),
            EntryKind::Fifo => node(FileType::Fifo, 0),
            EntryKind::Socket => node(FileType::Socket, 0),
        }?;
    }
    // Backwards, so that a directory gets its time after what is in it was made.
    for (listed, _) in backup.entries.iter().rev() {
        set_metadata(&target.join(OsStr::from_bytes(&listed.path)), &listed.entry.metadata)?;
    }
    Ok(())
}

fn set_metadata(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        lchown(path, Some(metadata.uid), Some(metadata.gid))?;
    }
    for (name, value) in &metadata.xattrs {
        rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?;
    }
    if !path.symlink_metadata()?.is_symlink() {
        fs::set_permissions(path, Permissions::from_mode(metadata.mode))?;
    }
    let moment =
        Timespec { tv_sec: metadata.modified.seconds, tv_nsec: metadata.modified.nanoseconds.into() };
    let times = Timestamps { last_access: moment, last_modification: moment };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

pub(crate) fn source(engine: EngineKind, path: &Path) -> Source {
    let address = path.to_str().expect("a path that is text").to_owned();
    Source::new(DatabaseName::from_lossy("test"), engine, address)
}

pub(crate) fn database(source: &Source, locator: &str) -> Database {
    Database {
        name: DatabaseName::from_lossy("test"),
        source: source.name.clone(),
        engine: source.engine,
        locator: locator.to_owned(),
        discovered: "2026-01-01T00:00:00Z".parse().expect("a moment"),
        missing_since: None,
    }
}

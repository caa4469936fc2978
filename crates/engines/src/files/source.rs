//! Writes a file tree into a sink.

use super::metadata::MetadataReader;
use crate::engine::BackupJob;
use crate::error::EngineError;
use crate::held::CarefulFile;
use crate::sink::{Content, Sink};
use crate::walk::{Place, Visitor};
use crate::words::plain;
use larder_model::{Counters, Entry, EntryKind, Metadata};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Takes what a walk finds and hands it on as entries.
pub(super) struct TreeSource<'a> {
    sink: &'a mut dyn Sink,
    counters: &'a Counters,
    root: &'a Path,
    metadata: MetadataReader,
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) specials: u64,
    pub(super) bytes: u64,
}

impl<'a> TreeSource<'a> {
    pub(super) fn new(job: &BackupJob<'a>, root: &'a Path, sink: &'a mut dyn Sink) -> Self {
        Self {
            sink,
            counters: job.counters,
            root,
            metadata: MetadataReader::default(),
            files: 0,
            directories: 0,
            specials: 0,
            bytes: 0,
        }
    }

    fn metadata(&mut self, place: &Place<'_>, stat: &Stat) -> Result<Metadata, EngineError> {
        let mut metadata = self.metadata.plain(stat);
        match self.metadata.attributes(place.path, stat.st_dev) {
            Ok(attributes) => metadata.xattrs = attributes,
            Err(error) => {
                let cause = format!("its extended attributes could not be read: {}", plain(error));
                self.sink.unreadable(&place.path().display().to_string(), &cause)?;
            }
        }
        Ok(metadata)
    }

    fn special(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => match rustix::fs::readlinkat(place.directory, place.name, Vec::new()) {
                Ok(target) => EntryKind::Symlink { target: target.into_bytes() },
                Err(error) => return self.unreadable(place.path(), error),
            },
            FileType::BlockDevice => EntryKind::BlockDevice { device: stat.st_rdev },
            FileType::CharacterDevice => EntryKind::CharacterDevice { device: stat.st_rdev },
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            _ => {
                let cause = "it is of a kind that Larder does not know";
                return Ok(self.sink.unreadable(&place.path().display().to_string(), cause)?);
            }
        };
        self.specials += 1;
        let metadata = self.metadata(place, stat)?;
        Ok(self.sink.special(Entry { name: place.name.to_bytes().to_vec(), kind, metadata })?)
    }
}

impl Visitor for TreeSource<'_> {
    fn enter(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError> {
        self.directories += 1;
        let path = place.path();
        self.counters.set_current(&path.strip_prefix(self.root).unwrap_or(path).to_string_lossy());
        let metadata = self.metadata(place, stat)?;
        let name = place.name.to_bytes().to_vec();
        Ok(self.sink.enter(Entry { name, kind: EntryKind::Directory, metadata })?)
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        Ok(self.sink.leave()?)
    }

    fn other(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError> {
        Counters::add(&self.counters.items_total, 1);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return self.special(place, stat);
        }
        let metadata = self.metadata(place, stat)?;
        self.files += 1;
        self.bytes += metadata.size;
        Counters::add(&self.counters.bytes_total, metadata.size);
        let entry = Entry { name: place.name.to_bytes().to_vec(), kind: EntryKind::File, metadata };
        Ok(self.sink.file(entry, Box::new(FileOnDisk { path: place.path().to_owned() }))?)
    }

    fn unreadable(&mut self, path: &Path, cause: Errno) -> Result<(), EngineError> {
        Ok(self.sink.unreadable(&path.display().to_string(), &plain(cause))?)
    }
}

/// A file that is opened when its bytes are wanted.
struct FileOnDisk {
    path: PathBuf,
}

impl Content for FileOnDisk {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(open_regular(&self.path)?))
    }

    fn display_path(&self) -> String {
        self.path.display().to_string()
    }
}

/// Opens a regular file for reading, without touching its access time where that is allowed.
///
/// It neither follows a link nor waits for a pipe that was put in its place since it was listed.
pub(crate) fn open_regular(path: &Path) -> io::Result<CarefulFile> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let bytes = path.as_os_str().as_bytes();
    let opened = match rustix::fs::open(bytes, flags | OFlags::NOATIME, Mode::empty()) {
        // Only a file's owner may ask for that.
        Err(Errno::PERM) => rustix::fs::open(bytes, flags, Mode::empty())?,
        outcome => outcome?,
    };
    let file = CarefulFile::from(File::from(opened));
    if file.get()?.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is no longer a regular file"))
}

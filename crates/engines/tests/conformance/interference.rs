//! Things that happen in the middle of a backup.

use crate::memory::MemoryBackup;
use larder_engines::{BackupReader, Content, ExtractReport, ListedEntry, Sink, SinkError};
use larder_model::Entry;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A sink that does something once, after it has read so many bytes of streams.
pub(crate) struct Interfering<'a> {
    pub(crate) inner: MemoryBackup,
    pub(crate) after_bytes: u64,
    pub(crate) act: Option<Box<dyn FnOnce() + 'a>>,
}

impl<'a> Interfering<'a> {
    pub(crate) fn after(bytes: u64, act: impl FnOnce() + 'a) -> Self {
        Self { inner: MemoryBackup::default(), after_bytes: bytes, act: Some(Box::new(act)) }
    }

    /// Says whether it happened.
    pub(crate) fn acted(&self) -> bool {
        self.act.is_none()
    }
}

struct Counting<'a, 'b> {
    bytes: &'a mut dyn Read,
    after: &'a mut u64,
    act: &'a mut Option<Box<dyn FnOnce() + 'b>>,
}

impl Read for Counting<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.after == 0
            && let Some(act) = self.act.take()
        {
            act();
        }
        let length = self.bytes.read(buffer)?;
        *self.after = self.after.saturating_sub(length as u64);
        Ok(length)
    }
}

impl Sink for Interfering<'_> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        self.inner.enter(directory)
    }

    fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), SinkError> {
        self.inner.enter_after(directory, before)
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        self.inner.leave()
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        self.inner.file(entry, content)
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        let mut counting = Counting { bytes, after: &mut self.after_bytes, act: &mut self.act };
        self.inner.stream(entry, &mut counting, page_bytes)
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        self.inner.carry(name)
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        self.inner.special(entry)
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.inner.unreadable(path, cause)
    }
}

/// A backup whose longest file breaks off in the middle when it is read.
pub(crate) struct Broken<'a>(pub(crate) &'a MemoryBackup);

impl BackupReader for Broken<'_> {
    fn for_each(
        &self,
        visit: &mut dyn FnMut(&ListedEntry) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.for_each(visit)
    }

    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send + '_>, SinkError> {
        let longest = self.0.entries.iter().max_by_key(|(_, bytes)| bytes.len()).expect("an entry");
        if longest.0.path != path {
            return self.0.open(path);
        }
        let half = longest.1.len() as u64 / 2;
        Ok(Box::new(self.0.open(path)?.take(half).chain(Breaking)))
    }

    fn extract(&self, _: &Path, _: bool) -> Result<ExtractReport, SinkError> {
        Err(SinkError("the repository is damaged".into()))
    }

    fn extract_below(&self, _: &[u8], target: &Path, overwrite: bool) -> Result<ExtractReport, SinkError> {
        self.extract(target, overwrite)
    }
}

struct Breaking;

impl Read for Breaking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the repository is damaged"))
    }
}

/// Puts a script in the place of one of the vendor's programs. In the script `$REAL` is the program itself; asked for its
/// version it answers as that does.
pub(crate) fn wrapped(directory: &Path, name: &str, real: &Path, script: &str) {
    let text = format!(
        "#!/bin/sh\nREAL='{}'\ncase \"$*\" in *--version*) exec \"$REAL\" --version ;; esac\n{script}\n",
        real.display()
    );
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

//! Reads a server's files where they lie.

use super::backup::{Copy, Ended, LogPlace, directory};
use super::facts;
use super::lsn::Lsn;
use super::position::Base;
use super::relation::{Check, Pages, changed_since};
use super::tree::{Found, Kind, Place, What, list, size};
use super::{DATA, TABLESPACES, failed};
use crate::error::EngineError;
use crate::postgresql::backup::file;
use crate::sink::Sink;
use crate::words::plain;
use larder_model::{Entry, EntryKind, Metadata, Timestamp};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// A file that was written to less long ago than this before the last copy was begun may have been written to again within
/// the same tick of the clock.
const SETTLED_SECONDS: i64 = 2;

/// How often the file that names the server's state is read until it is the same twice.
const CONTROL_TRIES: u32 = 100;

impl Copy<'_> {
    /// Copies the files, and says what the copy is, until when the log knows everything, and where the log lies.
    pub(super) fn read(
        &mut self,
        sink: &mut dyn Sink,
        name: String,
        before: Option<&Base>,
    ) -> Result<(Base, i64, LogPlace), EngineError> {
        let begun = facts::now(&mut self.session)?;
        let start = self.begin()?;
        let data = self.facts.data_directory.clone();
        let version = self.facts.major().to_string();
        let listed =
            |path: &Path, place| list(path, place, &version).map_err(|error| self.unreadable(path, &error));
        let found = listed(&data, Place::Data)?;
        let mut tablespaces = Vec::new();
        for (number, location) in &self.facts.tablespaces {
            let path = Path::new(location);
            tablespaces.push((*number, listed(path, Place::Tablespace)?, path.metadata().ok()));
        }
        let (mut files, mut bytes) = size(&found);
        for (_, inside, _) in &tablespaces {
            let (more, larger) = size(inside);
            (files, bytes) = (files + more, bytes + larger);
        }
        // Older copies were taken over already.
        let (done, carried) =
            (self.job.counters.bytes_done.load(Relaxed), self.job.counters.items_done.load(Relaxed));
        self.job.counters.bytes_total.store(done + bytes, Relaxed);
        self.job.counters.items_total.store(carried + files, Relaxed);
        // Times of files say something only as long as the clock goes forward.
        let from = Reading { start, before: before.filter(|before| before.stopped <= begun) };
        match before {
            Some(before) => sink.enter_after(directory(&name), before.name.as_bytes())?,
            None => sink.enter(directory(&name))?,
        }
        if !tablespaces.is_empty() {
            sink.enter(directory(TABLESPACES))?;
            for (number, inside, metadata) in &tablespaces {
                let name = number.to_string();
                sink.enter(
                    metadata.as_ref().map_or_else(|| directory(&name), |known| entry(&name, known, true)),
                )?;
                self.copy_all(sink, inside, &from)?;
                sink.leave()?;
            }
            sink.leave()?;
        }
        let root = data.metadata().map_err(|error| self.unreadable(&data, &error))?;
        sink.enter(entry(DATA, &root, true))?;
        // What all databases share comes last: it holds the file that says what state the rest is in.
        let (last, first): (Vec<Found>, Vec<Found>) =
            found.into_iter().partition(|found| found.name == "global");
        self.copy_all(sink, &first, &from)?;
        self.copy_all(sink, &last, &from)?;
        let ended = self.end()?;
        self.store_label(sink, &ended)?;
        sink.leave()?;
        sink.leave()?;
        if let Some(outside) = self.facts.outside() {
            self.messages.push(format!(
                "the server's files of settings lie in {} and are not in this copy: back them up with the engine files",
                outside.display()
            ));
        }
        let Ended { stop, stopped, known_until, .. } = ended;
        let tablespaces = self.facts.tablespaces.clone();
        let base = Base { name, start, stop, begun, stopped, size: (files, bytes), tablespaces };
        Ok((base, known_until, LogPlace::Server(data.join("pg_wal"))))
    }

    /// Stores what the server wants beside a copy, byte for byte.
    pub(super) fn store_label(&self, sink: &mut dyn Sink, ended: &Ended) -> Result<(), EngineError> {
        for (name, text) in [("backup_label", &ended.label), ("tablespace_map", &ended.map)] {
            if !text.is_empty() {
                sink.stream(file(name, text.len() as u64), &mut text.as_bytes(), None)?;
            }
        }
        Ok(())
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> EngineError {
        let cause = match error.raw_os_error() {
            Some(number) => format!("{}: {}", path.display(), plain(io::Error::from_raw_os_error(number))),
            None => error.to_string(),
        };
        failed(self.action(), cause, "let Larder run as a user that may read all of the server's files")
    }

    fn copy_all(
        &mut self,
        sink: &mut dyn Sink,
        found: &[Found],
        from: &Reading<'_>,
    ) -> Result<(), EngineError> {
        let is_control = |found: &&Found| matches!(found.what, What::File(Kind::Control));
        let (last, first): (Vec<&Found>, Vec<&Found>) = found.iter().partition(is_control);
        for found in first.into_iter().chain(last) {
            self.job.cancel.check()?;
            match &found.what {
                What::Directory(inside) => {
                    sink.enter(entry(&found.name, &found.metadata, true))?;
                    self.copy_all(sink, inside, from)?;
                    sink.leave()?;
                }
                What::File(kind) => self.copy_file(sink, found, *kind, from)?,
            }
        }
        Ok(())
    }

    fn copy_file(
        &mut self,
        sink: &mut dyn Sink,
        found: &Found,
        kind: Kind,
        from: &Reading<'_>,
    ) -> Result<(), EngineError> {
        let path = &found.path;
        let page_bytes = self.facts.page_bytes;
        let entry = entry(&found.name, &found.metadata, false);
        if found.metadata.len() > 1 << 20 {
            self.job.counters.set_current(&path.display().to_string());
        }
        let (Kind::Main { segment } | Kind::Beside { segment }) = kind else {
            return self.copy_plain(sink, entry, path, kind == Kind::Control);
        };
        let is_known = |base: &&Base| matches!(kind, Kind::Main { .. }) && is_settled(found, base);
        if let Some(before) = from.before.filter(is_known)
            && !gone(changed_since(path, page_bytes, before.start, self.job.cancel))
                .map_err(|error| self.broken(path, &error))?
                .unwrap_or(true)
            && sink.carry(found.name.as_bytes())?
        {
            return Ok(());
        }
        let in_one = self.facts.relation_bytes / page_bytes.max(1) as u64;
        let first_page = u64::from(segment).wrapping_mul(in_one) & u64::from(u32::MAX);
        let check = Check {
            page_bytes,
            first_page: u32::try_from(first_page).unwrap_or_default(),
            has_checksums: self.facts.has_checksums,
            since: from.start,
        };
        let opened =
            gone(Pages::open(path, check, self.job.cancel)).map_err(|error| self.broken(path, &error))?;
        // Dropped since it was listed.
        let Some(mut pages) = opened else { return Ok(()) };
        let page = u32::try_from(page_bytes).ok();
        self.pass(sink, entry, &mut pages, page, path)
    }

    fn copy_plain(
        &mut self,
        sink: &mut dyn Sink,
        entry: Entry,
        path: &Path,
        is_control: bool,
    ) -> Result<(), EngineError> {
        if is_control {
            let bytes = control(path).map_err(|error| self.broken(path, &error))?;
            return self.pass(sink, entry, &mut bytes.as_slice(), None, path);
        }
        match gone(std::fs::File::open(path)).map_err(|error| self.broken(path, &error))? {
            None => Ok(()),
            // What is added to a file of messages while it is read need not be in the copy.
            Some(file) => {
                let length = file.metadata().map_err(|error| self.broken(path, &error))?.len();
                self.pass(sink, entry, &mut file.take(length), None, path)
            }
        }
    }

    /// Hands a file over, and tells a source that broke from a destination that did.
    fn pass(
        &self,
        sink: &mut dyn Sink,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        path: &Path,
    ) -> Result<(), EngineError> {
        let mut watched = Watched { inner: bytes, broken: None };
        let passed = sink.stream(entry, &mut watched, page_bytes);
        match (watched.broken, passed) {
            (Some(error), _) => Err(self.broken(path, &error)),
            (None, Err(error)) => {
                self.job.cancel.check()?;
                Err(error.into())
            }
            (None, Ok(_)) => Ok(()),
        }
    }

    fn broken(&self, path: &Path, error: &io::Error) -> EngineError {
        if let Err(canceled) = self.job.cancel.check() {
            return canceled.into();
        }
        match error.kind() {
            io::ErrorKind::InvalidData => failed(
                format!("reading {}", path.display()),
                error.to_string(),
                "that part of the server's data is damaged on its disk: check the disk, restore the last good backup beside it and compare",
            ),
            _ => self.unreadable(path, error),
        }
    }
}

/// What a copy is made against.
struct Reading<'a> {
    start: Lsn,
    before: Option<&'a Base>,
}

/// Says whether nobody can have written to a file since before the last copy was begun. Not believed alone: its pages
/// must say the same.
fn is_settled(found: &Found, before: &Base) -> bool {
    let begun = before.begun / 1_000_000 - SETTLED_SECONDS;
    found.metadata.ctime() < begun && found.metadata.mtime() < begun
}

/// Takes what is not there any more for nothing.
fn gone<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file that is overwritten in place until it is the same twice.
fn control(path: &Path) -> io::Result<Vec<u8>> {
    let mut last = std::fs::read(path)?;
    for _ in 0..CONTROL_TRIES {
        let now = std::fs::read(path)?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Err(io::Error::other(format!("{} changes all the time", path.display())))
}

/// Makes the entry of a file or directory as it is on the server.
fn entry(name: &str, known: &std::fs::Metadata, is_directory: bool) -> Entry {
    let modified = Timestamp {
        seconds: known.mtime(),
        nanoseconds: u32::try_from(known.mtime_nsec()).unwrap_or_default(),
    };
    let metadata = Metadata {
        mode: known.mode() & 0o7777,
        uid: known.uid(),
        gid: known.gid(),
        modified,
        accessed: modified,
        changed: modified,
        links: 1,
        size: if is_directory { 0 } else { known.len() },
        ..Metadata::default()
    };
    let kind = if is_directory { EntryKind::Directory } else { EntryKind::File };
    Entry { name: name.into(), kind, metadata }
}

/// Remembers why reading failed.
struct Watched<'a> {
    inner: &'a mut dyn Read,
    broken: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let told = io::Error::new(error.kind(), error.to_string());
            self.broken = Some(error);
            told
        })
    }
}

//! A file of a relation, read while the server writes to it.

use super::lsn::Lsn;
use super::page;
use larder_model::Cancel;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How much is read at once; whole pages of every size that servers can have.
const READ_BYTES: usize = 256 << 10;

/// How often a page that does not fit its checksum is read again: it may be half written at that moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// How the pages of a file are held against what they should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    /// How long a page is, in bytes.
    pub(super) page_bytes: usize,
    /// The number of the file's first page within its relation.
    pub(super) first_page: u32,
    /// Whether pages have checksums.
    pub(super) has_checksums: bool,
    /// A page that changed after this place is replaced whole when the log is replayed, so it need not be sound.
    pub(super) since: Lsn,
}

/// Reads a relation's file up to where it ended when it was opened: what comes after that is in the log.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    file: File,
    check: Check,
    cancel: &'a Cancel,
    buffer: Vec<u8>,
    /// What of the buffer is not yet given out.
    rest: std::ops::Range<usize>,
    /// Where the file is read next, and where its end is.
    offset: u64,
    end: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn open(path: &Path, check: Check, cancel: &'a Cancel) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Self { file, check, cancel, buffer: Vec::new(), rest: 0..0, offset: 0, end })
    }

    fn fill(&mut self) -> io::Result<()> {
        self.cancel.check().map_err(io::Error::other)?;
        let wanted = usize::try_from(self.end - self.offset).unwrap_or(READ_BYTES).min(READ_BYTES);
        self.buffer.resize(wanted, 0);
        let mut length = 0;
        while length < wanted {
            let into = self.buffer.get_mut(length..).unwrap_or_default();
            match self.file.read_at(into, self.offset + length as u64) {
                // The relation was cut short meanwhile, which is in the log.
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.check.has_checksums {
            self.check_pages(length)?;
        }
        self.rest = 0..length;
        self.offset = if length < wanted { self.end } else { self.offset + length as u64 };
        Ok(())
    }

    fn check_pages(&mut self, length: usize) -> io::Result<()> {
        let Check { page_bytes, first_page, since, .. } = self.check;
        let begin = self.offset / page_bytes as u64;
        let bytes = self.buffer.get_mut(..length).unwrap_or_default();
        for (number, page) in (begin..).zip(bytes.chunks_exact_mut(page_bytes)) {
            let in_relation = first_page.wrapping_add(u32::try_from(number).unwrap_or(u32::MAX));
            let mut tries = 0;
            while page::lsn(page) <= since && !page::is_sound(page, in_relation) {
                self.cancel.check().map_err(io::Error::other)?;
                if tries == TRIES {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the page {number} does not fit its checksum"),
                    ));
                }
                tries += 1;
                thread::sleep(PAUSE);
                self.file.read_exact_at(page, number * page_bytes as u64)?;
            }
        }
        Ok(())
    }
}

impl Read for Pages<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            if self.offset >= self.end {
                return Ok(0);
            }
            self.fill()?;
        }
        let ready = self.buffer.get(self.rest.clone()).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        if let (Some(into), Some(from)) = (buffer.get_mut(..length), ready.get(..length)) {
            into.copy_from_slice(from);
        }
        self.rest.start += length;
        Ok(length)
    }
}

/// Says whether any page of a file changed after a place in the log; a file that does not end with a whole page did.
pub(super) fn changed_since(path: &Path, page_bytes: usize, since: Lsn, cancel: &Cancel) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        cancel.check().map_err(io::Error::other)?;
        let mut length = 0;
        while length < buffer.len() {
            match file.read(buffer.get_mut(length..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let pages = buffer.get(..length).unwrap_or_default().chunks_exact(page_bytes.max(1));
        if !pages.remainder().is_empty() || pages.into_iter().any(|page| page::lsn(page) > since) {
            return Ok(true);
        }
        if length < READ_BYTES {
            return Ok(false);
        }
    }
}

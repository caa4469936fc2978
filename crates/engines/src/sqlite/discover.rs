//! Finds the SQLite databases below a directory.

use super::failure::file;
use super::header::{MAGIC, SUFFIXES};
use super::{locator_of, suggested_name};
use crate::engine::FoundDatabase;
use crate::error::EngineError;
use crate::held::CarefulFile;
use crate::walk::{Place, Visitor, Walk};
use crate::words::plain;
use larder_model::{Cancel, Source};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The usual endings of SQLite files: one that may not be read is taken for a database, so that its backup says so.
pub(super) const ENDINGS: [&[u8]; 6] = [b".db", b".db3", b".sqlite", b".sqlite3", b".s3db", b".sl3"];

pub(super) fn discover(
    source: &Source,
    own_directories: &[PathBuf],
) -> Result<Vec<FoundDatabase>, EngineError> {
    let root = Path::new(&source.address);
    let metadata = root.metadata().map_err(|error| file("reading", root, error))?;
    if !metadata.is_dir() {
        return Ok(vec![FoundDatabase { suggested_name: suggested_name(root), locator: locator_of(root) }]);
    }
    let mut search = Search { found: Vec::new() };
    Walk { root, source, own_directories, cancel: &Cancel::new() }.run(&mut search)?;
    Ok(search.found)
}

struct Search {
    found: Vec<FoundDatabase>,
}

impl Visitor for Search {
    fn enter(&mut self, _: &Place<'_>, _: &Stat) -> Result<(), EngineError> {
        Ok(())
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn other(&mut self, place: &Place<'_>, stat: &Stat) -> Result<(), EngineError> {
        let name = place.name.to_bytes();
        let is_candidate = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_size >= 100
            && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix.as_bytes()));
        if is_candidate && is_database(place)? {
            let path = place.path();
            self.found
                .push(FoundDatabase { suggested_name: suggested_name(path), locator: locator_of(path) });
        }
        Ok(())
    }

    /// A part that cannot be seen may hold databases: it is not known that there are none.
    fn unreadable(&mut self, path: &Path, cause: Errno) -> Result<(), EngineError> {
        Err(EngineError::Failed {
            action: format!("looking for databases in {}", path.display()),
            cause: plain(cause),
            remedy: "give the user that Larder runs as the right to read it, or exclude it from the source"
                .to_owned(),
        })
    }
}

fn is_database(place: &Place<'_>) -> Result<bool, EngineError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut found = [0; MAGIC.len()];
    let read = rustix::fs::openat(place.directory, place.name, flags, Mode::empty())
        .map(|opened| CarefulFile::from(File::from(opened)))
        .and_then(|opened| {
            opened.get().map_err(|_| Errno::NOENT).and_then(|file| rustix::io::read(file, &mut found))
        });
    match read {
        Ok(length) => Ok(length == found.len() && found == *MAGIC),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => {
            let name = place.name.to_bytes().to_ascii_lowercase();
            Ok(ENDINGS.iter().any(|ending| name.ends_with(ending)))
        }
        Err(error) => Err(file("reading", place.path(), error.into())),
    }
}

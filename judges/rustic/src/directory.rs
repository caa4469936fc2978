//! A directory as rustic's engine sees it: read, never written.

use bytes::Bytes;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A repository in a directory.
#[derive(Debug)]
pub struct Directory(PathBuf);

fn failed(what: &str, error: io::Error) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, what, error)
}

fn refused() -> Box<RusticError> {
    RusticError::new(ErrorKind::Backend, "a judge writes nothing")
}

impl Directory {
    /// Names the directory.
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        let name = id.to_hex();
        let folder = self.0.join(kind.dirname());
        match kind {
            FileType::Config => folder,
            FileType::Pack => folder.join(&name[..2]).join(name.as_str()),
            _ => folder.join(name.as_str()),
        }
    }

    fn list_folder(folder: PathBuf, found: &mut Vec<(Id, u32)>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                Self::list_folder(entry.path(), found)?;
            } else {
                let id = entry.file_name().to_string_lossy().parse().map_err(io::Error::other)?;
                found.push((id, u32::try_from(metadata.len()).map_err(io::Error::other)?));
            }
        }
        Ok(())
    }
}

impl ReadBackend for Directory {
    fn location(&self) -> String {
        self.0.display().to_string()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let folder = self.0.join(kind.dirname());
        if kind == FileType::Config {
            let size =
                fs::metadata(folder).map_err(|error| failed("look up the configuration", error))?.len();
            return Ok(vec![(Id::default(), size as u32)]);
        }
        let mut found = Vec::new();
        match Self::list_folder(folder, &mut found) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("list", error)),
            Ok(()) => Ok(found),
        }
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        fs::read(self.path(kind, id)).map(Bytes::from).map_err(|error| failed("read", error))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let mut bytes = vec![0; length as usize];
        let read = File::open(self.path(kind, id))
            .and_then(|file| file.read_exact_at(&mut bytes, u64::from(offset)));
        read.map(|()| Bytes::from(bytes)).map_err(|error| failed("read", error))
    }

    /// Only asked for where packs lie in a cold class, which a directory has not.
    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.path(kind, id).display().to_string()
    }
}

impl WriteBackend for Directory {
    fn write_bytes(&self, _: FileType, _: &Id, _: bool, _: BytesList) -> RusticResult<()> {
        Err(refused())
    }

    fn remove(&self, _: FileType, _: &Id, _: bool) -> RusticResult<()> {
        Err(refused())
    }
}

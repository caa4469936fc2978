//! A backup that cannot be read to its end.

use crate::memory::MemoryBackup;
use larder_engines::{BackupReader, ExtractReport, ListedEntry, SinkError};
use std::io::{self, Read};
use std::path::Path;

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

//! An engine's sink over a repository's writer, as the service has one.

use larder_engines::{Content, Sink, SinkError};
use larder_model::Entry;
use larder_repository::{BackupWriter, FileContent, RepositoryError};
use std::io::{self, Read};

/// Gives an engine's entries to the writer.
pub(crate) struct WriterSink<'a>(pub(crate) &'a mut BackupWriter);

struct Forwarded(Box<dyn Content>);

impl FileContent for Forwarded {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        self.0.open()
    }

    fn display_path(&self) -> String {
        self.0.display_path()
    }
}

fn passed_on<T>(result: Result<T, RepositoryError>) -> Result<T, SinkError> {
    result.map_err(|error| SinkError(Box::new(error)))
}

impl Sink for WriterSink<'_> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        passed_on(self.0.enter(directory))
    }

    fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), SinkError> {
        passed_on(self.0.enter_after(directory, before))
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        passed_on(self.0.leave())
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        passed_on(self.0.file(entry, Box::new(Forwarded(content))))
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        passed_on(self.0.stream(entry, bytes, page_bytes))
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        passed_on(self.0.carry(name))
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        passed_on(self.0.special(entry))
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.0.unreadable(path, cause);
        Ok(())
    }
}

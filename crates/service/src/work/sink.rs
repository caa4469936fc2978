//! Where engines and the repository meet: an engine's sink over a repository's writer.

use crate::work::throttle::Gate;
use larder_engines::{Content, Sink, SinkError};
use larder_model::Entry;
use larder_repository::{BackupWriter, FileContent, RepositoryError};
use std::io::{self, Read};

/// Gives an engine's entries to the writer.
pub(crate) struct WriterSink<'a> {
    pub(crate) writer: &'a mut BackupWriter,
    /// How fast may be read, where that is limited.
    pub(crate) gate: Option<Gate>,
}

/// An engine's file content in the words of the repository.
struct Forwarded {
    content: Box<dyn Content>,
    gate: Option<Gate>,
}

impl FileContent for Forwarded {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        match self.gate {
            None => self.content.open(),
            Some(gate) => {
                gate.pass()?;
                Ok(Box::new(gate.reader(self.content.open()?)))
            }
        }
    }

    fn display_path(&self) -> String {
        self.content.display_path()
    }
}

fn passed_on<T>(result: Result<T, RepositoryError>) -> Result<T, SinkError> {
    result.map_err(|error| SinkError(Box::new(error)))
}

impl Sink for WriterSink<'_> {
    fn enter(&mut self, directory: Entry) -> Result<(), SinkError> {
        passed_on(self.writer.enter(directory))
    }

    fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), SinkError> {
        passed_on(self.writer.enter_after(directory, before))
    }

    fn leave(&mut self) -> Result<(), SinkError> {
        passed_on(self.writer.leave())
    }

    fn file(&mut self, entry: Entry, content: Box<dyn Content>) -> Result<(), SinkError> {
        let gate = self.gate.clone();
        passed_on(self.writer.file(entry, Box::new(Forwarded { content, gate })))
    }

    fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, SinkError> {
        passed_on(match &self.gate {
            None => self.writer.stream(entry, bytes, page_bytes),
            Some(gate) => self.writer.stream(entry, &mut gate.reader(bytes), page_bytes),
        })
    }

    fn stream_unless(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        is_void: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, SinkError> {
        passed_on(match &self.gate {
            None => self.writer.stream_unless(entry, bytes, page_bytes, is_void),
            Some(gate) => self.writer.stream_unless(entry, &mut gate.reader(bytes), page_bytes, is_void),
        })
    }

    fn carry(&mut self, name: &[u8]) -> Result<bool, SinkError> {
        passed_on(self.writer.carry(name))
    }

    fn carry_same(&mut self, entry: &Entry) -> Result<bool, SinkError> {
        passed_on(self.writer.carry_same(entry))
    }

    fn about_to_read(&mut self, bytes: u64) -> Result<(), SinkError> {
        match &self.gate {
            Some(gate) => gate.pass_bytes(bytes).map_err(|error| SinkError(error.into())),
            None => Ok(()),
        }
    }

    fn special(&mut self, entry: Entry) -> Result<(), SinkError> {
        passed_on(self.writer.special(entry))
    }

    fn settle(&mut self) -> Result<(), SinkError> {
        passed_on(self.writer.settle())
    }

    fn unreadable(&mut self, path: &str, cause: &str) -> Result<(), SinkError> {
        self.writer.unreadable(path, cause);
        Ok(())
    }
}

//! Loads dumps into a server.

use super::client::Client;
use super::failure;
use super::quote;
use crate::error::EngineError;
use crate::tool::{Running, ToolFailure};
use std::io::Read;

/// How much is read at once.
const PIECE_BYTES: usize = 1 << 18;

/// Feeds statements to a server; the first that fails ends it.
pub(super) struct Loader<'a> {
    client: &'a Client,
    running: Running,
    action: String,
}

impl<'a> Loader<'a> {
    pub(super) fn start(
        client: &'a Client,
        database: Option<&str>,
        action: String,
    ) -> Result<Self, EngineError> {
        let (tool, run) = client.loading(database);
        let started = tool.start(run.quiet());
        let running = started.map_err(|failure| failure::explain(failure, &action, &client.address))?;
        Ok(Self { client, running, action })
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.running.feed(bytes).map_err(|failure| self.explain(failure))
    }

    /// Feeds all of a stream, and returns its length.
    pub(super) fn feed_all(&mut self, stream: &mut dyn Read) -> Result<u64, EngineError> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            self.client.cancel.check()?;
            let read = stream.read(&mut buffer);
            let length = read.map_err(|error| {
                failure::failed(
                    "reading the backup",
                    error.to_string(),
                    "check the repository, or restore from another destination",
                )
            })?;
            if length == 0 {
                return Ok(bytes);
            }
            bytes += length as u64;
            self.feed(buffer.get(..length).unwrap_or_default())?;
        }
    }

    /// Waits until everything is done.
    pub(super) fn finish(mut self) -> Result<(), EngineError> {
        let ended = self.running.finish();
        ended.map_err(|failure| self.explain(failure))
    }

    fn explain(&self, failure: ToolFailure) -> EngineError {
        failure::explain(failure, &self.action, &self.client.address)
    }
}

/// Makes the definitions of tables forget the database they came from.
///
/// A column whose default is the next value of a sequence names the sequence with its database; in a database of another
/// name it would go on counting in the old one.
pub(super) struct Unbound<R> {
    inner: R,
    /// What is taken out: `` nextval(`shop`. ``.
    bound: Vec<u8>,
    line: Vec<u8>,
    is_row: bool,
    ready: Vec<u8>,
    sent: usize,
    ended: bool,
}

/// No definition of a column is longer.
const LINE_BYTES: usize = 1 << 16;

impl<R: Read> Unbound<R> {
    pub(super) fn new(inner: R, database: &str) -> Self {
        let bound = format!("nextval({}.", quote::name(database)).into_bytes();
        Self { inner, bound, line: Vec::new(), is_row: false, ready: Vec::new(), sent: 0, ended: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_row {
                self.ready.push(*byte);
                self.is_row = *byte != b'\n';
                continue;
            }
            self.line.push(*byte);
            let is_column = b"  `".starts_with(self.line.get(..3).unwrap_or(&self.line));
            if *byte == b'\n' {
                self.end_line();
            } else if !is_column || self.line.len() > LINE_BYTES {
                self.ready.append(&mut self.line);
                self.is_row = true;
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let place = line.windows(self.bound.len()).position(|window| window == self.bound);
        match place {
            Some(place) => {
                self.ready.extend_from_slice(line.get(..place).unwrap_or_default());
                self.ready.extend_from_slice(b"nextval(");
                self.ready.extend_from_slice(line.get(place + self.bound.len()..).unwrap_or_default());
            }
            None => self.ready.extend_from_slice(&line),
        }
    }
}

impl<R: Read> Read for Unbound<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.sent == self.ready.len() && !self.ended {
            self.ready.clear();
            self.sent = 0;
            let mut piece = vec![0; PIECE_BYTES];
            let length = self.inner.read(&mut piece)?;
            self.ended = length == 0;
            self.take(piece.get(..length).unwrap_or_default());
            if self.ended {
                self.ready.append(&mut self.line);
            }
        }
        let rest = self.ready.get(self.sent..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.sent += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definitions_of_columns_are_changed() {
        let text = "CREATE TABLE `t` (\n  `id` int DEFAULT nextval(`a``b`.`s`),\n  `x` int\n);\n\
                    INSERT INTO `t` VALUES\n(1,'nextval(`a``b`.`s`)'),\n('  `nextval(`a``b`.');\n  `";
        let mut read = String::new();
        Unbound::new(text.as_bytes(), "a`b").read_to_string(&mut read).unwrap();
        assert_eq!(read, text.replacen("nextval(`a``b`.`s`)", "nextval(`s`)", 1));
    }
}

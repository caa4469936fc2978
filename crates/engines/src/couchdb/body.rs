//! The body of a question that stores documents: their texts, with attachments put in as they are read.

use super::raw;
use super::segment::{Attachment, Line, beside};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::words::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_model::Cancel;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io::{self, Read};

/// How much of an attachment is held at once; a multiple of 3, so that no padding comes before its end.
const PIECE: usize = 3 << 14;

/// What a body is put together of.
#[derive(Debug)]
enum Part {
    Text(String),
    /// A file of the backup, to be written in base64, and the hash that it must have.
    File {
        path: String,
        sha256: String,
    },
}

/// A list of documents on their way to a server.
#[derive(Debug, Default)]
pub(super) struct Documents {
    parts: VecDeque<Part>,
    text_bytes: usize,
    documents: usize,
}

impl Documents {
    pub(super) const fn is_empty(&self) -> bool {
        self.documents == 0
    }

    pub(super) const fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    fn text(&mut self, text: &str) {
        self.text_bytes += text.len();
        match self.parts.back_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push_back(Part::Text(text.to_owned())),
        }
    }

    /// Adds all revisions of a document that lies in a file of the backup.
    pub(super) fn add(&mut self, file: &str, line: &Line) -> Result<(), EngineError> {
        for leaf in &line.leaves {
            let head = if self.documents == 0 { "{\"new_edits\":false,\"docs\":[" } else { "," };
            self.text(head);
            self.documents += 1;
            let strange =
                || super::segment::strange(format!("the document {} in {file} cannot be read", line.id));
            let parts = raw::object(leaf).ok_or_else(strange)?;
            let Some(stubs) = raw::field(&parts, "_attachments") else {
                self.text(leaf);
                continue;
            };
            let others: Vec<_> = parts.iter().filter(|(name, _)| name != "_attachments").cloned().collect();
            let others = raw::write(&others);
            self.text(others.strip_suffix('}').unwrap_or_default());
            self.text(",\"_attachments\":{");
            for (place, (name, stub)) in raw::object(stubs).ok_or_else(strange)?.into_iter().enumerate() {
                let stub: Value = serde_json::from_str(stub).map_err(|_| strange())?;
                let digest = stub.get("digest").and_then(Value::as_str).unwrap_or_default();
                let is_it = |known: &&Attachment| known.name == name && known.digest == digest;
                let attachment = line.attachments.iter().find(is_it).ok_or_else(strange)?;
                let kind =
                    stub.get("content_type").and_then(Value::as_str).unwrap_or("application/octet-stream");
                let place = if place > 0 { "," } else { "" };
                let (name, kind) = (raw::quoted(&name), raw::quoted(kind));
                let revision = stub.get("revpos").and_then(Value::as_u64).unwrap_or(1);
                self.text(&format!(
                    "{place}{name}:{{\"content_type\":{kind},\"revpos\":{revision},\"data\":\""
                ));
                let (path, sha256) = (beside(file, attachment), attachment.sha256.clone());
                self.parts.push_back(Part::File { path, sha256 });
                self.text("\"}");
            }
            self.text("}}");
        }
        Ok(())
    }

    /// Gives the body to be sent, whose attachments are read from the backup as it goes.
    pub(super) fn body<'a>(mut self, backup: &'a dyn BackupReader, cancel: &'a Cancel) -> Body<'a> {
        self.text("]}");
        Body { parts: self.parts, backup, cancel, open: None, ready: Vec::new(), place: 0 }
    }
}

/// A body as it is read.
pub(super) struct Body<'a> {
    parts: VecDeque<Part>,
    backup: &'a dyn BackupReader,
    cancel: &'a Cancel,
    /// The attachment that is being read.
    open: Option<Open<'a>>,
    ready: Vec<u8>,
    place: usize,
}

struct Open<'a> {
    reader: Box<dyn Read + Send + 'a>,
    hash: Sha256,
    path: String,
    sha256: String,
}

impl<'a> Body<'a> {
    /// Gets the next piece; says whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        self.cancel.check().map_err(io::Error::other)?;
        self.place = 0;
        if let Some(open) = self.open.take() {
            self.encode(open)?;
            return Ok(true);
        }
        match self.parts.pop_front() {
            None => return Ok(false),
            Some(Part::Text(text)) => self.ready = text.into_bytes(),
            Some(Part::File { path, sha256 }) => {
                let reader = self.backup.open(path.as_bytes()).map_err(io::Error::other)?;
                self.encode(Open { reader, hash: Sha256::new(), path, sha256 })?;
            }
        }
        Ok(true)
    }

    /// Makes the next piece of an attachment ready.
    fn encode(&mut self, mut open: Open<'a>) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let length = fill(&mut open.reader, &mut piece)?;
        let piece = piece.get(..length).unwrap_or_default();
        open.hash.update(piece);
        self.ready = STANDARD.encode(piece).into_bytes();
        if length == PIECE {
            self.open = Some(open);
        } else if hex(&open.hash.finalize()) != open.sha256 {
            // The server gets no end to what it was sent, and so stores nothing of it.
            return Err(io::Error::other(format!("{} in the backup is not what was backed up", open.path)));
        }
        Ok(())
    }
}

/// Reads until a buffer is full or the end is reached.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.place == self.ready.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let there = self.ready.get(self.place..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer.get_mut(..length).unwrap_or_default().copy_from_slice(there.get(..length).unwrap_or_default());
        self.place += length;
        Ok(length)
    }
}

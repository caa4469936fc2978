//! Reads a database by its changes feed.

use super::raw;
use super::segment::{ABOUT, Attachment, Contents, DOCUMENTS, Line};
use super::server::{About, Change, Server, sequence_number};
use crate::dump;
use crate::engine::{BackupJob, BackupReport};
use crate::error::EngineError;
use crate::sink::Sink;
use crate::words::{count, grouped};
use larder_model::{BackupKind, Counters, EntryKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many documents are asked for at once.
const PAGE: usize = 500;

/// How often a document that is changed while it is read is read again.
const ROUNDS: u32 = 5;

/// The name under which a report keeps how many documents a segment has; the segment follows.
pub(super) const LINES: &str = "Documents in segment ";
const DOCUMENTS_THERE: &str = "Documents";

/// Where the next incremental goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Position {
    pub(super) sequence: Value,
    /// When the database was made: another of the same name is not gone on with.
    born: String,
    pub(super) settings: String,
    segments: u32,
}

impl Position {
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Says whether a database is still the one that this position is of.
    pub(super) fn is_of(&self, about: &About) -> bool {
        let numbers = (sequence_number(&self.sequence), sequence_number(&about.sequence));
        // A database that was made anew counts its changes anew; releases that say when it was made are asked for that.
        self.born == about.born && matches!(numbers, (Some(before), Some(now)) if before <= now)
    }
}

pub(super) fn backup(job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
    let server = Server::of(job.source)?;
    let database = job.database.locator.as_str();
    let about = server.about(database)?.ok_or_else(|| super::gone(database, &server))?;
    job.counters.set_current(database);
    job.counters.items_total.store(about.documents, std::sync::atomic::Ordering::Relaxed);
    let mut messages = Vec::new();
    let previous = carry_on(job, &about, sink, &mut messages)?;
    let (since, segments) = match &previous {
        Some((position, _)) => (position.sequence.clone(), position.segments),
        None => (Value::from(0), 0),
    };
    let mut evidence = previous.map(|(_, evidence)| evidence).unwrap_or_default();
    let mut reading = Reading {
        job,
        server: &server,
        database,
        sink,
        segment: segments,
        batch: 0,
        is_begun: false,
        lines: 0,
        gone: 0,
    };
    let last = reading.read(since, &about)?;
    let (lines, gone, is_begun) = (reading.lines, reading.gone, reading.is_begun);
    if gone > 0 {
        messages
            .push(format!("{} purged while the backup ran", count(gone, "document was", "documents were")));
    }
    let segments = segments + u32::from(is_begun);
    if is_begun {
        evidence.push((format!("{LINES}{:06}", segments - 1), lines.to_string()));
    }
    evidence.push((DOCUMENTS_THERE.to_owned(), about.documents.to_string()));
    let settings = about.settings();
    let contents = Contents {
        format: 1,
        database: database.to_owned(),
        segments,
        security: about.security.clone(),
        revisions_limit: about.revisions_limit,
    };
    let text = serde_json::to_string_pretty(&contents).unwrap_or_default();
    dump::stream(job, ABOUT, sink, &mut text.as_bytes(), "writing what the backup is of")?;
    let position = Position { sequence: last, born: about.born, settings, segments };
    Ok(BackupReport { position: serde_json::to_string(&position).ok(), evidence, messages })
}

type Previous = (Position, Vec<(String, String)>);

/// Takes over the segments of the previous backup, where it can be gone on from; `None` makes a full.
fn carry_on(
    job: &BackupJob<'_>,
    about: &About,
    sink: &mut dyn Sink,
    messages: &mut Vec<String>,
) -> Result<Option<Previous>, EngineError> {
    let previous = job.previous.filter(|_| job.kind == BackupKind::Incremental);
    let Some(report) = previous else { return Ok(None) };
    let position = report.position.as_deref().and_then(Position::from_text);
    let Some(position) = position.filter(|position| position.is_of(about)) else {
        messages
            .push("the database was made anew since the last backup, so that everything was read".to_owned());
        return Ok(None);
    };
    for number in 0..position.segments {
        if sink.carry(format!("{number:06}").as_bytes())? {
            continue;
        }
        if number == 0 {
            messages.push("the previous backup lacks its documents, so that everything was read".to_owned());
            return Ok(None);
        }
        return Err(EngineError::Failed {
            action: format!("taking over the previous backup of {}", job.database.locator),
            cause: format!("it lacks the segment {number:06}"),
            remedy: "start a full backup".to_owned(),
        });
    }
    let evidence = report.evidence.iter().filter(|(name, _)| name.starts_with(LINES)).cloned().collect();
    Ok(Some((position, evidence)))
}

struct Reading<'a> {
    job: &'a BackupJob<'a>,
    server: &'a Server,
    database: &'a str,
    sink: &'a mut dyn Sink,
    segment: u32,
    batch: u32,
    is_begun: bool,
    lines: u64,
    gone: u64,
}

impl Reading<'_> {
    /// Reads all changes behind a sequence; returns where the feed then stood.
    fn read(&mut self, mut since: Value, about: &About) -> Result<Value, EngineError> {
        let goal = sequence_number(&about.sequence);
        loop {
            self.job.cancel.check()?;
            let page = self.server.changes(self.database, &since, PAGE)?;
            since = page.last;
            if !page.changes.is_empty() {
                if !self.is_begun {
                    let name = format!("{:06}", self.segment);
                    self.sink.enter(dump::entry(&name, EntryKind::Directory, self.job.staging))?;
                    self.is_begun = true;
                }
                self.batch(&page.changes)?;
            }
            // A database that is written to all the time has no end; what comes later is the next run's.
            let is_there = matches!((sequence_number(&since), goal), (Some(now), Some(goal)) if now >= goal);
            if page.changes.len() < PAGE || page.pending == Some(0) || is_there {
                break;
            }
        }
        if self.is_begun {
            self.sink.leave()?;
        }
        Ok(since)
    }

    /// Writes one file of documents, and before it their attachments.
    fn batch(&mut self, changes: &[Change]) -> Result<(), EngineError> {
        let found = self.fetch(changes)?;
        let mut text = String::new();
        let mut serial = 0;
        for (change, leaves) in changes.iter().zip(found) {
            self.job.cancel.check()?;
            match self.document(change, leaves, &mut serial)? {
                Some(line) => {
                    text.push_str(&line.to_text());
                    self.lines += 1;
                }
                None => self.gone += 1,
            }
            Counters::add(&self.job.counters.items_done, 1);
        }
        let name = format!("{:06}{DOCUMENTS}", self.batch);
        self.batch += 1;
        let action = format!("writing documents of {}", self.database);
        dump::stream(self.job, &name, self.sink, &mut text.as_bytes(), &action).map(drop)
    }

    fn fetch(&self, changes: &[Change]) -> Result<Vec<Vec<String>>, EngineError> {
        self.server.documents_in_parts(self.database, changes, self.job.cancel)
    }

    /// Completes one document with its attachments; `None` where it is gone without a trace.
    fn document(
        &mut self,
        change: &Change,
        leaves: Vec<String>,
        serial: &mut u32,
    ) -> Result<Option<Line>, EngineError> {
        let (mut wanted, mut leaves) = (change.clone(), leaves);
        let mut attachments = Vec::new();
        for _ in 0..ROUNDS {
            if leaves.len() == wanted.leaves.len()
                && self.attachments(&wanted.id, &leaves, &mut attachments, serial)?
            {
                return Ok(Some(Line { id: wanted.id, leaves, attachments }));
            }
            // It was changed meanwhile, and what it was is gone already: take it as it is now.
            wanted.leaves = self.server.leaves(self.database, &wanted.id)?;
            if wanted.leaves.is_empty() {
                return Ok(None);
            }
            leaves = self.fetch(std::slice::from_ref(&wanted))?.pop().unwrap_or_default();
        }
        Err(EngineError::Failed {
            action: format!("reading the document {} of {}", change.id, self.database),
            cause: "it is changed faster than it can be read".to_owned(),
            remedy: "start the backup again at a calmer time".to_owned(),
        })
    }

    /// Writes the attachments that are not there yet; says whether all could be had.
    fn attachments(
        &mut self,
        id: &str,
        leaves: &[String],
        known: &mut Vec<Attachment>,
        serial: &mut u32,
    ) -> Result<bool, EngineError> {
        for leaf in leaves {
            let strange = || EngineError::Failed {
                action: format!("reading the document {id} of {}", self.database),
                cause: "the server sent something else than a document".to_owned(),
                remedy: "see what the server's own log says".to_owned(),
            };
            let parts = raw::object(leaf).ok_or_else(strange)?;
            let revision: Option<String> =
                raw::field(&parts, "_rev").and_then(|revision| serde_json::from_str(revision).ok());
            let revision = revision.ok_or_else(strange)?;
            let Some(stubs) = raw::field(&parts, "_attachments") else { continue };
            for (name, stub) in raw::object(stubs).ok_or_else(strange)? {
                let stub: Value = serde_json::from_str(stub).map_err(|_| strange())?;
                let digest = stub.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned();
                if known.iter().any(|known| known.name == name && known.digest == digest) {
                    continue;
                }
                let Some(answer) = self.server.attachment(self.database, id, &name, &revision)? else {
                    return Ok(false);
                };
                let file = format!("{:06}-{serial:06}.bin", self.batch);
                *serial += 1;
                let action =
                    format!("reading the attachment {name} of the document {id} of {}", self.database);
                let carried = dump::stream(self.job, &file, self.sink, &mut answer.into_reader(), &action)?;
                let length = stub.get("length").and_then(Value::as_u64);
                if length.is_some_and(|length| length != carried.bytes) {
                    return Err(EngineError::Failed {
                        action,
                        cause: format!(
                            "{} bytes came instead of {}",
                            grouped(carried.bytes),
                            grouped(length.unwrap_or_default())
                        ),
                        remedy: "start the backup again".to_owned(),
                    });
                }
                known.push(Attachment { name, digest, file, bytes: carried.bytes, sha256: carried.sha256 });
            }
        }
        Ok(true)
    }
}

//! Compares: a backup with itself, and a restored database with its backup.

use super::backup::LINES;
use super::raw;
use super::segment::{Line, beside, contents, files, for_each_line, strange};
use super::server::{Change, Server};
use crate::dump::{Observed, recorded};
use crate::engine::{BackupReport, CompareJob, Comparison, RestoreTarget};
use crate::error::{EngineError, SinkError};
use crate::sink::BackupReader;
use crate::words::count;
use larder_model::{Cancel, Canceled, EntryKind};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How many documents are compared at once.
const TOGETHER: usize = 200;

/// So many differences are enough to see what is wrong.
const MOST: usize = 20;

/// What a backup was found to hold.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The number of documents in each segment.
    pub(super) lines: BTreeMap<String, u64>,
    pub(super) attachments: u64,
}

impl Walked {
    pub(super) fn documents(&self) -> u64 {
        self.lines.values().sum()
    }
}

/// Reads a whole backup: every document must be one, and every attachment what it was.
pub(super) fn walk(backup: &dyn BackupReader, cancel: &Cancel) -> Result<Walked, EngineError> {
    let wanted = contents(backup)?.segments;
    let mut walked = Walked::default();
    for file in files(backup)? {
        let segment = file.split('/').next().unwrap_or_default().to_owned();
        let lines = walked.lines.entry(segment).or_default();
        for_each_line(backup, &file, cancel, &mut |line| {
            *lines += 1;
            whole(&line, &file)?;
            for attachment in &line.attachments {
                walked.attachments += 1;
                if hash_of(backup, &beside(&file, attachment), cancel)? != attachment.sha256 {
                    return Err(strange(format!(
                        "the attachment {} of {} was altered",
                        attachment.name, line.id
                    )));
                }
            }
            Ok(())
        })?;
    }
    match u32::try_from(walked.lines.len()) == Ok(wanted) {
        true => Ok(walked),
        false => Err(strange(format!("it has {} segments instead of {wanted}", walked.lines.len()))),
    }
}

/// Looks whether a line has all that a document needs.
fn whole(line: &Line, file: &str) -> Result<(), EngineError> {
    let is_whole = |leaf: &String| {
        let parts = raw::object(leaf)?;
        let id: String = serde_json::from_str(raw::field(&parts, "_id")?).ok()?;
        raw::field(&parts, "_revisions")?;
        raw::field(&parts, "_rev")?;
        (id == line.id).then_some(())
    };
    match !line.leaves.is_empty() && line.leaves.iter().all(|leaf| is_whole(leaf).is_some()) {
        true => Ok(()),
        false => Err(strange(format!("the document {} in {file} is not whole", line.id))),
    }
}

fn hash_of(backup: &dyn BackupReader, path: &str, cancel: &Cancel) -> Result<String, EngineError> {
    let mut opened = backup.open(path.as_bytes())?;
    hash(&mut opened, cancel)
}

fn hash(reader: &mut dyn Read, cancel: &Cancel) -> Result<String, EngineError> {
    let mut observed = Observed::new(reader, cancel);
    match io::copy(&mut observed, &mut io::sink()) {
        Ok(_) => Ok(observed.finish().sha256),
        Err(_) if cancel.is_canceled() => Err(Canceled.into()),
        Err(error) => Err(SinkError(error.into()).into()),
    }
}

/// Compares a backup with the evidence in its report.
pub(super) fn prove(
    report: &BackupReport,
    backup: &dyn BackupReader,
    cancel: &Cancel,
) -> Result<Comparison, EngineError> {
    let walked = walk(backup, cancel)?;
    let mut differences = Vec::new();
    for (segment, lines) in &walked.lines {
        let wanted = recorded(report, &format!("{LINES}{segment}"));
        if wanted != Some(lines.to_string().as_str()) {
            let wanted = wanted.unwrap_or("none");
            differences.push(format!("the segment {segment} has {lines} documents instead of {wanted}"));
        }
    }
    let compared = format!(
        "{} and {} read and checked; no CouchDB is there to load them",
        count(walked.documents(), "document", "documents"),
        count(walked.attachments, "attachment", "attachments")
    );
    Ok(Comparison { compared, differences, changed_since: 0 })
}

pub(super) fn compare(job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
    match job.restored {
        RestoreTarget::Path(path) => compare_files(path, backup, job.cancel),
        RestoreTarget::Server { source, name } => {
            let server = Server::of(source)?;
            let mut comparing = Comparing {
                server: &server,
                name,
                backup,
                job,
                differences: Vec::new(),
                values: 0,
                leaves: HashMap::new(),
            };
            let mut documents = 0;
            for file in files(backup)? {
                let mut together = Vec::new();
                for_each_line(backup, &file, job.cancel, &mut |line| {
                    documents += 1;
                    together.push(line);
                    if together.len() < TOGETHER {
                        return Ok(());
                    }
                    comparing.compare(&file, &std::mem::take(&mut together))
                })?;
                comparing.compare(&file, &together)?;
            }
            comparing.compare_feed()?;
            let compared = format!(
                "{}, {}",
                count(documents, "document", "documents"),
                count(comparing.values, "revision and attachment", "revisions and attachments")
            );
            Ok(Comparison { compared, differences: comparing.differences, changed_since: 0 })
        }
    }
}

/// Compares the files of a backup with those that were restored.
fn compare_files(path: &Path, backup: &dyn BackupReader, cancel: &Cancel) -> Result<Comparison, EngineError> {
    let mut names = Vec::new();
    backup.for_each(&mut |listed| {
        if listed.entry.kind == EntryKind::File {
            names.push(String::from_utf8_lossy(&listed.path).into_owned());
        }
        Ok(())
    })?;
    let mut differences = Vec::new();
    for name in &names {
        let is = match File::open(path.join(name)) {
            Ok(mut file) => hash(&mut file, cancel)?,
            Err(_) => String::new(),
        };
        if is != hash_of(backup, name, cancel)? && differences.len() < MOST {
            differences.push(format!("{name} is missing or differs"));
        }
    }
    let compared = format!("SHA-256 of {}", count(names.len() as u64, "file", "files"));
    Ok(Comparison { compared, differences, changed_since: 0 })
}

struct Comparing<'a> {
    server: &'a Server,
    name: &'a str,
    backup: &'a dyn BackupReader,
    job: &'a CompareJob<'a>,
    differences: Vec<String>,
    values: u64,
    /// What each document's revisions were in the newest segment that has it, both as hashes: a database may have millions.
    leaves: HashMap<u64, u64>,
}

impl Comparing<'_> {
    fn differ(&mut self, what: String) {
        if self.differences.len() < MOST {
            self.differences.push(what);
        }
    }

    fn compare(&mut self, file: &str, lines: &[Line]) -> Result<(), EngineError> {
        self.job.cancel.check()?;
        if lines.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Change> =
            lines.iter().map(|line| Change { id: line.id.clone(), leaves: line.revisions() }).collect();
        for change in &wanted {
            self.leaves.insert(short_hash([change.id.as_str()]), hash_of_leaves(change));
        }
        for id in self.server.missing(self.name, &wanted)? {
            self.differ(format!("the document {id} lacks a revision"));
        }
        let found = self.server.documents_in_parts(self.name, &wanted, self.job.cancel)?;
        for (line, is) in lines.iter().zip(found) {
            for leaf in &line.leaves {
                let Some(was) = bare(leaf) else { continue };
                // A later segment may have replaced it; then the server is free to forget what it said.
                if let Some(is) =
                    is.iter().find_map(|is| bare(is).filter(|is| is.get("_rev") == was.get("_rev")))
                {
                    self.values += 1;
                    if is != was {
                        self.differ(format!("the document {} differs", line.id));
                    }
                    self.attachments(file, line, leaf)?;
                }
            }
        }
        Ok(())
    }

    /// Looks for what the database has besides.
    fn compare_feed(&mut self) -> Result<(), EngineError> {
        let mut since = Value::from(0);
        loop {
            self.job.cancel.check()?;
            let page = self.server.changes(self.name, &since, TOGETHER)?;
            for change in &page.changes {
                match self.leaves.get(&short_hash([change.id.as_str()])) {
                    None => self.differ(format!("it has the document {}, which the backup lacks", change.id)),
                    Some(leaves) if *leaves != hash_of_leaves(change) => {
                        self.differ(format!("the document {} has other revisions", change.id));
                    }
                    Some(_) => {}
                }
            }
            if page.changes.len() < TOGETHER {
                return Ok(());
            }
            since = page.last;
        }
    }

    fn attachments(&mut self, file: &str, line: &Line, leaf: &str) -> Result<(), EngineError> {
        let parts = raw::object(leaf).unwrap_or_default();
        let Some(stubs) = raw::field(&parts, "_attachments").and_then(raw::object) else { return Ok(()) };
        let revision =
            raw::field(&parts, "_rev").and_then(|revision| serde_json::from_str::<String>(revision).ok());
        for (name, stub) in stubs {
            let stub: Value = serde_json::from_str(stub).unwrap_or_default();
            let known = line.attachments.iter().find(|known| {
                known.name == name
                    && stub.get("digest").and_then(Value::as_str) == Some(known.digest.as_str())
            });
            let Some(known) = known else {
                self.differ(format!("the backup lacks the attachment {name} of {}", line.id));
                continue;
            };
            let revision = revision.as_deref().unwrap_or_default();
            let answer = self.server.attachment(self.name, &line.id, &name, revision)?;
            let is = answer.map(|answer| hash(&mut answer.into_reader(), self.job.cancel)).transpose()?;
            self.values += 1;
            let was = hash_of(self.backup, &beside(file, known), self.job.cancel)?;
            if is.as_deref() != Some(was.as_str()) {
                self.differ(format!("the attachment {name} of {} differs", line.id));
            }
        }
        Ok(())
    }
}

fn short_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn hash_of_leaves(change: &Change) -> u64 {
    let mut leaves: Vec<&str> = change.leaves.iter().map(String::as_str).collect();
    leaves.sort_unstable();
    short_hash(leaves)
}

/// Returns a document without what a server adds.
fn bare(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let fields = value.as_object_mut()?;
    fields.remove("_revisions");
    fields.remove("_attachments");
    Some(value)
}

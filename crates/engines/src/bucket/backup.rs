//! Reads the objects of a bucket.

use super::body::Object;
use super::keys::Tree;
use super::place::Place;
use super::properties;
use super::store::{Bucket, Going, Held, Trouble};
use super::sum::Sum;
use crate::engine::{BackupJob, BackupReport};
use crate::error::EngineError;
use crate::sink::Sink;
use crate::walk::patterns;
use crate::words::count;
use ignore::gitignore::Gitignore;
use jiff::Timestamp;
use larder_model::{Counters, Source};
use larder_storage::{ObjectHead, StorageErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many objects that are likely to be read are asked for ahead.
const AHEAD: usize = 16;

/// The names under which a report keeps what a copy is compared with.
pub(super) const OBJECTS: &str = "Objects";
pub(super) const BYTES: &str = "Bytes";
pub(super) const SUM: &str = "Sum";

/// What a listing said: everything that tells whether a bucket is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Position {
    place: String,
    /// The patterns of what is left out.
    exclude: Vec<String>,
    objects: u64,
    bytes: u64,
    sum: String,
    /// When the newest object was written.
    newest: Timestamp,
}

impl Position {
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn of(place: &Place, source: &Source, listed: &Listed) -> Self {
        let Sum { objects, bytes, .. } = listed.sum;
        Self {
            place: place.shown(),
            exclude: source.exclude.clone(),
            objects,
            bytes,
            sum: listed.sum.digits(),
            newest: listed.newest,
        }
    }
}

/// What a listing adds up to.
#[derive(Debug)]
struct Listed {
    patterns: Gitignore,
    sum: Sum,
    newest: Timestamp,
    left_out: u64,
}

impl Listed {
    fn new(source: &Source) -> Result<Self, EngineError> {
        let patterns = patterns(&source.exclude)?;
        Ok(Self { patterns, sum: Sum::default(), newest: Timestamp::UNIX_EPOCH, left_out: 0 })
    }

    /// Takes an object in, unless it is left out; returns its key below the place.
    fn take<'a>(&mut self, place: &Place, object: &'a ObjectHead) -> Option<&'a str> {
        let key = object.key.strip_prefix(&place.prefix).unwrap_or(&object.key);
        // The object that some consoles make for the folder itself.
        if key.is_empty() {
            return None;
        }
        if self.leaves_out(key) {
            self.left_out += 1;
            return None;
        }
        self.sum.add(key, object);
        self.newest = self.newest.max(object.modified);
        Some(key)
    }

    fn leaves_out(&self, key: &str) -> bool {
        // The patterns' own matching refuses paths that begin with a slash.
        let path = key.trim_start_matches('/');
        !self.patterns.is_empty()
            && !path.is_empty()
            && self.patterns.matched_path_or_any_parents(path, false).is_ignore()
    }
}

/// Lists everything without reading any of it.
pub(super) fn survey(source: &Source, place: &Place, bucket: &Bucket) -> Result<Position, EngineError> {
    let mut listed = Listed::new(source)?;
    bucket.for_each(place, &mut |object| {
        listed.take(place, &object);
        Ok(())
    })?;
    Ok(Position::of(place, source, &listed))
}

/// An object that was listed and whose turn will come.
struct Waiting {
    key: String,
    head: ObjectHead,
    /// It is likely to be read, so it was asked for already.
    early: Option<Going<Held>>,
}

pub(super) fn backup(
    job: &BackupJob<'_>,
    place: &Place,
    bucket: &Bucket,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let before = job.previous.and_then(|report| Position::from_text(report.position.as_deref()?));
    let mut listed = Listed::new(job.source)?;
    let mut reading = Reading {
        job,
        place,
        bucket,
        sink,
        tree: Tree::default(),
        stored: Sum::default(),
        gone: 0,
        may_carry: job.previous.is_some(),
    };
    let mut queue: VecDeque<Waiting> = VecDeque::with_capacity(AHEAD);
    bucket.for_each(place, &mut |head| {
        let Some(key) = listed.take(place, &head) else { return Ok(()) };
        let key = key.to_owned();
        Counters::add(&job.counters.items_total, 1);
        Counters::add(&job.counters.bytes_total, head.size_bytes);
        // What is older than the newest of the backup before is most likely in it.
        let is_new = before.as_ref().is_none_or(|before| head.modified > before.newest);
        let early = is_new.then(|| bucket.begin_read(&head));
        queue.push_back(Waiting { key, head, early });
        if queue.len() > AHEAD
            && let Some(first) = queue.pop_front()
        {
            reading.take(first)?;
        }
        Ok(())
    })?;
    while let Some(waiting) = queue.pop_front() {
        reading.take(waiting)?;
    }
    let Reading { tree, sink, stored, gone, .. } = reading;
    tree.end(sink)?;
    let mut messages = Vec::new();
    if listed.left_out > 0 {
        let words = count(listed.left_out, "object", "objects");
        messages.push(format!("left out by the patterns of the source: {words}"));
    }
    if gone > 0 {
        let words = count(gone, "object was", "objects were");
        messages.push(format!("{words} removed by somebody while the bucket was read"));
    }
    if stored.objects == 0 {
        messages.push(format!("there are no objects in {}", place.shown()));
    }
    let evidence = vec![
        (OBJECTS.to_owned(), stored.objects.to_string()),
        (BYTES.to_owned(), stored.bytes.to_string()),
        (SUM.to_owned(), stored.digits()),
    ];
    let position = serde_json::to_string(&Position::of(place, job.source, &listed)).ok();
    Ok(BackupReport { position, evidence, messages })
}

struct Reading<'a> {
    job: &'a BackupJob<'a>,
    place: &'a Place,
    bucket: &'a Bucket,
    sink: &'a mut dyn Sink,
    tree: Tree,
    stored: Sum,
    gone: u64,
    may_carry: bool,
}

impl Reading<'_> {
    fn take(&mut self, waiting: Waiting) -> Result<(), EngineError> {
        let Waiting { key, head, early } = waiting;
        self.job.cancel.check()?;
        self.job.counters.set_current(&key);
        let name = self.tree.go_to(&key, self.sink)?;
        if self.may_carry && self.sink.carry_same(&properties::file(name.clone(), &head))? {
            self.stored.add(&key, &head);
            return Ok(());
        }
        let going = early.unwrap_or_else(|| self.bucket.begin_read(&head));
        let shown = self.place.shown_key(&head.key);
        match self.bucket.opened(going) {
            Ok(body) => {
                self.stored.add(&key, &body.head);
                let entry = properties::file(name, &body.head);
                Ok(self.sink.file(entry, Box::new(Object { body, shown }))?)
            }
            Err(Trouble::Storage(error)) if error.is_not_found() => {
                self.gone += 1;
                Ok(())
            }
            // The others may be readable all the same; this one is named, and the backup is not good.
            Err(Trouble::Storage(error))
                if matches!(
                    error.kind,
                    StorageErrorKind::Cold | StorageErrorKind::Denied | StorageErrorKind::Invalid
                ) =>
            {
                Ok(self.sink.unreadable(&shown, &error.cause)?)
            }
            Err(trouble) => Err(self.place.failed(&format!("reading '{key}' of"), trouble)),
        }
    }
}

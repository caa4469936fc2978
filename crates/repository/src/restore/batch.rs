//! The files that are restored together: their chunks are fetched in the order in which they lie in packs.

use super::file::{Base, FileState, Files, PlannedFile};
use super::jobs::{Use, in_parallel, run_uses};
use super::metadata::is_modified_at;
use super::place::DirectoryNumber;
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Location;
use crate::node::Node;
use crate::sources::Sources;
use larder_model::{Cancel, Entry, Metadata};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Files of one batch at the most; with what is below, this bounds the memory of a restore.
const MOST_FILES: usize = 24 << 10;
/// Chunks of one batch at the most, but a file is never divided.
const MOST_CHUNKS: usize = 96 << 10;

/// A further name of a file of the restore.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) directory: DirectoryNumber,
    pub(super) entry: Entry,
    pub(super) to: (DirectoryNumber, Vec<u8>),
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    files: Vec<PlannedFile>,
    uses: Vec<Use>,
    /// Files that may be there already.
    compare: Vec<u32>,
    /// Files that are new and need nothing fetched: empty ones, and those that cannot be had.
    without_chunks: Vec<u32>,
    chunks: usize,
    pub(super) links: Vec<Link>,
    /// Directories that nothing more comes into.
    pub(super) left: Vec<(DirectoryNumber, Metadata)>,
}

/// What the threads of a batch need.
pub(super) struct Context<'a> {
    pub(super) sources: &'a Sources,
    pub(super) cancel: &'a Cancel,
    pub(super) files: &'a Files<'a>,
    pub(super) threads: usize,
    pub(super) trust_times: bool,
    pub(super) target: String,
}

impl Context<'_> {
    pub(super) fn full(&self, error: Errno) -> RepositoryError {
        RepositoryError::Local {
            action: "write below",
            path: self.target.clone(),
            cause: super::metadata::words(error),
            remedy: "free space there and restore again with overwriting allowed, which goes on from what is there",
        }
    }
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.files.len() >= MOST_FILES
            || self.chunks >= MOST_CHUNKS
            || self.links.len() + self.left.len() >= MOST_FILES
    }

    /// Plans a file. Where chunks are missing it is known at once that it cannot be complete.
    pub(super) fn add(&mut self, context: &Context<'_>, directory: DirectoryNumber, node: Node) {
        let Node { entry, content, .. } = node;
        let places: Vec<_> = content.iter().map(|id| context.sources.locate(BlobKind::Data, id)).collect();
        let length = |place: &(usize, Location)| u64::from(place.1.blob.plain_length());
        let lengths: Vec<Option<u64>> = places.iter().map(|place| place.as_ref().map(length)).collect();
        let known: u64 = lengths.iter().flatten().sum();
        let missing: Vec<usize> = (0..content.len()).filter(|chunk| lengths[*chunk].is_none()).collect();
        // The length of a single missing chunk follows from the others.
        let gap = (missing.len() == 1).then(|| entry.metadata.size.checked_sub(known)).flatten();
        let failure = missing.first().map(|chunk| {
            let destination = context.sources.describe();
            format!("the data blob {} is not in the repository at {destination}", content[*chunk])
        });
        let placed = failure.is_none() || gap.is_some();
        let wanted = if placed { content.len() - missing.len() } else { 0 };
        let file = PlannedFile {
            directory,
            entry,
            size: known + gap.unwrap_or(0),
            remaining: AtomicU32::new(u32::try_from(wanted).unwrap_or(u32::MAX)),
            state: Mutex::new(FileState::new(failure)),
            content,
        };
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.chunks += file.content.len();
        if context.files.place.overwrites() && missing.is_empty() {
            self.compare.push(number);
        } else if wanted == 0 {
            self.without_chunks.push(number);
        } else {
            let mut offset = 0;
            for (chunk, (place, length)) in places.iter().zip(lengths).enumerate() {
                self.uses.extend(place.as_ref().and_then(|place| Use::new(place, number, chunk, offset)));
                offset += length.or(gap).unwrap_or(0);
            }
        }
        self.files.push(file);
    }

    /// Restores what was planned, and begins anew.
    pub(super) fn run(&mut self, context: &Context<'_>) -> Result<(), RepositoryError> {
        self.compare_existing(context)?;
        for number in self.without_chunks.drain(..) {
            if let Some(file) = self.files.get(number as usize) {
                context.files.finish(file, None).map_err(|error| context.full(error))?;
            }
        }
        run_uses(context, &self.files, &mut self.uses)?;
        self.files.clear();
        self.uses.clear();
        self.compare.clear();
        self.chunks = 0;
        Ok(())
    }

    fn compare_existing(&mut self, context: &Context<'_>) -> Result<(), RepositoryError> {
        let wanted = Mutex::new(Vec::new());
        let (files, compare) = (&self.files, &self.compare);
        in_parallel(context, compare.len(), |_, at| {
            let Some((number, file)) =
                compare.get(at).and_then(|number| Some((*number, files.get(*number as usize)?)))
            else {
                return Ok(());
            };
            let uses = compare_file(context, file, number)?;
            wanted.lock().unwrap_or_else(PoisonError::into_inner).extend(uses);
            Ok(())
        })?;
        self.uses.extend(wanted.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

/// Finds out which chunks an existing file lacks; finishes it where it lacks none.
fn compare_file(context: &Context<'_>, file: &PlannedFile, number: u32) -> Result<Vec<Use>, RepositoryError> {
    let base = context.files.find_base(file);
    let found = base.as_ref().map(|(_, found, named)| (*found, *named));
    let right = match &base {
        Some((_, found, true))
            if context.trust_times && same_times(found, &file.entry.metadata, file.size) =>
        {
            vec![true; file.content.len()]
        }
        Some((existing, ..)) => right_chunks(context, file, existing)?,
        None => vec![false; file.content.len()],
    };
    drop(base);
    let full = |error| context.full(error);
    if let Some((found, named)) = found {
        let complete = right.iter().all(|right| *right);
        let sized = u64::try_from(found.st_size) == Ok(file.size);
        let any = right.contains(&true) || !named;
        if complete && sized && named {
            file.state.lock().unwrap_or_else(PoisonError::into_inner).base = Base::Complete;
        } else if found.st_nlink == 1 && any {
            // A file with more names is not changed: the others may lie anywhere.
            if let Err(error) = context.files.take_base(file, named) {
                let failure = Some(super::metadata::words(error));
                file.state.lock().unwrap_or_else(PoisonError::into_inner).failure = failure;
                context.files.finish(file, None).map_err(full)?;
                return Ok(Vec::new());
            }
        } else {
            return remaining(context, file, number, &vec![false; right.len()], full);
        }
    }
    remaining(context, file, number, &right, full)
}

fn remaining(
    context: &Context<'_>,
    file: &PlannedFile,
    number: u32,
    right: &[bool],
    full: impl Fn(Errno) -> RepositoryError,
) -> Result<Vec<Use>, RepositoryError> {
    let mut uses = Vec::new();
    let mut offset = 0;
    for (chunk, (id, right)) in file.content.iter().zip(right).enumerate() {
        let place = context.sources.locate(BlobKind::Data, id);
        let length = place.as_ref().map_or(0, |(_, location)| location.blob.plain_length());
        if *right {
            context.files.report.skipped(context.files.counters, u64::from(length));
        } else {
            uses.extend(place.and_then(|place| Use::new(&place, number, chunk, offset)));
        }
        offset += u64::from(length);
    }
    file.remaining.store(u32::try_from(uses.len()).unwrap_or(u32::MAX), Ordering::Release);
    if uses.is_empty() {
        context.files.finish(file, None).map_err(full)?;
    }
    Ok(uses)
}

fn same_times(found: &Stat, metadata: &Metadata, size: u64) -> bool {
    u64::try_from(found.st_size) == Ok(size) && is_modified_at(found, metadata.modified)
}

fn right_chunks(
    context: &Context<'_>,
    file: &PlannedFile,
    existing: &File,
) -> Result<Vec<bool>, RepositoryError> {
    let mut buffer = Vec::new();
    let mut offset = 0;
    let mut right = Vec::with_capacity(file.content.len());
    for id in &file.content {
        context.cancel.check()?;
        let place = context.sources.locate(BlobKind::Data, id);
        let length = place.map_or(0, |(_, location)| location.blob.plain_length());
        buffer.resize(length as usize, 0);
        // What cannot be read is simply not right.
        right.push(existing.read_exact_at(&mut buffer, offset).is_ok() && Id::of(&buffer) == *id);
        offset += u64::from(length);
    }
    Ok(right)
}

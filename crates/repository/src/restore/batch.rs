//! The files that are restored together: their chunks are fetched in the order in which they lie in packs.

use super::file::{Base, FileState, Files, PlannedFile};
use super::place::DirectoryNumber;
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::node::Node;
use crate::repository::Repository;
use crate::unseal::{Unsealer, writable};
use larder_model::{Cancel, Entry, Metadata};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Files of one batch at the most; with what is below, this bounds the memory of a restore.
const MOST_FILES: usize = 24 << 10;
/// Chunks of one batch at the most, but a file is never divided.
const MOST_CHUNKS: usize = 96 << 10;
/// The most that is fetched at once, unless a single blob is longer.
const FETCH_BYTES: u32 = 4 << 20;
/// Bytes between two blobs that are fetched and dropped rather than fetched around.
const GAP_BYTES: u32 = 128 << 10;

/// One chunk that is to be written.
#[derive(Clone, Copy, Debug)]
struct Use {
    pack: u32,
    /// Where the blob begins in the pack.
    from: u32,
    /// Where it ends there.
    until: u32,
    file: u32,
    chunk: u32,
    /// Where it belongs in the file.
    offset: u64,
}

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
    pub(super) repository: &'a Repository,
    pub(super) index: &'a Index,
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
        let locations = content.iter().map(|id| context.index.locate(BlobKind::Data, id));
        let lengths: Vec<Option<u64>> =
            locations.map(|found| found.map(|l| u64::from(l.blob.plain_length()))).collect();
        let known: u64 = lengths.iter().flatten().sum();
        let missing: Vec<usize> = (0..content.len()).filter(|chunk| lengths[*chunk].is_none()).collect();
        // The length of a single missing chunk follows from the others.
        let gap = (missing.len() == 1).then(|| entry.metadata.size.checked_sub(known)).flatten();
        let failure = missing.first().map(|chunk| {
            let destination = context.repository.describe();
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
            for (chunk, length) in lengths.into_iter().enumerate() {
                self.want(context.index, &file, number, chunk, offset);
                offset += length.or(gap).unwrap_or(0);
            }
        }
        self.files.push(file);
    }

    fn want(&mut self, index: &Index, file: &PlannedFile, number: u32, chunk: usize, offset: u64) {
        if let Some(wanted) = use_of(index, file, number, chunk, offset) {
            self.uses.push(wanted);
        }
    }

    /// Restores what was planned, and begins anew.
    pub(super) fn run(&mut self, context: &Context<'_>) -> Result<(), RepositoryError> {
        self.compare_existing(context)?;
        for number in self.without_chunks.drain(..) {
            if let Some(file) = self.files.get(number as usize) {
                context.files.finish(file, None).map_err(|error| context.full(error))?;
            }
        }
        self.uses.sort_unstable_by_key(|wanted| (wanted.pack, wanted.from, wanted.file, wanted.offset));
        let jobs = jobs(&self.uses);
        let (files, uses) = (&self.files, &self.uses);
        in_parallel(context, jobs.len(), |unsealer, number| {
            let Some(job) = jobs.get(number) else { return Ok(()) };
            write_job(context, files, &uses[job.clone()], unsealer)
        })?;
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

fn use_of(index: &Index, file: &PlannedFile, number: u32, chunk: usize, offset: u64) -> Option<Use> {
    let location = index.locate(BlobKind::Data, file.content.get(chunk)?)?;
    Some(Use {
        pack: location.pack_number,
        from: location.blob.offset,
        until: location.blob.offset.saturating_add(location.blob.length),
        file: number,
        chunk: u32::try_from(chunk).ok()?,
        offset,
    })
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
        let length = context.index.locate(BlobKind::Data, id).map_or(0, |l| l.blob.plain_length());
        if *right {
            context.files.report.skipped(context.files.counters, u64::from(length));
        } else {
            uses.extend(use_of(context.index, file, number, chunk, offset));
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
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or(u32::MAX);
    u64::try_from(found.st_size) == Ok(size)
        && (found.st_mtime, nanoseconds) == (metadata.modified.seconds, metadata.modified.nanoseconds)
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
        let length = context.index.locate(BlobKind::Data, id).map_or(0, |l| l.blob.plain_length());
        buffer.resize(length as usize, 0);
        // What cannot be read is simply not right.
        right.push(existing.read_exact_at(&mut buffer, offset).is_ok() && Id::of(&buffer) == *id);
        offset += u64::from(length);
    }
    Ok(right)
}

/// Divides sorted chunks into fetches of neighbours.
fn jobs(uses: &[Use]) -> Vec<Range<usize>> {
    let mut jobs: Vec<Range<usize>> = Vec::new();
    for (at, wanted) in uses.iter().enumerate() {
        if let Some(job) = jobs.last_mut() {
            let (first, last) = (&uses[job.start], &uses[at - 1]);
            if first.pack == wanted.pack
                && wanted.from <= last.until.saturating_add(GAP_BYTES)
                && wanted.until.saturating_sub(first.from) <= FETCH_BYTES
            {
                job.end = at + 1;
                continue;
            }
        }
        jobs.push(at..at + 1);
    }
    jobs
}

/// Runs numbered pieces of work on several threads, until all are done, one fails, or somebody aborts.
fn in_parallel(
    context: &Context<'_>,
    pieces: usize,
    work: impl Fn(&mut Unsealer, usize) -> Result<(), RepositoryError> + Sync,
) -> Result<(), RepositoryError> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let run = || -> Result<(), RepositoryError> {
        let mut unsealer = Unsealer::new(context.repository.key())?;
        loop {
            context.cancel.check()?;
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces || stopped.load(Ordering::Acquire) {
                return Ok(());
            }
            work(&mut unsealer, piece)?;
        }
    };
    let guarded = || {
        if let Err(error) = run() {
            stopped.store(true, Ordering::Release);
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..context.threads.min(pieces) {
            scope.spawn(guarded);
        }
        guarded();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn write_job(
    context: &Context<'_>,
    files: &[PlannedFile],
    uses: &[Use],
    unsealer: &mut Unsealer,
) -> Result<(), RepositoryError> {
    let (Some(first), Some(until)) = (uses.first(), uses.iter().map(|wanted| wanted.until).max()) else {
        return Ok(());
    };
    let Some(pack) = context.index.packs().get(first.pack as usize) else { return Ok(()) };
    let range = u64::from(first.from)..u64::from(until);
    let fetched = context.repository.fetch_range(&ObjectKind::Pack.path(&pack.id), range, context.cancel);
    let mut fetched = match fetched {
        Err(error) if error.is_canceled() => return Err(error),
        // Each blob is then tried by itself.
        fetched => fetched.ok().map(writable),
    };
    for same in uses.chunk_by(|a, b| a.from == b.from) {
        context.cancel.check()?;
        let Some((id, location)) = same.first().and_then(|wanted| located(context.index, files, wanted))
        else {
            continue;
        };
        let range = (location.blob.offset - first.from) as usize;
        let range = range..range + location.blob.length as usize;
        let sealed = fetched.as_mut().and_then(|bytes| bytes.get_mut(range));
        let written = match sealed.map(|sealed| unsealer.open(&location.blob, sealed)) {
            Some(Ok(plain)) => write_chunk(context, files, same, plain),
            _ => match context.repository.load_blob(context.index, BlobKind::Data, &id) {
                Ok(plain) => write_chunk(context, files, same, &plain),
                Err(error) => {
                    let cause = error.to_string();
                    let mut failing = same.iter().filter_map(|wanted| files.get(wanted.file as usize));
                    failing.try_for_each(|file| context.files.fail(file, &cause))
                }
            },
        };
        written.map_err(|error| context.full(error))?;
    }
    Ok(())
}

fn located(index: &Index, files: &[PlannedFile], wanted: &Use) -> Option<(Id, Location)> {
    let id = *files.get(wanted.file as usize)?.content.get(wanted.chunk as usize)?;
    let mut places = index.locate_all(BlobKind::Data, &id);
    places
        .find(|place| (place.pack_number, place.blob.offset) == (wanted.pack, wanted.from))
        .map(|place| (id, place))
}

fn write_chunk(
    context: &Context<'_>,
    files: &[PlannedFile],
    uses: &[Use],
    plain: &[u8],
) -> Result<(), Errno> {
    let zeros = plain.iter().all(|byte| *byte == 0);
    for wanted in uses {
        if let Some(file) = files.get(wanted.file as usize) {
            context.files.write(file, wanted.offset, plain, zeros)?;
        }
    }
    Ok(())
}

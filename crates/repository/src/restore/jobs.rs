//! Fetching chunks in the order in which they lie in packs, and writing each to every file that needs it.

use super::batch::Context;
use super::file::PlannedFile;
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::gather::{FETCH_BYTES, GAP_BYTES, Wanted, gather};
use crate::index::Location;
use crate::unseal::Unsealer;
use rustix::io::Errno;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// One chunk that is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// The destination it is fetched from.
    source: u16,
    /// The pack, by its number in the index of that destination.
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

impl Use {
    pub(super) fn new(
        (source, location): &(usize, Location),
        file: u32,
        chunk: usize,
        offset: u64,
    ) -> Option<Self> {
        Some(Self {
            source: u16::try_from(*source).ok()?,
            pack: location.pack_number,
            from: location.blob.offset,
            until: location.blob.offset.saturating_add(location.blob.length),
            file,
            chunk: u32::try_from(chunk).ok()?,
            offset,
        })
    }

    fn is_same_blob(&self, other: &Self) -> bool {
        (self.source, self.pack, self.from) == (other.source, other.pack, other.from)
    }
}

/// Runs everything that is to be written, on several threads.
pub(super) fn run_uses(
    context: &Context<'_>,
    files: &[PlannedFile],
    uses: &mut [Use],
) -> Result<(), RepositoryError> {
    uses.sort_unstable_by_key(|wanted| (wanted.source, wanted.pack, wanted.from, wanted.file, wanted.offset));
    let (mut waiting, mut first) = (jobs(uses), true);
    while !waiting.is_empty() {
        let mut ready = Vec::new();
        for job in std::mem::take(&mut waiting) {
            let to = if is_ready(context, uses.get(job.start), !first)? { &mut ready } else { &mut waiting };
            to.push(job);
        }
        in_parallel(context, ready.len(), |unsealer, number| match ready.get(number) {
            Some(job) => run_job(context, files, &uses[job.clone()], unsealer),
            None => Ok(()),
        })?;
        if ready.is_empty() {
            let count = waiting.len();
            context.files.counters.set_current(&format!("waiting for {count} reads from cold storage"));
            context.sources.pause()?;
        }
        first = false;
    }
    Ok(())
}

/// Says whether the pack can be read that a chunk lies in.
fn is_ready(context: &Context<'_>, wanted: Option<&Use>, again: bool) -> Result<bool, RepositoryError> {
    let Some(Use { source, pack, .. }) = wanted else { return Ok(true) };
    let source = usize::from(*source);
    if !context.sources.is_cold(source) {
        return Ok(true);
    }
    let pack = context.sources.index(source).and_then(|index| index.packs().get(*pack as usize));
    pack.map_or(Ok(true), |pack| context.sources.is_ready(source, &pack.id, again))
}

/// Divides sorted chunks into fetches of neighbours.
fn jobs(uses: &[Use]) -> Vec<Range<usize>> {
    let mut jobs: Vec<Range<usize>> = Vec::new();
    for (at, wanted) in uses.iter().enumerate() {
        if let Some(job) = jobs.last_mut() {
            let (first, last) = (&uses[job.start], &uses[at - 1]);
            if (first.source, first.pack) == (wanted.source, wanted.pack)
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
pub(super) fn in_parallel(
    context: &Context<'_>,
    pieces: usize,
    work: impl Fn(&mut Unsealer, usize) -> Result<(), RepositoryError> + Sync,
) -> Result<(), RepositoryError> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let run = || -> Result<(), RepositoryError> {
        let mut unsealer = context.sources.unsealer()?;
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

/// Fetches neighbours and writes them; a file fails that needs a blob which no destination can give.
fn run_job(
    context: &Context<'_>,
    files: &[PlannedFile],
    uses: &[Use],
    unsealer: &mut Unsealer,
) -> Result<(), RepositoryError> {
    let blobs: Vec<&[Use]> = uses.chunk_by(Use::is_same_blob).collect();
    let wanted = blobs.iter().enumerate().filter_map(|(tag, same)| {
        let first = same.first()?;
        let location = located(context, files, first)?;
        Some(Wanted { source: usize::from(first.source), location, tag })
    });
    gather(context.sources, unsealer, wanted.collect(), &mut |tag, outcome| {
        let Some(same) = blobs.get(tag) else { return Ok(()) };
        let written = match outcome {
            Ok(plain) => write_chunk(context, files, same, plain),
            Err(cause) => {
                let mut failing = same.iter().filter_map(|wanted| files.get(wanted.file as usize));
                failing.try_for_each(|file| context.files.fail(file, cause))
            }
        };
        written.map_err(|error| context.full(error))
    })
}

fn located(context: &Context<'_>, files: &[PlannedFile], wanted: &Use) -> Option<Location> {
    let id = files.get(wanted.file as usize)?.content.get(wanted.chunk as usize)?;
    let mut places = context.sources.index(usize::from(wanted.source))?.locate_all(BlobKind::Data, id);
    places.find(|place| (place.pack_number, place.blob.offset) == (wanted.pack, wanted.from))
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

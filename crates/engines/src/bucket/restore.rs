//! Puts objects back: into a bucket under the very same keys, or as files below a directory.

use super::keys::key_of;
use super::place::Place;
use super::properties;
use super::store::{Bucket, Buckets, Going};
use crate::engine::{RestoreJob, RestoreReport, RestoreTarget};
use crate::error::{EngineError, SinkError};
use crate::sink::{BackupReader, ListedEntry};
use crate::words::count;
use bytes::Bytes;
use larder_model::{EntryKind, Source};
use std::collections::VecDeque;
use std::io::Read;

/// Larger objects are written in parts, in bytes.
const WHOLE: u64 = 8 << 20;
/// How large a part is at least.
const PART: u64 = 16 << 20;
/// No service takes more parts than this; the larger the object, the larger its parts.
const PARTS: u64 = 9_000;
/// So many objects go up at once.
const AT_ONCE: usize = 8;

pub(super) fn restore(
    buckets: &Buckets,
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    match job.target {
        RestoreTarget::Server { source, name } => into_bucket(buckets, job, source, name, backup),
        RestoreTarget::Path(path) => {
            if !job.overwrite && path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(EngineError::TargetNotEmpty { target: path.display().to_string() });
            }
            let done = backup.extract(path, job.overwrite)?;
            Ok(RestoreReport { files: done.files, bytes: done.bytes_written, messages: done.warnings })
        }
    }
}

fn into_bucket(
    buckets: &Buckets,
    job: &RestoreJob<'_>,
    source: &Source,
    name: &str,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let place = Place::of(source)?.beside(name)?;
    let bucket = buckets.open(source, &place, job.cancel)?;
    let first = bucket.clone().hasty().page(&place.prefix, None);
    let is_empty = first.map_err(|trouble| place.failed("listing", trouble))?.objects.is_empty();
    if !is_empty && !job.overwrite {
        return Err(EngineError::TargetNotEmpty { target: place.shown() });
    }
    let mut writing =
        Writing { job, place: &place, bucket: &bucket, going: VecDeque::new(), begun: 0, bytes: 0 };
    let written = for_each_file(backup, &mut |listed| writing.write(listed, backup));
    let written = written.and_then(|()| writing.settle(0));
    let (begun, bytes) = (writing.begun, writing.bytes);
    drop(writing);
    match written {
        Ok(()) => {
            let what = count(begun, "object", "objects");
            let messages = vec![format!("restored {what} to {}", place.shown())];
            Ok(RestoreReport { files: begun, bytes, messages })
        }
        Err(error) if is_empty => {
            // Half of the objects must not be taken for all of them; nothing but these was there.
            take_back(&bucket, &place, begun, backup);
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Calls `visit` with every file of a backup; it may fail in ways of its own.
pub(super) fn for_each_file(
    backup: &dyn BackupReader,
    visit: &mut dyn FnMut(&ListedEntry) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    // What ends the walk is carried around the sink's own errors.
    let mut stopped = None;
    let walked = backup.for_each(&mut |listed| {
        if listed.entry.kind != EntryKind::File {
            return Ok(());
        }
        visit(listed).map_err(|error| {
            let said = SinkError(error.to_string().into());
            stopped = Some(error);
            said
        })
    });
    match stopped {
        Some(error) => Err(error),
        None => Ok(walked?),
    }
}

/// Removes the first objects that were written, in the order in which they were.
fn take_back(bucket: &Bucket, place: &Place, begun: u64, backup: &dyn BackupReader) {
    let mut left = begun;
    let _ = for_each_file(backup, &mut |listed| {
        if left == 0 {
            return Err(larder_model::Canceled.into());
        }
        left -= 1;
        let _ = bucket.remove(&format!("{}{}", place.prefix, key_of(&listed.path)));
        Ok(())
    });
}

struct Writing<'a> {
    job: &'a RestoreJob<'a>,
    place: &'a Place,
    bucket: &'a Bucket,
    going: VecDeque<(String, Going<()>)>,
    begun: u64,
    bytes: u64,
}

impl Writing<'_> {
    fn write(&mut self, listed: &ListedEntry, backup: &dyn BackupReader) -> Result<(), EngineError> {
        self.job.cancel.check()?;
        let key = format!("{}{}", self.place.prefix, key_of(&listed.path));
        let head = properties::head(key.clone(), &listed.entry);
        let mut stored = backup.open(&listed.path)?;
        self.begun += 1;
        self.bytes += head.size_bytes;
        if head.size_bytes <= WHOLE {
            let mut data = Vec::with_capacity(usize::try_from(head.size_bytes).unwrap_or(0));
            stored.read_to_end(&mut data).map_err(|error| SinkError(error.into()))?;
            self.settle(AT_ONCE - 1)?;
            self.going.push_back((key, self.bucket.begin_write(head, data.into())));
            return Ok(());
        }
        let size = PART.max(head.size_bytes.div_ceil(PARTS).next_multiple_of(1 << 20));
        let shown = format!("writing '{key}' to");
        let mut next = || {
            let mut part = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            let read = stored.by_ref().take(size).read_to_end(&mut part);
            read.map_err(|error| SinkError(error.into()))?;
            Ok((!part.is_empty()).then(|| Bytes::from(part)))
        };
        self.bucket.write_in_parts(&head, &mut next, &|trouble| self.place.failed(&shown, trouble))
    }

    /// Waits until no more than so many are on their way.
    fn settle(&mut self, at_most: usize) -> Result<(), EngineError> {
        while self.going.len() > at_most
            && let Some((key, mut going)) = self.going.pop_front()
        {
            let written = self.bucket.joined(&mut going);
            written.map_err(|trouble| self.place.failed(&format!("writing '{key}' to"), trouble))?;
        }
        Ok(())
    }
}

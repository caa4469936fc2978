//! Fetching a set of blobs: neighbours in a pack with one read, and what cannot be had at one place from another.

use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::index::Location;
use crate::sources::Sources;
use crate::unseal::Unsealer;
use larder_storage::StorageErrorKind;

/// The most that is fetched at once, unless a single blob is longer.
pub(crate) const FETCH_BYTES: u32 = 4 << 20;
/// Bytes between two blobs that are fetched and dropped rather than fetched around.
pub(crate) const GAP_BYTES: u32 = 128 << 10;

/// A blob that is wanted, and where it is to be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The destination.
    pub(crate) source: usize,
    pub(crate) location: Location,
    /// What the caller knows the blob by.
    pub(crate) tag: usize,
}

/// Takes each blob by its tag: its bytes, whose hash was found right, or why no place could give it.
pub(crate) type TakeWanted<'a> = &'a mut dyn FnMut(usize, Result<&[u8], &str>) -> Result<(), RepositoryError>;

/// Places that were tried in vain: destination and pack.
type Tried = [(usize, u32)];

/// Fetches data blobs and hands over each once, in whatever order.
///
/// # Errors
/// Those of `take`; [`RepositoryError::Canceled`].
pub(crate) fn gather(
    sources: &Sources,
    unsealer: &mut Unsealer,
    wanted: Vec<Wanted>,
    take: TakeWanted<'_>,
) -> Result<(), RepositoryError> {
    gather_from(sources, unsealer, wanted, &[], take)
}

fn gather_from(
    sources: &Sources,
    unsealer: &mut Unsealer,
    mut wanted: Vec<Wanted>,
    tried: &Tried,
    take: TakeWanted<'_>,
) -> Result<(), RepositoryError> {
    wanted.sort_unstable_by_key(|w| (w.source, w.location.pack_number, w.location.blob.offset));
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let (run, later) = rest.split_at(run_length(rest));
        take_run(sources, unsealer, run, tried, take)?;
        rest = later;
    }
    Ok(())
}

const fn end(wanted: &Wanted) -> u32 {
    wanted.location.blob.offset.saturating_add(wanted.location.blob.length)
}

/// Returns how many of sorted blobs are fetched with one read.
fn run_length(wanted: &[Wanted]) -> usize {
    let Some(first) = wanted.first() else { return 0 };
    let near = wanted.windows(2).take_while(|pair| {
        let [last, next] = pair else { return false };
        (first.source, first.location.pack_number) == (next.source, next.location.pack_number)
            && next.location.blob.offset <= end(last).saturating_add(GAP_BYTES)
            && end(next).saturating_sub(first.location.blob.offset) <= FETCH_BYTES
    });
    1 + near.count()
}

/// Fetches neighbours, all of one pack; what cannot be had there is fetched from elsewhere.
fn take_run(
    sources: &Sources,
    unsealer: &mut Unsealer,
    run: &[Wanted],
    tried: &Tried,
    take: TakeWanted<'_>,
) -> Result<(), RepositoryError> {
    let Some(Wanted { source, location, .. }) = run.first().copied() else { return Ok(()) };
    if sources.is_down(source) {
        let up = |number: usize, place: &Location| {
            !sources.is_down(number) && !tried.contains(&(number, place.pack_number))
        };
        let (moved, here): (Vec<Moved>, Vec<Moved>) =
            run.iter().map(|wanted| moved(sources, wanted, up)).partition(Result::is_ok);
        if !moved.is_empty() {
            gather_from(sources, unsealer, moved.into_iter().flatten().collect(), tried, take)?;
            let here = here.into_iter().filter_map(Result::err).collect();
            return gather_from(sources, unsealer, here, tried, take);
        }
    }
    let from = location.blob.offset;
    let until = run.iter().map(end).max().unwrap_or(from);
    let mut failed = Vec::new();
    match sources.fetch(source, &location.pack, u64::from(from)..u64::from(until)) {
        Err(error) if error.is_canceled() => return Err(error),
        Err(RepositoryError::Storage(error)) if error.kind == StorageErrorKind::Damaged && run.len() > 1 => {
            // The end of the pack may be missing, and what lies before it be right.
            return run.chunks(1).try_for_each(|alone| take_run(sources, unsealer, alone, tried, take));
        }
        Err(error) => {
            let cause = error.to_string();
            failed.extend(run.iter().map(|wanted| (*wanted, cause.clone())));
        }
        Ok(mut bytes) => {
            sources.set_key(unsealer, source);
            let blobs: Vec<PackedBlob> = run.iter().map(|wanted| wanted.location.blob).collect();
            unsealer.open_run(&mut bytes, from, &blobs, &mut |number, outcome| {
                sources.cancel().check()?;
                let Some(wanted) = run.get(number) else { return Ok(()) };
                match outcome {
                    Ok(plain) => take(wanted.tag, Ok(plain)),
                    Err(wrong) => {
                        failed.push((*wanted, sources.damaged(source, &wanted.location, wrong)));
                        Ok(())
                    }
                }
            })?;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let tried = [tried, &[(source, location.pack_number)]].concat();
    let other = |number: usize, place: &Location| !tried.contains(&(number, place.pack_number));
    let mut elsewhere = Vec::new();
    for (wanted, cause) in failed {
        match moved(sources, &wanted, other) {
            Ok(moved) => elsewhere.push(moved),
            Err(wanted) => take(wanted.tag, Err(&cause))?,
        }
    }
    gather_from(sources, unsealer, elsewhere, &tried, take)
}

type Moved = Result<Wanted, Wanted>;

/// Returns a blob at the first of its places that fits, or as it was where none does.
fn moved(sources: &Sources, wanted: &Wanted, fits: impl Fn(usize, &Location) -> bool) -> Moved {
    let mut places = sources.places(BlobKind::Data, wanted.location.blob.id);
    let place = places.find(|(number, location)| fits(*number, location));
    place.map(|(source, location)| Wanted { source, location, tag: wanted.tag }).ok_or(*wanted)
}

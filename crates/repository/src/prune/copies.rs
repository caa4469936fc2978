//! Which copy of each blob is kept: exactly one of those that backups need, none of the others.

use super::present::Present;
use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::index::{Index, Location};
use crate::layout::ObjectKind;
use crate::repository::Repository;
use crate::walk_blobs::BlobSet;
use std::cmp::Reverse;

/// How much of a pack is needed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    pub(super) kept_bytes: u64,
    pub(super) kept_blobs: u32,
    pub(super) unused_bytes: u64,
    pub(super) unused_blobs: u32,
    /// Bytes of blobs that are needed from here or from another copy.
    wanted_bytes: u64,
}

impl Share {
    fn all_bytes(&self) -> u64 {
        self.kept_bytes + self.unused_bytes
    }
}

/// The copies that are kept: one bit for each place in the index.
#[derive(Debug)]
pub(super) struct Copies {
    data: Vec<u64>,
    trees: Vec<u64>,
    /// How much of each pack is kept, by its number.
    pub(super) packs: Vec<Share>,
}

impl Copies {
    fn words(&self, kind: BlobKind) -> &[u64] {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }

    fn keep(&mut self, kind: BlobKind, position: usize) {
        let words = match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        };
        if let Some(word) = words.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    /// Returns the kept blobs of some packs with the packs' numbers, pack by pack in the order in which they lie there.
    pub(super) fn in_packs(
        &self,
        index: &Index,
        kind: BlobKind,
        is_wanted: impl Fn(u32) -> bool,
    ) -> Vec<(u32, PackedBlob)> {
        let words = self.words(kind);
        let is_kept = |at: usize| words.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0);
        let places = index.blobs(kind).enumerate();
        let kept = places.filter(|(at, place)| is_wanted(place.pack_number) && is_kept(*at));
        let mut blobs: Vec<_> = kept.map(|(_, place)| (place.pack_number, place.blob)).collect();
        blobs.sort_unstable_by_key(|(pack, blob)| (*pack, blob.offset));
        blobs
    }
}

/// Chooses the copies: of several the one in the pack that is needed most, so that packs of mere duplicates go whole.
///
/// # Errors
/// [`RepositoryError::Missing`] for a blob that backups need and of which no copy lies in a pack that is there as it must be.
pub(super) fn choose_copies(
    repository: &Repository,
    present: &Present,
    used: &BlobSet,
) -> Result<Copies, RepositoryError> {
    let index = &present.index;
    let words = |kind| vec![0; index.blob_count(kind).div_ceil(64)];
    let mut copies = Copies {
        data: words(BlobKind::Data),
        trees: words(BlobKind::Tree),
        packs: vec![Share::default(); index.packs().len()],
    };
    for place in BlobKind::ALL.into_iter().flat_map(|kind| index.blobs(kind)) {
        let length = u64::from(place.blob.length);
        let wanted = used.contains(index, place.blob.kind, &place.blob.id);
        let share = &mut copies.packs[place.pack_number as usize];
        share.unused_bytes += length;
        share.unused_blobs += 1;
        share.wanted_bytes += if wanted { length } else { 0 };
    }
    for kind in BlobKind::ALL {
        let mut places = index.blobs(kind).enumerate().peekable();
        let mut group: Vec<(usize, Location)> = Vec::new();
        while let Some(first) = places.next() {
            group.clear();
            let id = first.1.blob.id;
            group.push(first);
            while let Some(next) = places.next_if(|(_, place)| place.blob.id == id) {
                group.push(next);
            }
            if used.contains(index, kind, &id) {
                copies.choose(repository, present, &group)?;
            }
        }
    }
    Ok(copies)
}

impl Copies {
    /// Keeps one copy of a blob, of which all are given with their positions.
    fn choose(
        &mut self,
        repository: &Repository,
        present: &Present,
        group: &[(usize, Location)],
    ) -> Result<(), RepositoryError> {
        let sound = group.iter().filter(|(_, place)| present.packs[place.pack_number as usize].is_sound);
        let best = sound.max_by_key(|(_, place)| {
            let share = &self.packs[place.pack_number as usize];
            // Packs written by a prune that broke off hold nothing but what is needed, so they win over their sources.
            let rank = (u128::from(share.wanted_bytes) << 32) / u128::from(share.all_bytes()).max(1);
            // Of equals the larger one: small packs are to go.
            (rank, share.all_bytes(), Reverse((place.pack_number, place.blob.offset)))
        });
        let Some((position, place)) = best else { return Err(lost(repository, present, group)) };
        self.keep(place.blob.kind, *position);
        let share = &mut self.packs[place.pack_number as usize];
        let length = u64::from(place.blob.length);
        share.kept_bytes += length;
        share.kept_blobs += 1;
        share.unused_bytes -= length;
        share.unused_blobs -= 1;
        Ok(())
    }
}

fn lost(repository: &Repository, present: &Present, group: &[(usize, Location)]) -> RepositoryError {
    let Some((_, place)) = group.first() else {
        return RepositoryError::Internal { what: "a blob without a place was looked for".to_owned() };
    };
    let pack = ObjectKind::Pack.path(&place.pack);
    match present.listed.get(&place.pack) {
        Some(bytes) => {
            let expected = present.packs[place.pack_number as usize].bytes;
            let cause = format!(
                "it has {bytes} bytes instead of {expected}, and a backup needs what is in it; nothing was removed"
            );
            repository.damaged(pack, cause)
        }
        None => RepositoryError::Missing {
            object: pack,
            destination: repository.describe(),
            remedy: "a backup needs what is in it, so nothing was removed; run a check to see what is lost"
                .to_owned(),
        },
    }
}

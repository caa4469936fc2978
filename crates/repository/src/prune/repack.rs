//! Copying what is needed out of packs that go: as it is sealed, but never unverified.

use super::plan::{Fate, Plan};
use super::present::Present;
use crate::blob::{BlobKind, PackedBlob};
use crate::copy_blobs::{BlobCopier, OnLoss, Origin};
use crate::error::RepositoryError;
use crate::guarded::Guarded;
use crate::index_file::IndexedPack;
use larder_model::Counters;

/// So many blobs are chosen at once; their list takes 64 bytes each.
const BATCH_BLOBS: usize = 100_000;

/// Writes new packs with what is needed of the old ones; returns them once they are durable.
pub(super) fn repack(
    guarded: &Guarded,
    present: &Present,
    plan: &Plan,
    counters: &Counters,
) -> Result<Vec<IndexedPack>, RepositoryError> {
    let mut written = Vec::new();
    for kind in BlobKind::ALL {
        let origins = [Origin { repository: &guarded.repository, index: &present.index }];
        let mut copier = BlobCopier::new(guarded, &origins, kind, OnLoss::Stop, counters);
        for batch in batches(plan) {
            let blobs = plan.copies.in_packs(&present.index, kind, |pack| {
                batch.contains(&pack) && plan.fates[pack as usize] == Fate::Repack
            });
            let job = |blobs: &[(u32, PackedBlob)]| {
                let pack = present.index.packs()[blobs[0].0 as usize].id;
                (pack, blobs.iter().map(|(_, blob)| *blob).collect())
            };
            let jobs = blobs.chunk_by(|a, b| a.0 == b.0).map(job).collect();
            drop(blobs);
            copier.run(jobs)?;
        }
        written.append(&mut copier.finish()?.packs);
    }
    let blobs: usize = written.iter().map(|pack| pack.blobs.len()).sum();
    let planned = plan.copies.packs.iter().zip(&plan.fates).filter(|(_, fate)| **fate == Fate::Repack);
    if blobs != planned.map(|(share, _)| share.kept_blobs as usize).sum::<usize>() {
        let what = "prune copied another number of blobs than it had to, so nothing was removed".to_owned();
        return Err(RepositoryError::Internal { what });
    }
    Ok(written)
}

/// Parts the packs into ranges of numbers in each of which not too many blobs are copied.
fn batches(plan: &Plan) -> Vec<std::ops::Range<u32>> {
    let mut ranges = Vec::new();
    let (mut from, mut blobs) = (0, 0);
    let mut end = 0;
    for (share, fate) in plan.copies.packs.iter().zip(&plan.fates) {
        end += 1;
        blobs += if *fate == Fate::Repack { share.kept_blobs as usize } else { 0 };
        if blobs >= BATCH_BLOBS {
            ranges.push(from..end);
            (from, blobs) = (end, 0);
        }
    }
    if blobs > 0 {
        ranges.push(from..end);
    }
    ranges
}

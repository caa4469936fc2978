//! What a healing would have to bring, without bringing it.

use super::is_same_backup;
use super::plan::Held;
use crate::blob::{BlobKind, PackedBlob};
use crate::error::RepositoryError;
use crate::layout::ObjectKind;
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::walk_blobs::mark;
use larder_model::Cancel;
use std::collections::{HashMap, HashSet};

/// What a repository lacks that others of the same database hold, and what it has lost of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lacking {
    /// The backups that it lacks, as another one has them, oldest first.
    pub backups: Vec<Snapshot>,
    /// Backups that it lacks and that the one that has them does not hold in full, with the reason.
    pub broken: Vec<(Snapshot, String)>,
    /// How many pieces of data and directories of those backups are not here.
    pub blobs: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
    /// The packs that its own index names and that are not here, or not in full.
    pub lost_packs: Vec<String>,
}

impl Repository {
    /// Compares what is here with what others have that share its master key; reads no pack here, and changes nothing.
    ///
    /// Nothing is locked: what a backup adds meanwhile may count or not.
    ///
    /// # Errors
    /// [`RepositoryError::NotTwins`]; [`RepositoryError::Damaged`] where this repository's index cannot be read; the
    /// destinations'; [`RepositoryError::Canceled`].
    pub fn lacking(&self, others: &[Self], cancel: &Cancel) -> Result<Lacking, RepositoryError> {
        self.expect_twins(others)?;
        let mut lacking = Lacking::default();
        let held = self.held(cancel, &mut lacking.lost_packs)?;
        let mut present = self.snapshots_but_damaged(cancel)?;
        let mut counted: HashSet<(BlobKind, crate::id::Id)> = HashSet::new();
        for other in others {
            let is_lacking = |backup: &Snapshot| !present.iter().any(|known| is_same_backup(known, backup));
            let mut wanted: Vec<Snapshot> =
                other.snapshots_but_damaged(cancel)?.into_iter().filter(is_lacking).collect();
            if wanted.is_empty() {
                continue;
            }
            wanted.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
            let index = other.load_index(cancel)?;
            let mut whole = Vec::new();
            for backup in wanted {
                cancel.check()?;
                match mark(other, &index, std::slice::from_ref(&backup), cancel) {
                    Ok(_) => whole.push(backup),
                    Err(error) if !error.proves_damage() => return Err(error),
                    Err(error) => lacking.broken.push((backup, error.to_string())),
                }
            }
            let needed = mark(other, &index, &whole, cancel)?;
            for kind in BlobKind::ALL {
                for place in index.blobs(kind) {
                    let PackedBlob { id, length, .. } = place.blob;
                    if needed.contains(&index, kind, &id)
                        && !held.index.contains(kind, &id)
                        && counted.insert((kind, id))
                    {
                        lacking.blobs += 1;
                        lacking.bytes += u64::from(length);
                    }
                }
            }
            present.extend(whole.iter().cloned());
            lacking.backups.extend(whole);
        }
        // What one could not give another one may have.
        let Lacking { backups, broken, .. } = &mut lacking;
        broken.retain(|(backup, _)| !backups.iter().any(|other| is_same_backup(other, backup)));
        Ok(lacking)
    }

    /// Loads what is here in full, and names what should be.
    fn held(&self, cancel: &Cancel, lost: &mut Vec<String>) -> Result<Held, RepositoryError> {
        let names: Vec<_> = self.list(ObjectKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let packs: HashMap<_, _> = self.list(ObjectKind::Pack)?.into_iter().collect();
        Held::read(self, &names, &packs, cancel, &mut |pack| lost.push(ObjectKind::Pack.path(pack)))
    }
}

//! What backups need and no index knows of: packs that went together with the index object that named them.

use super::{Repair, RepairReport};
use crate::error::RepositoryError;
use crate::walk_blobs::mark;

/// Copies from the twins what backups need and what is not here, as far as a twin has everything of such a backup.
pub(super) fn fetch(repair: &mut Repair<'_>, report: &mut RepairReport) -> Result<(), RepositoryError> {
    let (repository, cancel) = (repair.guarded.repository.clone(), repair.guarded.cancel.clone());
    for twin in repair.twins.sources() {
        let backups = repository.snapshots_but_damaged(&cancel)?;
        let index = repository.load_index(&cancel)?;
        match mark(&repository, &index, &backups, &cancel) {
            Ok(_) => return Ok(()),
            Err(error) if error.proves_damage() => {}
            Err(error) => return Err(error),
        }
        drop(index);
        let before = repair.twins.packs();
        repair.twins.bring(twin, backups)?;
        report.packs_fetched += repair.twins.packs() - before;
    }
    Ok(())
}

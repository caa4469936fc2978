//! Taking an object from a destination where it is intact: its bytes must have the hash that it is named by.

use super::{Remedy, Repair, RepairReport};
use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use bytes::Bytes;

impl Repair<'_> {
    /// Fetches an object from the first of the twins that has it intact, and puts it here in the place of what is there.
    ///
    /// # Errors
    /// [`RepositoryError::Doubtful`] where it does not come back as it was written; where no twin has it, a failure that
    /// is no proof of damage.
    pub(super) fn refetch(
        &self,
        kind: ObjectKind,
        id: &Id,
    ) -> Result<Option<(Bytes, String)>, RepositoryError> {
        let (cancel, path) = (&self.guarded.cancel, kind.path(id));
        let mut doubt = None;
        for twin in self.twins.sources() {
            match twin.fetch(&path, cancel) {
                Ok(bytes) if Id::of(&bytes) == *id => {
                    // Not with `put`: where that fails, what is left of the damaged object must stay.
                    self.guarded.write(kind, id, bytes.clone())?;
                    if Id::of(&self.guarded.repository.fetch(&path, cancel)?) == *id {
                        return Ok(Some((bytes, twin.describe())));
                    }
                    let cause = format!("{path}, fetched anew, does not come back as it was written");
                    return Err(self.guarded.doubtful(cause));
                }
                Ok(_) => {}
                Err(error) if error.is_canceled() => return Err(error),
                Err(error) => doubt = doubt.or(Some(error).filter(|error| !error.proves_damage())),
            }
        }
        doubt.map_or(Ok(None), Err)
    }
}

/// Fetches backups' objects that are damaged here.
pub(super) fn snapshots(repair: &Repair<'_>, report: &mut RepairReport) -> Result<(), RepositoryError> {
    let (repository, kind) = (&repair.guarded.repository, ObjectKind::Snapshot);
    for (id, _) in repository.list(kind)? {
        repair.guarded.check()?;
        let Err(error) = repository.read_snapshot(&id, &repair.guarded.cancel) else { continue };
        if !error.proves_damage() {
            return Err(error);
        }
        let remedy = match repair.refetch(kind, &id)? {
            Some((_, from)) => Remedy::Refetched { from },
            None => Remedy::None,
        };
        report.note(kind, &id, error.to_string(), remedy);
    }
    Ok(())
}

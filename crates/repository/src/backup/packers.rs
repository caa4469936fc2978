//! Sealed blobs become packs: one that is being filled for each kind, key and set of destinations that lack its blobs.

use super::known::Targets;
use super::naming::Naming;
use super::pack_pool::PackPool;
use super::session::Signals;
use super::target::TargetSet;
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::pack::{FinishedPack, PackBuilder};
use crate::pack_buffer::PackBuffer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which pack a blob goes to: data and trees never share one, nor do different keys or different destinations.
pub(super) type Slot = (BlobKind, Targets);

/// The packs that are being filled.
#[derive(Debug)]
pub(super) struct Packers {
    pool: Arc<PackPool>,
    targets: Arc<TargetSet>,
    open: Mutex<Vec<(Slot, PackBuilder)>>,
}

impl Packers {
    pub(super) fn new(pool: Arc<PackPool>, targets: Arc<TargetSet>) -> Self {
        Self { pool, targets, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Slot, PackBuilder)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a sealed blob for some destinations of one key. A pack that gets full is named and sent off by this
    /// thread, beside its further work, while others fill the next.
    pub(super) fn add(
        &self,
        slot: Slot,
        id: Id,
        sealed: &[u8],
        uncompressed: Option<u32>,
        signals: &Signals,
        naming: &mut Naming,
    ) -> Result<(), RepositoryError> {
        let mut spare = None;
        loop {
            let mut full = None;
            let mut open = self.lock();
            match open.iter().position(|(other, _)| *other == slot) {
                Some(at) if open[at].1.fits(sealed.len()) => {
                    open[at].1.add(id, sealed, uncompressed);
                    drop(open);
                    if let Some(buffer) = spare {
                        self.pool.give_back(buffer);
                    }
                    return Ok(());
                }
                Some(at) => full = Some(open.swap_remove(at).1),
                None => {
                    if let Some(buffer) = spare.take() {
                        open.push((slot, PackBuilder::new(slot.0, buffer)));
                        continue;
                    }
                }
            }
            drop(open);
            match full {
                Some(pack) => {
                    if let Some(key) = self.targets.key_of(slot.1) {
                        naming.take_on(slot, pack.close(key)?, self);
                    }
                }
                None => spare = Some(self.buffer(signals, naming)?),
            }
        }
    }

    /// Takes a buffer. Whoever would have to wait for one lets go of his own first.
    fn buffer(&self, signals: &Signals, naming: &mut Naming) -> Result<PackBuffer, RepositoryError> {
        if let Some(buffer) = self.pool.try_take() {
            return Ok(buffer);
        }
        naming.settle(self);
        self.pool.take(signals, &mut || self.targets.give_way())
    }

    /// Sends off every pack that holds something.
    pub(super) fn flush(&self) -> Result<(), RepositoryError> {
        let open = std::mem::take(&mut *self.lock());
        for (slot, pack) in open {
            let Some(key) = self.targets.key_of(slot.1) else { continue };
            if !pack.is_empty() {
                self.send(slot, pack.finish(key)?);
            }
        }
        Ok(())
    }

    /// Sends off a pack that has its name.
    pub(super) fn send(&self, slot: Slot, pack: FinishedPack) {
        let lent = self.pool.lend(pack.bytes);
        self.targets.upload(slot.1, pack.id, lent, pack.blobs);
    }
}

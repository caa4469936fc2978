//! Packs that waited on disk come back into memory: each once for all destinations that want it at the time, a few at once.

use super::pack_pool::PackPool;
use super::spill::LOADS;
use crate::error::RepositoryError;
use crate::id::Id;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory for packs that come back; it is taken once and used again and again.
#[derive(Debug)]
pub(super) struct Reloads {
    permits: Arc<Semaphore>,
    /// Where the memory comes from.
    pool: Arc<PackPool>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// A pack that is in memory again, until the last who sends it lets go.
#[derive(Debug)]
pub(super) struct Reloaded {
    pub(super) bytes: Bytes,
    /// Given back after the bytes.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Where a pack is found that somebody has read already.
pub(super) type Seat = tokio::sync::Mutex<Weak<Reloaded>>;

struct Lent {
    memory: Vec<u8>,
    reloads: Arc<Reloads>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        self.reloads.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

impl Reloads {
    pub(super) fn new(pool: &Arc<PackPool>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(LOADS));
        Arc::new(Self { permits, pool: Arc::clone(pool), spare: Mutex::default() })
    }

    /// Returns a pack, read from its file unless it still is in memory. Waits until there is room for it.
    pub(super) async fn get(
        self: &Arc<Self>,
        id: Id,
        size: usize,
        file: Arc<impl AsRef<File> + Send + Sync + 'static>,
        seat: &Seat,
    ) -> Result<Arc<Reloaded>, RepositoryError> {
        // Whoever comes meanwhile waits for the one who reads, and then has it, too.
        let mut seat = seat.lock().await;
        if let Some(there) = seat.upgrade() {
            return Ok(there);
        }
        let permit = self.permits.clone().acquire_owned().await.ok();
        let reloads = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || reloads.read(id, size, (*file).as_ref()));
        let bytes = match read.await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(lost(&error)),
            Err(error) => return Err(lost(&error)),
        };
        let reloaded = Arc::new(Reloaded { bytes, _permit: permit });
        *seat = Arc::downgrade(&reloaded);
        Ok(reloaded)
    }

    fn read(self: &Arc<Self>, id: Id, size: usize, file: &File) -> io::Result<Bytes> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = spare.unwrap_or_else(|| {
            self.pool.shrink();
            Vec::new()
        });
        let mut lent = Lent { memory, reloads: Arc::clone(self) };
        lent.memory.resize(size, 0);
        file.read_exact_at(&mut lent.memory, 0)?;
        if Id::of(&lent.memory) != id {
            return Err(io::Error::other("its bytes have changed"));
        }
        Ok(Bytes::from_owner(lent))
    }
}

fn lost(cause: &dyn std::fmt::Display) -> RepositoryError {
    RepositoryError::Internal {
        what: format!("a pack that waited in the staging directory does not come back: {cause}"),
    }
}

//! Whether a destination has what it said that it took: looked up before a snapshot relies on it.
//!
//! There are destinations that answer "written" and lose the object, or keep the first half of it. A look-up for each
//! object costs next to nothing beside its upload, and a backup that cannot be restored is never called good. Packs are looked
//! up as soon as they are written, while others are on their way, so that the end does not wait for all of them.

use super::target::TargetSet;
use crate::error::RepositoryError;
use larder_storage::{Storage, StorageError};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Objects that are looked up at once.
const LOOK_UPS: usize = 8;
/// How often an object is looked for, and the first pause: some destinations show what was written a moment later.
const LOOKS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// An object that was written, and how large it must be.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) path: String,
    pub(super) bytes: u64,
}

impl TargetSet {
    /// Looks up everything that was written to a destination since this was last asked.
    ///
    /// # Errors
    /// The first object that is not there in its full size; the destination's.
    pub(super) async fn prove(&self, number: usize) -> Result<(), RepositoryError> {
        let written = self.lock().get_mut(number).map(|state| std::mem::take(&mut state.written));
        let mut waiting = written.unwrap_or_default().into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < LOOK_UPS
                && let Some(object) = waiting.next()
            {
                let storage = self.targets[number].repository.storage().clone();
                running.spawn(async move { (look_up(storage, &object).await, object) });
            }
            let Some(done) = running.join_next().await else { return Ok(()) };
            let (found, object) = done.map_err(|e| RepositoryError::Internal { what: e.to_string() })?;
            self.accept(number, &object, found?).await?;
        }
    }

    /// Looks up one object that was written to a destination.
    ///
    /// # Errors
    /// It is not there in its full size; the destination's.
    pub(super) async fn prove_one(&self, number: usize, object: &Written) -> Result<(), RepositoryError> {
        let storage = self.targets[number].repository.storage().clone();
        let found = look_up(storage, object).await?;
        self.accept(number, object, found).await
    }

    async fn accept(
        &self,
        number: usize,
        object: &Written,
        found: Option<u64>,
    ) -> Result<(), RepositoryError> {
        if let Err(error) = self.judge(number, object, found) {
            // The first half of an object helps nobody, and one of the index would stop whoever comes next.
            let _ = self.targets[number].repository.storage().delete(&object.path).await;
            return Err(error);
        }
        self.stored(number, 0);
        Ok(())
    }

    fn judge(&self, number: usize, object: &Written, found: Option<u64>) -> Result<(), RepositoryError> {
        let repository = &self.targets[number].repository;
        match found {
            Some(bytes) if bytes == object.bytes => Ok(()),
            Some(bytes) => {
                let expected = object.bytes;
                let cause = format!("it has {bytes} bytes, but {expected} were written and said to be taken");
                Err(repository.damaged(&object.path, cause))
            }
            None => Err(RepositoryError::Missing {
                object: object.path.clone(),
                destination: repository.describe(),
                remedy:
                    "it was written and said to be taken; see why objects get lost there, then start again"
                        .to_owned(),
            }),
        }
    }
}

async fn look_up(storage: Arc<dyn Storage>, object: &Written) -> Result<Option<u64>, StorageError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..LOOKS {
        match storage.stat(&object.path).await {
            Ok(Some(found)) if found.size_bytes == object.bytes => return Ok(Some(found.size_bytes)),
            Err(error) if !error.is_retryable() => return Err(error),
            _ => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(storage.stat(&object.path).await?.map(|found| found.size_bytes))
}

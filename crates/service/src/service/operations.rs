//! Operations: looked at, waited for, ended.

use super::Service;
use crate::error::ServiceError;
use crate::request::OperationFilter;
use jiff::Timestamp;
use larder_model::{DatabaseName, Operation, OperationId};
use tokio::sync::broadcast;

impl Service {
    /// Lists operations, the newest first.
    #[must_use]
    pub fn operations(&self, filter: &OperationFilter) -> Vec<Operation> {
        self.core.operations.list(filter)
    }

    /// Lists the last `most` backups of a database that have ended, the oldest first.
    #[must_use]
    pub fn ended_backups(&self, database: &DatabaseName, most: usize) -> Vec<Operation> {
        self.core.operations.ended_backups(database, most)
    }

    /// Says of each of these backups whether it was found equal when it was restored and compared; `None` where it was not.
    #[must_use]
    pub fn proofs(&self, backups: &[Operation]) -> Vec<Option<bool>> {
        let catalog = self.core.catalog();
        let proof = |operation: &Operation| {
            let ids = operation.destinations.iter().filter_map(|outcome| outcome.backup.as_ref());
            ids.filter_map(|id| catalog.verified.get(id).copied()).reduce(|all, equal| all && equal)
        };
        backups.iter().map(proof).collect()
    }

    /// Lists the bytes that backups added at all destinations since a moment, as far as the history reaches, each with
    /// the beginning of the quarter of an hour in which they ended; those without any are left out.
    #[must_use]
    pub fn added_since(&self, since: Timestamp) -> Vec<(Timestamp, u64)> {
        self.core.operations.added_since(since)
    }

    /// Returns one operation as it stands now.
    ///
    /// # Errors
    /// There is no such operation.
    pub fn operation(&self, id: OperationId) -> Result<Operation, ServiceError> {
        self.core.operations.get(id)
    }

    /// Asks an operation to end; returns at once. It ends Canceled within a second.
    ///
    /// # Errors
    /// There is no such operation, or it has ended already.
    pub async fn abort(&self, id: OperationId) -> Result<(), ServiceError> {
        self.core.abort(id).await
    }

    /// Waits until an operation has ended, and returns it.
    ///
    /// # Errors
    /// There is no such operation.
    pub async fn wait(&self, id: OperationId) -> Result<Operation, ServiceError> {
        self.core.operations.wait(id).await
    }

    /// Returns a channel that carries every change of every operation, progress included (a few times a second).
    ///
    /// A receiver that lags loses the oldest ones and may ask [`Service::operation`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Operation> {
        self.core.operations.subscribe()
    }
}

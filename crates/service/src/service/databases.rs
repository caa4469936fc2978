//! Databases made, deleted and restored through the API.

use super::Service;
use crate::dispatch::NewOperation;
use crate::embedded::{self, Deleted};
use crate::error::{ErrorKind, ServiceError};
use crate::job::Job;
use crate::location::{self, LocatedPoint};
use crate::request::RestoreInto;
use larder_model::task::DestinationSettings;
use larder_model::{OperationId, OperationKind, Secret};
use std::sync::Arc;

impl Service {
    /// Makes an empty SQLite database in Larder's own directory, with every task that is for it; returns the state's
    /// revision.
    ///
    /// # Errors
    /// The name is not permitted or taken, or the directory cannot be written to.
    pub async fn create_database(&self, name: &str) -> Result<u64, ServiceError> {
        embedded::create(&self.core, name).await
    }

    /// Deletes databases that were made through the API; what runs on them is aborted, and their backups stay. Without
    /// `hard_delete` the files are put aside in Larder's own directory. Unknown names are told and are no error.
    ///
    /// # Errors
    /// One of them belongs to another source; then none is deleted.
    pub async fn delete_databases(
        &self,
        names: &[String],
        hard_delete: bool,
    ) -> Result<Deleted, ServiceError> {
        embedded::delete(&self.core, names, hard_delete).await
    }

    /// Lists the backups at a destination, the newest first: those of the repository there, or of every repository in the
    /// folder. `key` is tried before the keys that the server knows.
    ///
    /// # Errors
    /// The settings do not say where it is, it cannot be reached, or a repository in it cannot be read.
    pub async fn restore_points(
        &self,
        location: DestinationSettings,
        key: Option<Secret>,
    ) -> Result<Vec<LocatedPoint>, ServiceError> {
        location::points(&self.core, location, key).await
    }

    /// Asks for a backup to become a new database of Larder's own. A name that is taken ends the operation Faulted, and
    /// the database that has it is left as it is.
    ///
    /// # Errors
    /// The name is not permitted, or there is no repository at the location.
    pub async fn restore_into(&self, request: RestoreInto) -> Result<OperationId, ServiceError> {
        let core = &self.core;
        let name = request
            .database
            .parse::<larder_model::DatabaseName>()
            .map_err(|error| ServiceError::refused(ErrorKind::BadName, error.to_string()))?;
        let passwords = location::passwords(core, request.key);
        let spot = location::spot(core, request.location)?;
        let shown = spot.address.clone();
        let site = crate::work::site(core);
        let found = tokio::task::spawn_blocking(move || location::repositories(&site, &spot, &passwords));
        let found = found.await.map_err(|error| {
            ServiceError::conflict(format!("looking for backups ended by a fault of the program: {error}"))
        })??;
        let from = match <[_; 1]>::try_from(found) {
            Ok([only]) => only,
            Err(none) if none.is_empty() => {
                return Err(ServiceError::invalid(
                    "BackupLocation",
                    format!("there is no backup at '{shown}'; give the directory of a repository"),
                ));
            }
            Err(several) => {
                let names =
                    several.iter().map(|one| one.database.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(ServiceError::invalid(
                    "BackupLocation",
                    format!(
                        "'{shown}' holds several repositories ({names}); give the directory of the one that is meant"
                    ),
                ));
            }
        };
        let source = {
            let _writer = core.writer.lock().await;
            embedded::ensure_source(core).await?
        };
        let database = Arc::new(embedded::record_of(core, &source, &name));
        let job = Job::Adopt { database: Arc::clone(&database), from, backup: request.backup };
        let new = NewOperation {
            kind: OperationKind::Restore,
            backup_kind: None,
            database,
            task: None,
            due: core.now(),
            // Whoever restores is in distress: it never waits for other work.
            lane: None,
            job,
        };
        core.enqueue(vec![new]).await?.into_iter().next().ok_or(ServiceError::Stopped)
    }
}

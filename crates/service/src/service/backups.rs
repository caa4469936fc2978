//! What lies in repositories, and how to get at it.

use super::Service;
use crate::destination;
use crate::error::ServiceError;
use crate::record;
use crate::restic;
use crate::view::{DestinationView, ResticAccess, Verification};
use crate::work::{self, listing};
use larder_model::{BackupId, RestorePoint};
use std::collections::BTreeMap;

impl Service {
    /// Lists a database's backups, the newest first, at one destination or at all.
    ///
    /// # Errors
    /// There is no such database or destination, or a repository cannot be read.
    pub async fn backups(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<Vec<RestorePoint>, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        listing::restore_points(&self.core, database, destinations).await
    }

    /// Returns what came of verifying a backup; `None` where it never was.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn verification(&self, backup: &BackupId) -> Result<Option<Verification>, ServiceError> {
        record::get(&*self.core.state, &record::verification(backup)).await
    }

    /// Lists the places where a database's backups lie.
    ///
    /// # Errors
    /// There is no such database.
    pub fn destinations(&self, database: &str) -> Result<Vec<DestinationView>, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?;
        Ok(destination::named(&catalog.spots_of(database))
            .iter()
            .map(|one| one.view(&database.name))
            .collect())
    }

    /// Returns what stock restic needs to open a database's repository.
    ///
    /// # Errors
    /// There is no such database or destination, or it has several and none was named.
    pub fn restic_access(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<ResticAccess, ServiceError> {
        let (database, mut destinations) = self.meant(database, destination)?;
        match (destinations.pop(), destinations.is_empty()) {
            (Some(only), true) => {
                let form = restic::form(&only.spot, database.name.as_str())?;
                let mut access = ResticAccess {
                    repository: form.repository,
                    password: work::password_at(&self.core, &database, &only.spot.address),
                    environment: BTreeMap::new(),
                    secrets: BTreeMap::new(),
                };
                for (name, value, secret) in form.environment {
                    if secret {
                        access.secrets.insert(name.to_owned(), value);
                    } else {
                        access.environment.insert(name.to_owned(), value.expose().to_owned());
                    }
                }
                Ok(access)
            }
            _ => Err(ServiceError::invalid(
                "Destination",
                format!(
                    "the database '{}' has several destinations; name the one that is meant",
                    database.name
                ),
            )),
        }
    }
}

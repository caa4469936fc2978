//! Destinations: listed, tried, compared, healed.

use super::Service;
use crate::derivation::same_name;
use crate::destination::{self, Destination};
use crate::error::ServiceError;
use crate::job::Job;
use crate::limits::Limits;
use crate::location;
use crate::queue::Lane;
use crate::tasks::{TaskSelector, derived};
use crate::view::{ComparedDestination, DestinationTest, DestinationUse};
use crate::work::{compare, placing, trial};
use larder_model::task::{BackupConfiguration, DestinationSettings};
use larder_model::{Cancel, OperationId, OperationKind};

impl Service {
    /// Lists every destination that a task writes to or that holds backups.
    #[must_use]
    pub fn all_destinations(&self) -> Vec<DestinationUse> {
        let catalog = self.core.catalog();
        let spots = catalog.all_spots();
        let mut uses: Vec<DestinationUse> = spots
            .values()
            .map(|spot| DestinationUse {
                kind: spot.kind(),
                address: spot.address.clone(),
                tasks: Vec::new(),
                databases: catalog.places.values().filter(|places| places.contains(&spot.address)).count(),
            })
            .collect();
        for plan in catalog.all_plans() {
            for (_, spot) in catalog.aims_of(plan) {
                let its = uses.iter_mut().find(|one| one.address == spot.address);
                its.into_iter().for_each(|one| one.tasks.push(plan.shown_name()));
            }
        }
        uses.iter_mut().for_each(|one| one.tasks.sort());
        uses
    }

    /// Tries the destinations of a task, or the one that is named, each with a small object that is written, listed, read
    /// and removed. A script is run for it, as for a backup.
    ///
    /// # Errors
    /// There is no such task or destination.
    pub async fn test_task(
        &self,
        database: Option<&str>,
        task: &str,
        destination: Option<&str>,
    ) -> Result<Vec<DestinationTest>, ServiceError> {
        let backup = self.configuration(database, task)?;
        let limits = Limits::of(&self.core.settings);
        let targets = destination::targets(&backup);
        let found = tokio::task::spawn_blocking(move || placing::aims(&targets, &limits, &Cancel::new()));
        let mut aims = found.await.map_err(|error| {
            ServiceError::conflict(format!("it ended by a fault of the program: {error}; please report it"))
        })?;
        if let Some(wanted) = destination {
            let names = aims.iter().map(|aim| aim.name.as_str()).collect::<Vec<_>>().join(", ");
            let called = |aim: &placing::Aim| {
                let address = aim.spot.as_ref().is_ok_and(|spot| spot.address == wanted);
                address || same_name(&aim.name, wanted)
            };
            aims.retain(called);
            if aims.is_empty() {
                let remedy = format!("the destinations of the task are: {names}");
                return Err(ServiceError::not_found("destination", wanted, remedy));
            }
        }
        let mut tests = Vec::new();
        for aim in aims {
            tests.push(trial::aim(&self.core, aim).await);
        }
        Ok(tests)
    }

    /// Tries a destination that no task needs to know. Secrets that come as their mask are taken from what is known of the
    /// same address.
    ///
    /// # Errors
    /// The settings do not say where it is, or the administrator does not allow it.
    pub async fn test_settings(
        &self,
        settings: DestinationSettings,
    ) -> Result<Vec<DestinationTest>, ServiceError> {
        let mut tests = Vec::new();
        for (_, one) in settings.each() {
            let spot = location::spot(&self.core, one)?;
            tests.push(trial::of_spot(&self.core, &spot).await);
        }
        Ok(tests)
    }

    /// Says what each destination of a database lacks of what the others have, and what it has lost of its own.
    ///
    /// # Errors
    /// There is no such database, or it has no destination. One that cannot be read says so itself.
    pub async fn compare_destinations(
        &self,
        database: &str,
    ) -> Result<Vec<ComparedDestination>, ServiceError> {
        let (database, destinations) = self.meant(database, None)?;
        compare::compared(&self.core, database, destinations).await
    }

    /// Asks for a healing: each destination of the database's tasks, or the one that is named, gets the backups that it
    /// lacks and another destination of the same task has.
    ///
    /// # Errors
    /// There is no such database or destination.
    pub async fn heal(&self, database: &str, destination: Option<&str>) -> Result<OperationId, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        let only = match (destination, destinations.as_slice()) {
            (Some(_), [Destination { name, .. }]) => Some(name.clone()),
            _ => None,
        };
        let job = Job::Heal { database: database.clone(), destination: only };
        self.enqueue_one(OperationKind::Heal, database, Some(Lane::Proof), job).await
    }

    /// Returns where a task writes to: a server-wide one, or one of a database.
    fn configuration(&self, database: Option<&str>, task: &str) -> Result<BackupConfiguration, ServiceError> {
        let catalog = self.core.catalog();
        let Some(database) = database else {
            return Ok(catalog.template(task)?.periodic().backup.clone());
        };
        let database = catalog.database(database)?;
        let found = derived::find(&catalog, database, TaskSelector::Name(task));
        let found = found.or_else(|| catalog.template(task).ok());
        found.map(|plan| plan.periodic().backup.clone()).ok_or_else(|| {
            ServiceError::not_found("task", task, "list the tasks of the database to see their names")
        })
    }
}

//! The work itself: blocking, on a thread of its own, with everything it needs handed in.

mod backup;
pub(crate) mod check;
pub(crate) mod listing;
mod mark;
mod reader;
pub(crate) mod restore;
mod retain;
mod sink;
mod vault;
mod verify;

use crate::agenda::TaskKey;
use crate::core::Core;
use crate::destination::{self, Destination};
use crate::error::ServiceError;
use crate::job::{Done, Job};
use crate::operations::Live;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::{BackupId, BackupKind, Clock, Database, OperationId, Secret};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What every kind of work needs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) handle: Handle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: Secret,
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) identifier: String,
    /// The zone that snapshots show their time in.
    pub(crate) time_zone: TimeZone,
    pub(crate) staging: PathBuf,
    pub(crate) own_directories: Vec<PathBuf>,
    /// Backups that a comparison found to differ: they are not good.
    pub(crate) suspicious: HashSet<BackupId>,
}

/// A destination and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) destination: Destination,
    /// Whether any backup was ever written below this root: then a root that is not there is a fault, perhaps a
    /// disk that is not mounted, and is never made anew.
    pub(crate) root_known: bool,
    /// Whether backups of this database were written there.
    pub(crate) database_known: bool,
}

/// One operation, ready to be carried out.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) site: Site,
    pub(crate) id: OperationId,
    pub(crate) started: Timestamp,
    pub(crate) live: Live,
    pub(crate) what: What,
}

/// What an operation does.
#[derive(Debug)]
pub(crate) enum What {
    Backup(backup::Backup),
    Restore(restore::Restore),
    Verify(verify::Verify),
    Check(check::Check),
}

/// Gathers everything an operation needs, as it is at its start.
pub(crate) fn prepare(
    core: &Core,
    id: OperationId,
    job: &Job,
    started: Timestamp,
    live: Live,
) -> Result<Order, ServiceError> {
    let what = match job {
        Job::Backup { key, kind, .. } => What::Backup(backup(core, key, *kind)?),
        Job::Restore { database, request, destinations } => What::Restore(restore::Restore {
            database: Arc::clone(database),
            request: request.clone(),
            places: places(core, database, destinations.clone()),
        }),
        Job::Verify { database, backup, destinations } => What::Verify(verify::Verify {
            database: Arc::clone(database),
            backup: backup.clone(),
            places: places(core, database, destinations.clone()),
        }),
        Job::Check { database, destinations, read_data } => What::Check(check::Check {
            database: Arc::clone(database),
            read_data: *read_data,
            places: places(core, database, destinations.clone()),
        }),
    };
    Ok(Order { site: site(core), id, started, live, what })
}

fn backup(core: &Core, key: &TaskKey, kind: BackupKind) -> Result<backup::Backup, ServiceError> {
    let catalog = core.catalog();
    let database = Arc::clone(catalog.database(key.database.as_str())?);
    let template = Arc::clone(catalog.template(&key.task)?);
    let source = catalog.source(database.source.as_str())?.clone();
    let first = catalog.status(key).last_full_backup.is_none();
    // Given back before it is taken again below: a writer that waits in between would stop both.
    drop(catalog);
    let roots = destination::of_task(template.task()).into_iter().collect();
    let places = places(core, &database, destination::named(&roots));
    Ok(backup::Backup { database, source, settings: template.task().periodic.clone(), kind, first, places })
}

/// Hands out the tools.
pub(crate) fn site(core: &Core) -> Site {
    let suspicious =
        core.catalog().verified.iter().filter(|(_, equal)| !**equal).map(|(id, _)| id.clone()).collect();
    Site {
        handle: core.runtime.clone(),
        clock: Arc::clone(&core.clock),
        key: core.key.clone(),
        hostname: core.settings.hostname.clone(),
        username: core.settings.username.clone(),
        identifier: core.settings.identifier.clone(),
        time_zone: core.settings.time_zone.clone(),
        staging: core.settings.staging_directory.clone(),
        own_directories: core.own_directories(),
        suspicious,
    }
}

/// Adds what is known of each destination.
pub(crate) fn places(core: &Core, database: &Database, destinations: Vec<Destination>) -> Vec<Place> {
    let catalog = core.catalog();
    let known: HashSet<&String> = catalog.places.values().flatten().collect();
    let own = catalog.places.get(&database.name);
    let place = |destination: Destination| Place {
        root_known: known.contains(&destination.root),
        database_known: own.is_some_and(|roots| roots.contains(&destination.root)),
        destination,
    };
    destinations.into_iter().map(place).collect()
}

impl Order {
    /// Does the work. Blocking.
    pub(crate) fn carry_out(self) -> Done {
        match &self.what {
            What::Backup(backup) => backup.run(&self),
            What::Restore(restore) => restore.run(&self),
            What::Verify(verify) => verify.run(&self),
            What::Check(check) => check.run(&self),
        }
    }
}

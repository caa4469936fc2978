//! The work itself: blocking, on a thread of its own, with everything it needs handed in.

mod adopt;
mod backup;
pub(crate) mod candidates;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod free;
mod heal;
pub(crate) mod listing;
pub(crate) mod look;
mod loss_list;
mod mark;
mod mend;
pub(crate) mod owners;
mod part;
pub(crate) mod placing;
mod protect;
mod reader;
pub(crate) mod repair;
pub(crate) mod restore;
mod retain;
mod revive;
mod script;
mod shrink;
pub(crate) mod sightings;
mod sink;
mod throttle;
mod together;
pub(crate) mod trial;
pub(crate) mod vault;
mod verify;
mod waiting;

use crate::catalog::Catalog;
use crate::connections::Connections;
use crate::core::Core;
use crate::credentials;
use crate::destination::{self, Destination};
use crate::embedded;
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::job::{Cause, Done, Job};
use crate::limits::Limits;
use crate::operations::Live;
use crate::plan::Plan;
use crate::request::RestorePlace;
use crate::retention::Policy;
use crate::work::sightings::Sightings;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_engines::Engines;
use larder_model::task::BackupConfiguration;
use larder_model::{BackupId, BackupKind, Clock, Database, OperationId, PeriodicBackupConfiguration, Secret};
use larder_repository::KeyRing;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// What every kind of work needs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) handle: Handle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ring: KeyRing,
    pub(crate) connections: Connections,
    pub(crate) sightings: Sightings,
    pub(crate) hostname: String,
    pub(crate) username: String,
    pub(crate) identifier: String,
    /// Every name under which this installation makes backups: its own, and those that tasks give it.
    pub(crate) own_identifiers: HashSet<String>,
    /// The zone that snapshots show their time in.
    pub(crate) time_zone: TimeZone,
    pub(crate) staging: PathBuf,
    /// How many bytes of one backup may wait there.
    pub(crate) staging_limit: u64,
    pub(crate) own_directories: Vec<PathBuf>,
    /// Backups that a comparison found to differ: they are not good.
    pub(crate) suspicious: HashSet<BackupId>,
    pub(crate) engines: Arc<Engines>,
    /// How long packs that no backup needs any more stay.
    pub(crate) prune_grace: Duration,
    /// Where lists go that are too long for an operation's messages.
    pub(crate) reports: PathBuf,
}

/// A destination and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) destination: Destination,
    /// Whether any backup was ever written below this address: then a root that is not there is a fault, perhaps a
    /// disk that is not mounted, and is never made anew.
    pub(crate) root_known: bool,
    /// Whether backups of this database were written there.
    pub(crate) database_known: bool,
    /// What may open the repository there, the likeliest first; a new one is made with the first.
    pub(crate) passwords: Vec<Secret>,
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
    Backup(Box<backup::Backup>),
    Restore(restore::Restore),
    Adopt(adopt::Adopt),
    Verify(verify::Verify),
    Check(check::Check),
    Free(free::Free),
    Repair(repair::Repair),
    Mend(mend::Mend),
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
        Job::Backup { key, kind, cause, once } => {
            let taken_as_it_is = !cause.scheduled && *kind == BackupKind::Full;
            What::Backup(Box::new(backup(core, key, (*kind, cause), once.as_deref(), taken_as_it_is)?))
        }
        Job::Restore { database, request, destinations } => What::Restore(restore::Restore {
            database: Arc::clone(database),
            request: request.clone(),
            server: match &request.target {
                RestorePlace::Path(_) => None,
                RestorePlace::Server { source, .. } => Some(core.catalog().source(source)?.clone()),
            },
            places: places(core, database, destinations.clone()),
        }),
        Job::Adopt { database, from, backup } => What::Adopt(adopt::Adopt {
            exists: embedded::check_free(core, &database.name).is_err(),
            database: Arc::clone(database),
            from: from.clone(),
            backup: backup.clone(),
        }),
        Job::Verify { database, backup, destinations } => {
            let source = core.catalog().sources.get(&database.source).cloned();
            What::Verify(verify::Verify {
                database: Arc::clone(database),
                backup: backup.clone(),
                source,
                places: places(core, database, destinations.clone()),
            })
        }
        Job::Check { database, destinations, depth, .. } => What::Check(check::Check {
            database: Arc::clone(database),
            depth: *depth,
            places: places(core, database, destinations.clone()),
        }),
        Job::Prune { database, destinations, dry_run, .. } => What::Free(free::Free {
            database: Arc::clone(database),
            dry_run: *dry_run,
            places: places(core, database, destinations.clone()),
        }),
        Job::Repair { database, destinations, all, request } => What::Repair(repair::Repair {
            database: Arc::clone(database),
            places: places(core, database, destinations.clone()),
            all: places(core, database, all.clone()),
            request: request.clone(),
        }),
        Job::Heal { database, destination } => What::Mend(mend(core, database, destination.clone())),
    };
    let mut site = site(core);
    if let What::Backup(backup) = &what
        && let Some(identifier) = backup.settings.backup.identifier.as_deref().filter(|name| !name.is_empty())
    {
        identifier.clone_into(&mut site.identifier);
    }
    if let (Job::Backup { key, .. }, What::Backup(backup)) = (job, &what) {
        core.chain_begins(key, &site.identifier, &backup.source, &backup.database);
    }
    Ok(Order { site, id, started, live, what })
}

fn backup(
    core: &Core,
    key: &TaskKey,
    (kind, cause): (BackupKind, &Cause),
    once: Option<&BackupConfiguration>,
    taken_as_it_is: bool,
) -> Result<backup::Backup, ServiceError> {
    let catalog = core.catalog();
    let database = Arc::clone(catalog.database(key.database.as_str())?);
    let source = catalog.source(database.source.as_str())?.clone();
    let settings = match (once, catalog.plan(key.task)) {
        (Some(once), _) => PeriodicBackupConfiguration { backup: once.clone(), ..Default::default() },
        (None, Some(plan)) => plan.periodic().clone(),
        (None, None) => {
            let name = key.task.to_string();
            return Err(ServiceError::not_found("task", name, "it was deleted before its backup began"));
        }
    };
    let first = catalog.status(key).last_full_backup.is_none();
    let known = Known::of(&catalog, &database);
    Ok(backup::Backup {
        task: key.task,
        targets: destination::targets(&settings.backup),
        password: credentials::password(&settings.backup, &core.key),
        limits: Limits::of(&core.settings),
        database,
        source,
        policy: Policy::of(&settings, &core.settings.time_zone),
        settings,
        kind,
        periodicities: cause.periodicities.clone(),
        first,
        taken_as_it_is,
        known,
    })
}

fn mend(core: &Core, database: &Arc<Database>, only: Option<String>) -> mend::Mend {
    let catalog = core.catalog();
    let of_task = |plan: &Arc<Plan>| mend::OfTask {
        uid: plan.uid,
        name: plan.periodic().name.clone(),
        targets: destination::targets(&plan.periodic().backup),
        password: credentials::password(&plan.periodic().backup, &core.key),
        policy: Policy::of(plan.periodic(), &core.settings.time_zone),
    };
    mend::Mend {
        database: Arc::clone(database),
        tasks: catalog.plans_of(database).map(of_task).collect(),
        known: Known::of(&catalog, database),
        limits: Limits::of(&core.settings),
        only,
    }
}

/// Hands out the tools.
pub(crate) fn site(core: &Core) -> Site {
    let suspicious =
        core.catalog().verified.iter().filter(|(_, equal)| !**equal).map(|(id, _)| id.clone()).collect();
    let catalog = core.catalog();
    let of_tasks = catalog.all_plans().filter_map(|plan| plan.periodic().backup.identifier.clone());
    let own_identifiers = of_tasks.chain([core.settings.identifier.clone()]).collect();
    drop(catalog);
    Site {
        handle: core.runtime.clone(),
        clock: Arc::clone(&core.clock),
        ring: core.ring.clone(),
        connections: core.connections.clone(),
        sightings: core.sightings.clone(),
        hostname: core.settings.hostname.clone(),
        username: core.settings.username.clone(),
        identifier: core.settings.identifier.clone(),
        own_identifiers,
        time_zone: core.settings.time_zone.clone(),
        staging: core.settings.staging_directory.clone(),
        staging_limit: core.settings.staging_limit,
        own_directories: core.own_directories(),
        suspicious,
        engines: Arc::clone(&core.engines),
        prune_grace: core.settings.prune_grace,
        reports: core.settings.data_directory.join("reports"),
    }
}

/// The addresses that hold repositories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Of any database.
    all: HashSet<String>,
    /// Of the one that is meant.
    own: BTreeSet<String>,
}

impl Known {
    fn of(catalog: &Catalog, database: &Database) -> Self {
        Self {
            all: catalog.known_roots().clone(),
            own: catalog.places.get(&database.name).cloned().unwrap_or_default(),
        }
    }

    /// Adds what is known of a destination.
    pub(crate) fn place(&self, destination: Destination, passwords: Vec<Secret>) -> Place {
        Place {
            root_known: self.all.contains(&destination.spot.address),
            database_known: self.own.contains(&destination.spot.address),
            destination,
            passwords,
        }
    }
}

/// Adds what is known of each destination.
pub(crate) fn places(core: &Core, database: &Database, destinations: Vec<Destination>) -> Vec<Place> {
    let catalog = core.catalog();
    let known = Known::of(&catalog, database);
    let passwords = passwords(&catalog, database, &core.key);
    destinations.into_iter().map(|destination| known.place(destination, passwords.clone())).collect()
}

/// Returns the password of a database's repository at an address: that of the task that writes there, or the server's.
pub(crate) fn password_at(core: &Core, database: &Database, address: &str) -> Secret {
    let catalog = core.catalog();
    let there = |plan: &&Arc<Plan>| catalog.aims_of(plan).iter().any(|(_, spot)| spot.address == address);
    catalog
        .plans_of(database)
        .find(there)
        .map_or_else(|| core.key.clone(), |plan| credentials::password(&plan.periodic().backup, &core.key))
}

/// Lists what may open a database's repositories, the likeliest first.
fn passwords(catalog: &Catalog, database: &Database, server_key: &Secret) -> Vec<Secret> {
    let mut passwords = vec![server_key.clone()];
    let of_tasks = catalog
        .plans_of(database)
        .map(|plan| credentials::password(&plan.periodic().backup, server_key))
        .chain(std::iter::once(credentials::open_password()));
    for password in of_tasks {
        if !passwords.contains(&password) {
            passwords.push(password);
        }
    }
    passwords
}

impl Order {
    /// Does the work. Blocking.
    pub(crate) fn carry_out(self) -> Done {
        match &self.what {
            What::Backup(backup) => backup.run(&self),
            What::Restore(restore) => restore.run(&self),
            What::Adopt(adopt) => adopt.run(&self),
            What::Verify(verify) => verify.run(&self),
            What::Check(check) => check.run(&self),
            What::Free(free) => free.run(&self),
            What::Repair(repair) => repair.run(&self),
            What::Mend(mend) => mend.run(&self),
        }
    }
}

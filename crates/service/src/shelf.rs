//! A database's backups where they lie, read and mended with nothing but the key: no server, no state.

use crate::connections::Connections;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::operations::Live;
use crate::request::{BackupChoice, CheckDepth, DamagedBackups, RepairRequest, RestorePlace, RestoreRequest};
use crate::spot::Spot;
use crate::work::check::Check;
use crate::work::repair::Repair;
use crate::work::restore::Restore;
use crate::work::sightings::Sightings;
use crate::work::{Order, Place, Site, What};
use jiff::tz::TimeZone;
use larder_engines::{Engines, Host, RestorePointInTime};
use larder_model::task::DestinationSettings;
use larder_model::{
    BackupId, Cancel, Clock, Counters, Database, DatabaseName, EngineKind, RestorePoint, Secret,
};
use larder_repository::KeyRing;
use larder_storage::{Connector, PatienceSettings};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The backups of one database at a destination, or at several. Its calls are blocking.
#[derive(Clone, Debug)]
pub struct Shelf {
    site: Site,
    places: Vec<Place>,
    database: Arc<Database>,
}

/// What is to be restored from a shelf, and where to.
#[derive(Clone, Debug)]
pub struct ShelfRestore<'a> {
    /// Which backup.
    pub backup: &'a BackupChoice,
    /// An absolute path.
    pub target: &'a Path,
    /// Whether what is there is written over.
    pub overwrite: bool,
    /// Where the restore ends, for engines that know a point in time; else at the backup.
    pub until: Option<&'a RestorePointInTime>,
    /// A directory for what cannot be streamed; made where it is needed, with nothing left in it at the end.
    pub staging: &'a Path,
}

/// How a shelf is to be repaired.
#[derive(Clone, Copy, Debug)]
pub struct ShelfRepair<'a> {
    /// Whether every byte is read to find damage that sizes do not show.
    pub read_data: bool,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// What is done with backups of which something is lost for good.
    pub damaged_backups: DamagedBackups,
    /// A directory for what a dry run would write, which is gone at the end, and for the list of what is lost, which stays;
    /// made where it is needed.
    pub directory: &'a Path,
}

/// What a repair of a shelf did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// What was found and done, and what is lost, one sentence each.
    pub messages: Vec<String>,
    /// Why the repair is not complete, where it is not.
    pub fault: Option<String>,
}

/// What a restore from a shelf did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup that was restored.
    pub backup: BackupId,
    /// What a person should be told.
    pub messages: Vec<String>,
}

impl Shelf {
    /// Opens the repository of `database` at a destination, as a task would name it: a directory, a bucket; `key` is its
    /// password. What it takes to read a backup, such as a vendor's program that unpacks, is looked for where `host` says.
    ///
    /// # Errors
    /// The settings do not say where it is, there is no repository there, or the key does not open it.
    pub fn open(
        settings: DestinationSettings,
        connector: Connector,
        database: DatabaseName,
        key: Secret,
        clock: Arc<dyn Clock>,
        handle: &Handle,
        host: &Host,
    ) -> Result<Self, ServiceError> {
        let shelf = Self::at(vec![settings], connector, database, &key, clock, handle, host)?;
        shelf.site.open(shelf.place()?, &shelf.database)?;
        Ok(shelf)
    }

    /// Takes the repositories of `database` at several destinations of the same backups, to repair them. Nothing is opened
    /// yet, for what is damaged may not open.
    ///
    /// # Errors
    /// The settings do not say where one is.
    pub fn at(
        settings: Vec<DestinationSettings>,
        connector: Connector,
        database: DatabaseName,
        key: &Secret,
        clock: Arc<dyn Clock>,
        handle: &Handle,
        host: &Host,
    ) -> Result<Self, ServiceError> {
        let mut places: Vec<Place> = Vec::new();
        for settings in settings {
            let spot = Spot::of(settings).ok_or_else(|| {
                ServiceError::invalid(
                    "Destination",
                    "it does not say where it is; give its folder, bucket or address",
                )
            })?;
            // One that is named twice is no help to itself.
            if places.iter().all(|place| place.destination.spot.address != spot.address) {
                let destination = Destination { name: spot.address.clone(), spot: Arc::new(spot) };
                let passwords = vec![key.clone()];
                places.push(Place { destination, root_known: true, database_known: true, passwords });
            }
        }
        // What a snapshot says of itself decides; this stands in where it says nothing.
        let database = Database {
            source: database.clone(),
            name: database,
            engine: EngineKind::Files,
            locator: String::new(),
            discovered: clock.now(),
            missing_since: None,
        };
        Ok(Self {
            site: Site {
                handle: handle.clone(),
                clock: Arc::clone(&clock),
                ring: KeyRing::new(),
                connections: Connections::new(connector, PatienceSettings::default(), Arc::clone(&clock)),
                sightings: Sightings::default(),
                hostname: String::new(),
                username: String::new(),
                identifier: String::new(),
                own_identifiers: HashSet::new(),
                time_zone: TimeZone::UTC,
                staging: PathBuf::new(),
                staging_limit: 0,
                own_directories: Vec::new(),
                suspicious: HashSet::new(),
                engines: Arc::new(Engines::new(host)),
                prune_grace: Duration::ZERO,
                reports: PathBuf::new(),
            },
            places,
            database: Arc::new(database),
        })
    }

    /// Returns the first of the places.
    fn place(&self) -> Result<&Place, ServiceError> {
        self.places.first().ok_or_else(|| ServiceError::invalid("Destination", "name one"))
    }

    /// Lists the backups, the newest first.
    ///
    /// # Errors
    /// The repository cannot be read. A single backup whose description is broken is logged and left out.
    pub fn backups(&self) -> Result<Vec<RestorePoint>, ServiceError> {
        let vault = self.site.open(self.place()?, &self.database)?;
        let (found, _) = vault.readable_snapshots(&self.site, &Cancel::new())?;
        let name = &self.place()?.destination.name;
        Ok(found
            .iter()
            .map(|found| found.point(&self.site.engines, name, &self.database, &HashMap::new()))
            .collect())
    }

    /// Writes a backup's data to a path.
    ///
    /// # Errors
    /// There is no such backup, the target holds something and may not be written over, the point in time is none of
    /// the backup's, or a part of the backup is damaged.
    pub fn restore(&self, asked: &ShelfRestore<'_>, cancel: &Cancel) -> Result<Restored, ServiceError> {
        let restore = Restore {
            database: Arc::clone(&self.database),
            request: RestoreRequest {
                database: self.database.name.to_string(),
                backup: asked.backup.clone(),
                destination: None,
                target: RestorePlace::Path(asked.target.to_owned()),
                overwrite: asked.overwrite,
                until: asked.until.cloned(),
            },
            places: self.places.clone(),
            server: None,
        };
        let mut order = self.order(What::Restore(restore), cancel);
        asked.staging.clone_into(&mut order.site.staging);
        let done = ended(order.carry_out())?;
        let backup = done.destinations.into_iter().find_map(|outcome| outcome.backup);
        let backup =
            backup.ok_or_else(|| ServiceError::not_found("backup", "latest", "list the backups there"))?;
        Ok(Restored { backup, messages: done.messages })
    }

    /// Checks the repository's structure, and reads as much of the bytes as `depth` says; returns every problem in words.
    ///
    /// # Errors
    /// The repository cannot be read, or somebody raised `cancel`.
    pub fn check(&self, depth: CheckDepth, cancel: &Cancel) -> Result<Vec<String>, ServiceError> {
        let check = Check { database: Arc::clone(&self.database), places: self.places.clone(), depth };
        let done = self.order(What::Check(check), cancel).carry_out();
        if matches!(done.verdict, Verdict::Faulted(_)) && !done.messages.is_empty() {
            return Ok(done.messages);
        }
        ended(done).map(|_| Vec::new())
    }

    /// Repairs every repository of the shelf with the help of the others: what is damaged at one and intact at another is
    /// fetched from there, the index is made anew from the packs, the configuration and key file where they are damaged or
    /// gone, and what is lost for good is named, file by file.
    ///
    /// # Errors
    /// Backups are to be removed, which only the server does that knows whose they are; somebody raised `cancel`. What
    /// could not be repaired is no error.
    pub fn repair(&self, asked: &ShelfRepair<'_>, cancel: &Cancel) -> Result<Mended, ServiceError> {
        let ShelfRepair { read_data, dry_run, damaged_backups, directory } = *asked;
        if damaged_backups == DamagedBackups::Replace {
            return Err(ServiceError::invalid(
                "DamagedBackups",
                "only a server removes backups, for it knows which are its own; have what is left of them supplemented",
            ));
        }
        let database = self.database.name.to_string();
        let request = RepairRequest { database, destination: None, read_data, dry_run, damaged_backups };
        let (places, all) = (self.places.clone(), self.places.clone());
        let what = What::Repair(Repair { database: Arc::clone(&self.database), places, all, request });
        let mut order = self.order(what, cancel);
        directory.clone_into(&mut order.site.staging);
        directory.clone_into(&mut order.site.reports);
        let done = order.carry_out();
        match done.verdict {
            Verdict::Faulted(fault) => Ok(Mended { messages: done.messages, fault: Some(fault) }),
            _ => ended(done).map(|done| Mended { messages: done.messages, fault: None }),
        }
    }

    fn order(&self, what: What, cancel: &Cancel) -> Order {
        let live = Live { cancel: cancel.clone(), counters: Arc::new(Counters::default()) };
        // No history counts it, so it has no number.
        Order { site: self.site.clone(), id: 0, started: self.site.clock.now(), live, what }
    }
}

fn ended(done: Done) -> Result<Done, ServiceError> {
    match done.verdict {
        Verdict::Completed => Ok(done),
        Verdict::Faulted(message) => Err(ServiceError::Repository { message }),
        Verdict::Canceled => Err(ServiceError::conflict("it was aborted before it was done; start it again")),
    }
}

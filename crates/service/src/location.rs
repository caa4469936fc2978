//! Repositories found by where they lie alone, as RavenDB's clients name what they restore.

use crate::core::Core;
use crate::credentials;
use crate::destination::Destination;
use crate::error::{ErrorKind, ServiceError};
use crate::limits::Limits;
use crate::spot::Spot;
use crate::work::owners::notes;
use crate::work::vault::Found;
use crate::work::{Place, Site, site};
use jiff::Timestamp;
use larder_model::task::{BackupConfiguration, DestinationSettings};
use larder_model::{BackupId, Cancel, Database, DatabaseName, EngineKind, RestorePoint, Secret};
use larder_repository::CONFIG_PATH;
use larder_storage::Storage;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// A backup with the place where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedPoint {
    /// The backup.
    pub point: RestorePoint,
    /// The repository's directory, or its address.
    pub location: String,
    /// Whether a key that not everybody knows opens it.
    pub is_encrypted: bool,
}

/// A repository that was found.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// Where it lies.
    pub(crate) place: Place,
    /// A stand-in for the database it is of; what a snapshot says of itself decides.
    pub(crate) database: Arc<Database>,
}

/// Finds the repositories that settings mean: itself, or those in it. Blocking.
pub(crate) fn repositories(
    site: &Site,
    spot: &Spot,
    passwords: &[Secret],
) -> Result<Vec<Located>, ServiceError> {
    let mut found = match spot.directory() {
        Some(directory) => in_directory(directory, passwords)?,
        None => elsewhere(site, spot, passwords)?,
    };
    found.sort_by(|a, b| a.database.name.cmp(&b.database.name));
    Ok(found)
}

fn in_directory(path: &Path, passwords: &[Secret]) -> Result<Vec<Located>, ServiceError> {
    let failed = |error: std::io::Error| {
        let path = path.display();
        ServiceError::invalid_as(
            ErrorKind::Argument,
            "BackupLocation",
            format!(
                "there is no backup at '{path}': {error}; give the directory of a repository, or the one it lies in"
            ),
        )
    };
    let repository = |path: &Path| {
        let root = Spot::local(&path.parent()?.display().to_string());
        located(root, path.file_name()?.to_str()?, passwords)
    };
    if path.is_absolute() && path.join("config").is_file() {
        return Ok(repository(path).into_iter().collect());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let directory = entry.map_err(failed)?.path();
        if directory.join("config").is_file() {
            found.extend(repository(&directory));
        }
    }
    Ok(found)
}

/// Finds repositories at another host: by the notes of those who write there, and where there are none by a list of
/// everything.
fn elsewhere(site: &Site, spot: &Spot, passwords: &[Secret]) -> Result<Vec<Located>, ServiceError> {
    let storage = site.connections.open(spot)?;
    let is_repository = |folder: &dyn Storage, path: &str| {
        site.handle.block_on(folder.stat(path)).map(|found| found.is_some())
    };
    if is_repository(&*storage, CONFIG_PATH)? {
        let found = spot.around().and_then(|(root, name)| located(root, &name, passwords));
        return match found {
            Some(found) => Ok(vec![found]),
            None => Err(ServiceError::invalid_as(
                ErrorKind::Argument,
                "RemoteFolderName",
                format!(
                    "'{}' is a repository that lies in no folder; only those in a folder of the database's name can be restored so",
                    spot.address
                ),
            )),
        };
    }
    let noted = site.handle.block_on(notes(&*storage))?.databases;
    let mut names: BTreeSet<String> = noted.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        let all = site.handle.block_on(storage.list(""))?;
        names = all
            .iter()
            .filter_map(|object| object.path.strip_suffix(CONFIG_PATH)?.strip_suffix('/'))
            .filter(|folder| !folder.contains('/'))
            .map(str::to_owned)
            .collect();
    }
    let mut found = Vec::new();
    for name in names {
        if is_repository(&*storage, &format!("{name}/{CONFIG_PATH}"))? {
            found.extend(located(spot.clone(), &name, passwords));
        }
    }
    Ok(found)
}

fn located(root: Spot, name: &str, passwords: &[Secret]) -> Option<Located> {
    let name: DatabaseName = name.parse().ok()?;
    let destination = Destination { name: root.address.clone(), spot: Arc::new(root) };
    let place = Place { destination, root_known: true, database_known: true, passwords: passwords.to_vec() };
    let database = Database {
        source: name.clone(),
        name,
        engine: EngineKind::Files,
        locator: String::new(),
        discovered: Timestamp::UNIX_EPOCH,
        missing_since: None,
    };
    Some(Located { place, database: Arc::new(database) })
}

/// Makes the spot that a request means, with the secrets that a task or an earlier backup knows where it masks them, and
/// only where the administrator allows it.
pub(crate) fn spot(core: &Core, settings: DestinationSettings) -> Result<Spot, ServiceError> {
    let kind = settings.kind();
    let refused = |message: String| ServiceError::invalid_as(ErrorKind::Argument, kind.key(), message);
    let nowhere = || refused("it does not say where it is; give its folder, bucket or address".to_owned());
    let address = settings.block().address().ok_or_else(nowhere)?;
    let known = core.catalog().spot(&address).map(|known| known.settings.clone().into());
    let mut alone: BackupConfiguration = settings.into();
    alone.unmask(known.as_ref());
    let spot = DestinationSettings::only(&alone).and_then(Spot::of).ok_or_else(nowhere)?;
    match Limits::of(&core.settings).objection(spot.settings.block()) {
        // What lies in a directory is only read here, wherever new backups may go.
        Some(objection) if spot.directory().is_none() => Err(refused(objection)),
        _ => Ok(spot),
    }
}

/// Lists what may open a repository that is known by where it lies alone.
pub(crate) fn passwords(core: &Core, given: Option<Secret>) -> Vec<Secret> {
    let mut passwords: Vec<Secret> = given.into_iter().chain([core.key.clone()]).collect();
    let catalog = core.catalog();
    let all = catalog.all_plans().map(|plan| credentials::password(&plan.periodic().backup, &core.key));
    for password in all.chain([credentials::open_password()]) {
        if !passwords.contains(&password) {
            passwords.push(password);
        }
    }
    passwords
}

/// Lists the backups of one repository. Blocking.
fn points_of(
    site: &Site,
    located: &Located,
    verified: &HashMap<BackupId, bool>,
) -> Result<Vec<LocatedPoint>, ServiceError> {
    let Located { place, database } = located;
    let vault = site.open(place, database)?;
    let location = place.destination.spot.of_database(database.name.as_str());
    let open = Place { passwords: vec![credentials::open_password()], ..place.clone() };
    let is_encrypted = site.open(&open, database).is_err();
    let (found, _) = vault.readable_snapshots(site, &Cancel::new())?;
    let located = |found: &Found| {
        let point = found.point(&site.engines, &place.destination.name, database, verified);
        LocatedPoint { point, location: location.clone(), is_encrypted }
    };
    Ok(found.iter().map(located).collect())
}

/// Lists the backups at a place, the newest first. Of several repositories one that cannot be read is logged and left out;
/// an error only where none can be read.
pub(crate) async fn points(
    core: &Arc<Core>,
    settings: DestinationSettings,
    key: Option<Secret>,
) -> Result<Vec<LocatedPoint>, ServiceError> {
    let spot = spot(core, settings)?;
    let (site, passwords) = (site(core), passwords(core, key));
    let verified: HashMap<_, _> = core.catalog().verified.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let mut points = Vec::new();
        let (mut read, mut failed) = (0, None);
        for located in repositories(&site, &spot, &passwords)? {
            match points_of(&site, &located, &verified) {
                Ok(its) => {
                    read += 1;
                    points.extend(its);
                }
                Err(error) => {
                    let database = &located.database.name;
                    tracing::warn!(%database, "the backups there are not listed: {error}");
                    failed = failed.or(Some(error));
                }
            }
        }
        if let Some(error) = failed.filter(|_| read == 0) {
            return Err(error);
        }
        points.sort_by_key(|located| std::cmp::Reverse(located.point.time));
        Ok(points)
    });
    listed.await.map_err(|error| {
        ServiceError::conflict(format!(
            "listing backups ended by a fault of the program: {error}; please report it"
        ))
    })?
}

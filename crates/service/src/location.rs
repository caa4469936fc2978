//! Repositories found by their path alone, as RavenDB's clients name what they restore.

use crate::core::Core;
use crate::credentials;
use crate::destination::Destination;
use crate::error::{ErrorKind, ServiceError};
use crate::work::listing::point;
use crate::work::{Place, Site, site};
use jiff::Timestamp;
use larder_model::{BackupId, Cancel, Database, DatabaseName, EngineKind, RestorePoint, Secret};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A backup with the place where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedPoint {
    /// The backup.
    pub point: RestorePoint,
    /// The repository's directory.
    pub location: PathBuf,
    /// Whether a key that not everybody knows opens it.
    pub is_encrypted: bool,
}

/// A repository in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// Where it lies.
    pub(crate) place: Place,
    /// A stand-in for the database it is of; what a snapshot says of itself decides.
    pub(crate) database: Arc<Database>,
}

/// Finds the repositories that a path means: itself, or those in it. Blocking.
pub(crate) fn repositories(path: &Path, passwords: &[Secret]) -> Result<Vec<Located>, ServiceError> {
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
    if path.is_absolute() && path.join("config").is_file() {
        return Ok(located(path, passwords).into_iter().collect());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let directory = entry.map_err(failed)?.path();
        if directory.join("config").is_file() {
            found.extend(located(&directory, passwords));
        }
    }
    found.sort_by(|a, b| a.database.name.cmp(&b.database.name));
    Ok(found)
}

fn located(repository: &Path, passwords: &[Secret]) -> Option<Located> {
    let name: DatabaseName = repository.file_name()?.to_str()?.parse().ok()?;
    let root = repository.parent()?.display().to_string();
    let destination = Destination { name: root.clone(), root };
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

/// Lists what may open a repository that is known by its path alone.
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
    let location = Path::new(&place.destination.root).join(database.name.as_str());
    let open = Place { passwords: vec![credentials::open_password()], ..place.clone() };
    let is_encrypted = site.open(&open, database).is_err();
    let (found, _) = vault.readable_snapshots(site, &Cancel::new())?;
    let located = |found| {
        let point = point(&vault, database, found, verified);
        LocatedPoint { point, location: location.clone(), is_encrypted }
    };
    Ok(found.iter().map(located).collect())
}

/// Lists the backups at a path, the newest first. Of several repositories one that cannot be read is logged and left out;
/// an error only where none can be read.
pub(crate) async fn points(
    core: &Arc<Core>,
    path: PathBuf,
    key: Option<Secret>,
) -> Result<Vec<LocatedPoint>, ServiceError> {
    let (site, passwords) = (site(core), passwords(core, key));
    let verified: HashMap<_, _> = core.catalog().verified.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let mut points = Vec::new();
        let (mut read, mut failed) = (0, None);
        for located in repositories(&path, &passwords)? {
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

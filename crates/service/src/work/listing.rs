//! The list of a database's backups.

use crate::core::Core;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::work::sightings::Sighting;
use crate::work::vault::Vault;
use crate::work::{Place, Site, places, site};
use larder_model::{BackupId, Cancel, Database, RestorePoint};
use larder_repository::{Id, ObjectKind, RepositoryError};
use std::collections::HashMap;
use std::sync::Arc;

/// Lists a database's backups, the newest first.
///
/// A destination that was given a task but no backup yet holds none; one that cannot be read is an error.
pub(crate) async fn restore_points(
    core: &Arc<Core>,
    database: Arc<Database>,
    destinations: Vec<Destination>,
) -> Result<Vec<RestorePoint>, ServiceError> {
    let site = site(core);
    let mut places = places(core, &database, destinations);
    places.retain(|place| place.database_known);
    let verified: HashMap<BackupId, bool> = core.catalog().verified.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let mut points = Vec::new();
        for its in at_each(&places, |place| points_at(&site, place, &database, &verified)) {
            points.append(&mut its?);
        }
        points.sort_by_key(|point| std::cmp::Reverse(point.time));
        Ok(points)
    });
    listed.await.map_err(|error| fault(&error.to_string()))?
}

/// Makes the error of a list that a fault of the program ended.
pub(crate) fn fault(cause: &str) -> ServiceError {
    ServiceError::conflict(format!(
        "listing backups ended by a fault of the program: {cause}; please report it"
    ))
}

/// Asks every destination at the same time; the answers are in the order of the places.
pub(crate) fn at_each<T: Send>(
    places: &[Place],
    ask: impl Fn(&Place) -> Result<T, ServiceError> + Sync,
) -> Vec<Result<T, ServiceError>> {
    if let [only] = places {
        return vec![ask(only)];
    }
    let ask = &ask;
    std::thread::scope(|scope| {
        let asked: Vec<_> = places.iter().map(|place| scope.spawn(move || ask(place))).collect();
        let ended = asked.into_iter().map(|thread| thread.join());
        ended.map(|answer| answer.unwrap_or_else(|_| Err(fault("a thread of it broke off")))).collect()
    })
}

fn points_at(
    site: &Site,
    place: &Place,
    database: &Database,
    verified: &HashMap<BackupId, bool>,
) -> Result<Vec<RestorePoint>, ServiceError> {
    let vault = site.open(place, database)?;
    let (seen, broken) = vault.sightings(site, &Cancel::new())?;
    // One whose description is broken does not hide the others.
    broken.iter().for_each(|error| tracing::warn!("a backup is passed over: {error}"));
    let name = &place.destination.name;
    let point = |one: &Arc<Sighting>| one.point(name, database, site.quality(&one.id, &one.mark), verified);
    Ok(seen.iter().map(point).collect())
}

impl Vault {
    /// Lists what can be read of the backups, the newest first, and says why the others cannot. For showing and choosing
    /// alone: what was seen before is not read again.
    pub(crate) fn sightings(
        &self,
        site: &Site,
        cancel: &Cancel,
    ) -> Result<(Vec<Arc<Sighting>>, Vec<RepositoryError>), ServiceError> {
        let there = self.repository.list(ObjectKind::Snapshot)?;
        // A copy of a repository has its name, and may hold other backups.
        let name = format!("{} {}", self.repository.id(), self.repository.describe());
        let (mut all, unknown) = site.sightings.recall(&name, &there);
        let sizes: HashMap<Id, u64> = unknown.iter().copied().collect();
        let ids: Vec<Id> = unknown.iter().map(|(id, _)| *id).collect();
        let mut read = Vec::with_capacity(ids.len());
        let broken = self.repository.read_readable(&ids, cancel, &mut |id, snapshot| {
            let size = sizes.get(id).copied().unwrap_or_default();
            read.push(((*id, size), Arc::new(Sighting::of(&site.engines, &snapshot))));
        })?;
        site.sightings.keep(&name, &read);
        all.extend(read.into_iter().map(|(_, sighting)| sighting));
        all.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id)));
        Ok((all, broken))
    }
}

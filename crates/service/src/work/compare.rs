//! What each destination of a database lacks.

use crate::core::Core;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::view::{ComparedDestination, LackingBackup};
use crate::work::vault::Vault;
use crate::work::{Place, Site, places, site};
use larder_model::{Cancel, Database};
use larder_repository::{Lacking, Repository, Snapshot};
use larder_storage::Storage;
use std::sync::Arc;

/// How many lost objects are named.
const NAMED: usize = 20;

/// Compares all destinations of a database with each other.
pub(crate) async fn compared(
    core: &Arc<Core>,
    database: Arc<Database>,
    destinations: Vec<Destination>,
) -> Result<Vec<ComparedDestination>, ServiceError> {
    let site = site(core);
    let places = places(core, &database, destinations);
    let compared = tokio::task::spawn_blocking(move || compare(&site, &database, &places));
    compared.await.map_err(|error| {
        ServiceError::conflict(format!(
            "comparing destinations ended by a fault of the program: {error}; please report it"
        ))
    })
}

fn compare(site: &Site, database: &Database, places: &[Place]) -> Vec<ComparedDestination> {
    let open: Vec<Result<Vault, ServiceError>> = std::thread::scope(|scope| {
        let opening: Vec<_> = places.iter().map(|place| scope.spawn(|| site.open(place, database))).collect();
        let fault = || ServiceError::conflict("opening it ended by a fault of the program; please report it");
        opening.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(fault()))).collect()
    });
    let mut compared = Vec::new();
    for (number, (place, vault)) in places.iter().zip(&open).enumerate() {
        let mut shown = ComparedDestination::new(place.destination.view(&database.name));
        let others = open.iter().enumerate().filter(|(other, _)| *other != number);
        let others: Vec<Repository> =
            others.filter_map(|(_, vault)| Some(vault.as_ref().ok()?.repository.clone())).collect();
        let found = match vault {
            Ok(vault) => look(site, vault, database, &others, &mut shown).map_err(|error| error.to_string()),
            // A task that never ran there has made nothing yet.
            Err(_) if !place.database_known => {
                Err("there are no backups of the database there yet".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        shown.error = found.err();
        compared.push(shown);
    }
    compared
}

fn look(
    site: &Site,
    vault: &Vault,
    database: &Database,
    others: &[Repository],
    shown: &mut ComparedDestination,
) -> Result<(), ServiceError> {
    let cancel = Cancel::new();
    let (found, broken) = vault.readable_snapshots(site, &cancel)?;
    shown.backups = found.len();
    shown.unreadable = broken;
    let root: Arc<dyn Storage> = site.connections.open(&vault.place.destination.spot)?;
    shown.other_installations = site.writers(&*root, &database.name)?.others;
    for found in found.iter().filter(|found| site.is_others(found)) {
        let identifier = found.mark.identifier.clone().unwrap_or_default();
        if !shown.other_installations.contains(&identifier) {
            shown.other_installations.push(identifier);
        }
    }
    let Lacking { backups, broken, blobs, bytes, lost_packs } = vault.repository.lacking(others, &cancel)?;
    let lacking = |snapshot: &Snapshot, cause: Option<String>| LackingBackup {
        id: snapshot.id.clone(),
        time: snapshot.time,
        cause,
    };
    shown.lacking = backups
        .iter()
        .map(|backup| lacking(backup, None))
        .chain(broken.into_iter().map(|(backup, cause)| lacking(&backup, Some(cause))))
        .collect();
    shown.lacking_objects = blobs;
    shown.lacking_bytes = bytes;
    shown.lost_objects = lost_packs.len();
    shown.lost = lost_packs.into_iter().take(NAMED).collect();
    Ok(())
}

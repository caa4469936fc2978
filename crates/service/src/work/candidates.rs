//! The backups that a retention policy may speak about, for a simulation.

use crate::core::Core;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::identity::TaskUid;
use crate::retention::Candidate;
use crate::work::listing::point;
use crate::work::{places, retain, site};
use larder_model::{Database, RestorePoint};
use std::sync::Arc;

/// Lists the backups of a task at each destination; a destination that cannot be read is an error.
pub(crate) async fn by_destination(
    core: &Arc<Core>,
    database: Arc<Database>,
    destinations: Vec<Destination>,
    (uid, name): (TaskUid, String),
) -> Result<Vec<Vec<(RestorePoint, Candidate)>>, ServiceError> {
    let site = site(core);
    let mut places = places(core, &database, destinations);
    places.retain(|place| place.database_known);
    let verified = core.catalog().verified.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        for place in &places {
            let vault = site.open(place, &database)?;
            let found = vault.snapshots(&site)?;
            let of_task = found
                .iter()
                .filter(|found| site.is_ours(found) && retain::is_of(found, (uid, name.as_str())));
            let here = of_task.map(|found| {
                (point(&site.engines, &vault, &database, found, &verified), retain::candidate(found))
            });
            all.push(here.collect());
        }
        Ok(all)
    });
    listed.await.map_err(|error| {
        ServiceError::conflict(format!(
            "listing backups ended by a fault of the program: {error}; please report it"
        ))
    })?
}

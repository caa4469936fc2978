//! The backups that a retention policy may speak about, for a simulation.

use crate::core::Core;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::identity::TaskUid;
use crate::retention::Candidate;
use crate::work::listing::{at_each, fault};
use crate::work::{Place, places, retain, site};
use larder_model::{Cancel, Database, RestorePoint};
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
    let at = move |place: &Place| -> Result<Vec<(RestorePoint, Candidate)>, ServiceError> {
        let vault = site.open(place, &database)?;
        let (seen, mut broken) = vault.sightings(&site, &Cancel::new())?;
        // Nothing is removed on the word of a list that is not whole, so nothing is foretold from one.
        if let Some(error) = broken.pop() {
            return Err(error.into());
        }
        let of_task = seen
            .iter()
            .filter(|one| one.mark.is_by(&site.identifier) && one.mark.is_of((uid, name.as_str())));
        let here = of_task.map(|one| {
            let quality = site.quality(&one.id, &one.mark);
            let point = one.point(&place.destination.name, &database, quality, &verified);
            (point, retain::candidate_of(&one.id, one.time, quality, &one.mark))
        });
        Ok(here.collect())
    };
    let listed = tokio::task::spawn_blocking(move || at_each(&places, at).into_iter().collect());
    listed.await.map_err(|error| fault(&error.to_string()))?
}

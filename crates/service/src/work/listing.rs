//! The list of a database's backups.

use crate::core::Core;
use crate::destination::Destination;
use crate::error::ServiceError;
use crate::work::vault::{Found, Vault};
use crate::work::{places, site};
use jiff::Timestamp;
use larder_engines::Engines;
use larder_model::{BackupId, BackupQuality, Cancel, Database, RestorePoint};
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
        for place in &places {
            let vault = site.open(place, &database)?;
            // A backup whose description is broken is logged, and does not hide the others.
            for found in vault.readable_snapshots(&site, &Cancel::new())?.0 {
                points.push(point(&site.engines, &vault, &database, &found, &verified));
            }
        }
        points.sort_by_key(|point| std::cmp::Reverse(point.time));
        Ok(points)
    });
    listed.await.map_err(|error| {
        ServiceError::conflict(format!(
            "listing backups ended by a fault of the program: {error}; please report it"
        ))
    })?
}

/// Shows one snapshot as lists do.
pub(crate) fn point(
    engines: &Engines,
    vault: &Vault,
    database: &Database,
    found: &Found,
    verified: &HashMap<BackupId, bool>,
) -> RestorePoint {
    let snapshot = &found.snapshot;
    let proved = found.quality == BackupQuality::Good && verified.get(&snapshot.id) == Some(&true);
    let summary = snapshot.summary.as_ref();
    let (recoverable_from, recoverable_until) = recoverable(engines, found).unzip();
    RestorePoint {
        id: snapshot.id.clone(),
        database: database.name.clone(),
        engine: found.mark.engine,
        destination: vault.place.destination.name.clone(),
        time: snapshot.time,
        kind: found.mark.kind,
        quality: if proved { BackupQuality::Verified } else { found.quality },
        size_bytes: summary.map_or(0, |summary| summary.total_bytes_processed),
        files: summary.map_or(0, |summary| summary.total_files_processed),
        operation: found.mark.operation,
        periodicities: found.mark.periodicities.iter().copied().collect(),
        recoverable_from,
        recoverable_until,
    }
}

/// Says between which moments a restore of a backup can end anywhere.
fn recoverable(engines: &Engines, found: &Found) -> Option<(Timestamp, Timestamp)> {
    let engine = engines.get(found.mark.engine?);
    // What the others report need not be read for that: there may be thousands of backups with thousands of tables.
    engine.capabilities().point_in_time.then(|| engine.recoverable(&found.note().report))?
}

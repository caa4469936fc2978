//! Getting data back: from the destination with the newest backup that fits, and from the others what that one has lost.

use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::request::{BackupChoice, RestoreRequest};
use crate::work::reader::SnapshotReader;
use crate::work::vault::{Found, Vault, choose};
use crate::work::{Order, Place};
use larder_engines::{BackupReport, EngineError, RestoreJob, RestoreReport};
use larder_model::operation::DestinationOutcome;
use larder_model::{Database, EngineKind};
use larder_repository::Repository;
use std::path::Path;
use std::sync::Arc;

/// Data to be got back.
#[derive(Debug)]
pub(crate) struct Restore {
    pub(crate) database: Arc<Database>,
    pub(crate) request: RestoreRequest,
    pub(crate) places: Vec<Place>,
}

/// A backup that was found at a destination.
pub(crate) struct Chosen {
    pub(crate) vault: Vault,
    pub(crate) found: Found,
    /// The database's repositories at the other destinations, for what this one has lost.
    others: Vec<Repository>,
}

impl Restore {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let failed =
            |cause: String| Done::faulted(format!("the restore of {} failed: {cause}", self.database.name));
        let mut notes = Vec::new();
        let chosen = match find(order, &self.places, &self.database, &self.request.backup, &mut notes) {
            Ok(chosen) => chosen,
            Err(error) => return Done { messages: notes, ..failed(error.to_string()) },
        };
        let mut done =
            match extract(order, &self.database, &chosen, &self.request.target, self.request.overwrite) {
                Ok((report, _)) => Done {
                    verdict: Verdict::Completed,
                    messages: std::iter::once(told(&report, &self.request.target))
                        .chain(report.messages)
                        .collect(),
                    ..Done::default()
                },
                Err(_) if order.live.cancel.is_canceled() => Done::default(),
                Err(error) => failed(error.to_string()),
            };
        done.messages.extend(notes);
        done.destinations = vec![chosen.outcome()];
        done
    }
}

fn told(report: &RestoreReport, target: &Path) -> String {
    format!("{} files, {} bytes restored to {}", report.files, report.bytes, target.display())
}

impl Chosen {
    /// Names the backup and where it was taken from.
    pub(crate) fn outcome(&self) -> DestinationOutcome {
        DestinationOutcome {
            destination: self.vault.place.destination.name.clone(),
            backup: Some(self.found.snapshot.id.clone()),
            ..DestinationOutcome::default()
        }
    }

    /// Leaves the other destinations out: what is to be proved is this copy.
    pub(crate) fn alone(self) -> Self {
        Self { others: Vec::new(), ..self }
    }

    /// Returns a reader of the backup.
    pub(crate) fn reader<'a>(&'a self, order: &'a Order) -> SnapshotReader<'a> {
        let (cancel, counters) = (&order.live.cancel, &order.live.counters);
        let first = std::iter::once(&self.vault.repository);
        let repositories = first.chain(&self.others).cloned().collect();
        SnapshotReader::new(repositories, &self.found.snapshot, cancel, counters)
    }
}

/// Finds the backup that is meant; where several destinations have one that fits, the newest of them. What a person
/// should know of backups that cannot be read is added to `notes`.
pub(crate) fn find(
    order: &Order,
    places: &[Place],
    database: &Database,
    choice: &BackupChoice,
    notes: &mut Vec<String>,
) -> Result<Chosen, ServiceError> {
    let mut best: Option<(Vault, Found)> = None;
    let (mut others, mut failed) = (Vec::new(), None);
    for vault in order.site.open_any(places, database)? {
        let place = vault.repository.describe();
        let found = vault.readable_snapshots(&order.site, &order.live.cancel).and_then(|(all, broken)| {
            notes.extend(broken);
            choose(&all, choice, &place).cloned()
        });
        let best_time = best.as_ref().map(|(_, best)| best.snapshot.time);
        match found {
            Ok(found) if best_time.is_none_or(|best| found.snapshot.time > best) => {
                others.extend(best.replace((vault, found)).map(|(vault, _)| vault.repository));
            }
            // The data may lie there all the same: blobs are found by their hashes.
            Ok(_) => others.push(vault.repository),
            Err(error) => {
                others.push(vault.repository);
                failed = failed.or(Some(error));
            }
        }
    }
    let none = || ServiceError::not_found("backup of database", database.name.as_str(), "make one first");
    let (vault, found) = best.ok_or_else(|| failed.unwrap_or_else(none))?;
    Ok(Chosen { vault, found, others })
}

/// Has the engine write a backup's data to a place.
pub(crate) fn extract(
    order: &Order,
    database: &Database,
    chosen: &Chosen,
    target: &Path,
    overwrite: bool,
) -> Result<(RestoreReport, BackupReport), EngineError> {
    let made_by_larder = chosen.found.mark.larder;
    let report = chosen.found.note().report;
    // A snapshot that Larder did not make is a tree of files, whatever the database.
    let engine =
        if made_by_larder { chosen.found.mark.engine.unwrap_or(database.engine) } else { EngineKind::Files };
    let job = RestoreJob {
        target,
        overwrite,
        report: made_by_larder.then_some(&report),
        cancel: &order.live.cancel,
    };
    let reader = chosen.reader(order);
    let mut restored = larder_engines::engine(engine).restore(&job, &reader)?;
    // All was restored, so another destination made up for these.
    restored.messages.extend(reader.faults());
    Ok((restored, report))
}

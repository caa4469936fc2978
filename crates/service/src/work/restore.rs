//! Getting data back: from the destination with the newest backup that fits, and from the others what that one has lost.

use crate::error::ServiceError;
use crate::job::{Done, Verdict};
use crate::request::{BackupChoice, RestorePlace, RestoreRequest};
use crate::staging::Staging;
use crate::work::reader::SnapshotReader;
use crate::work::vault::{Found, Vault, choose};
use crate::work::{Order, Place};
use larder_engines::{EngineError, RestoreJob, RestorePointInTime, RestoreReport, RestoreTarget};
use larder_model::operation::DestinationOutcome;
use larder_model::{Database, EngineKind, Source};
use larder_repository::Repository;
use std::path::Path;
use std::sync::Arc;

/// Data to be got back.
#[derive(Debug)]
pub(crate) struct Restore {
    pub(crate) database: Arc<Database>,
    pub(crate) request: RestoreRequest,
    /// The server that is restored into, where one is.
    pub(crate) server: Option<Source>,
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
        let mut done = match self.extract(order, &chosen) {
            Ok(report) => Done {
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

    fn extract(&self, order: &Order, chosen: &Chosen) -> Result<RestoreReport, ServiceError> {
        let target = match (&self.request.target, &self.server) {
            (RestorePlace::Path(path), _) => RestoreTarget::Path(path),
            (RestorePlace::Server { name, .. }, Some(source)) => RestoreTarget::Server { source, name },
            (RestorePlace::Server { source, .. }, None) => {
                return Err(ServiceError::not_found("source", source, "list the sources to see their names"));
            }
        };
        let staging = Staging::create(&order.site.staging, order.id)?;
        let wish = Wish {
            target,
            overwrite: self.request.overwrite,
            until: self.request.until.as_ref(),
            staging: staging.path(),
        };
        Ok(extract(order, &self.database, chosen, &wish)?)
    }
}

fn told(report: &RestoreReport, target: &RestorePlace) -> String {
    match target {
        RestorePlace::Path(_) => {
            format!("{} files, {} bytes restored to {target}", report.files, report.bytes)
        }
        RestorePlace::Server { .. } => format!("{} bytes restored to {target}", report.bytes),
    }
}

/// Where data is written to, and how.
pub(crate) struct Wish<'a> {
    pub(crate) target: RestoreTarget<'a>,
    pub(crate) overwrite: bool,
    pub(crate) until: Option<&'a RestorePointInTime>,
    pub(crate) staging: &'a Path,
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

    /// Says which engine reads it: a snapshot that Larder did not make is a tree of files, whatever the database.
    pub(crate) fn engine(&self, database: &Database) -> EngineKind {
        match self.found.mark.larder {
            true => self.found.mark.engine.unwrap_or(database.engine),
            false => EngineKind::Files,
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
    wish: &Wish<'_>,
) -> Result<RestoreReport, EngineError> {
    let report = chosen.found.note().report;
    let job = RestoreJob {
        target: wish.target,
        overwrite: wish.overwrite,
        until: wish.until,
        staging: wish.staging,
        report: chosen.found.mark.larder.then_some(&report),
        cancel: &order.live.cancel,
    };
    let engine = order.site.engines.get(chosen.engine(database));
    if wish.until.is_some() && !engine.capabilities().point_in_time {
        return Err(EngineError::Failed {
            action: format!("restoring {} to a point in time", database.name),
            cause: format!("the engine {} knows only the moments of its backups", engine.kind()),
            remedy: "choose a backup instead, by its id or its time".to_owned(),
        });
    }
    let reader = chosen.reader(order);
    let mut restored = engine.restore(&job, &reader)?;
    // All was restored, so another destination made up for these.
    restored.messages.extend(reader.faults());
    Ok(restored)
}

//! The end of an operation: what is remembered of it.

use crate::core::Core;
use crate::decision::{Decision, Decisions, Verdict as Said};
use crate::embedded;
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::job::{Cause, Done, Job, Verdict};
use crate::record::{self, StoredPlace};
use crate::remembered;
use crate::upkeep::{self, Stopped, Upkeep};
use crate::view::{DestinationStatus, LastBackup, TaskError, TaskStatus};
use jiff::Timestamp;
use larder_model::operation::DestinationOutcome;
use larder_model::task::DestinationKind;
use larder_model::{BackupKind, BackupQuality, DatabaseName, Operation, OperationId, OperationStatus};
use larder_state::Write;
use std::sync::Arc;

/// The longest list of messages that the history keeps of one operation.
const MAX_MESSAGES: usize = 200;

/// Enters an operation's end into the state, the catalog, the agenda and the history.
pub(crate) async fn finish(core: &Arc<Core>, id: OperationId, job: &Job, started: Timestamp, done: Done) {
    let _writer = core.writer.lock().await;
    let ended = core.now();
    core.operations.sample_progress();
    let Ok(mut operation) = core.operations.get(id) else { return };
    // Put off, and not completed before it could stop.
    let delayed = core.board().delayed.remove(&id) && done.verdict == Verdict::Canceled;
    let ending = Ending { stopping: core.is_stopping(), delayed };
    close(&mut operation, &done, ended, ending);
    let status = match job {
        Job::Backup { key, kind, cause, .. } => {
            let kind = done.kind.unwrap_or(*kind);
            Some((key, next_status(core, key, (kind, cause), &operation, (started, ending), &done)))
        }
        _ => None,
    };
    let decisions = decisions(core, job, &operation, ending);
    let stopped = if ending.stopping { Stopped::ByServer } else { Stopped::ByPerson };
    let upkeep = core.upkeep_after(job, &done, ended, stopped);
    let adopted = match job {
        Job::Adopt { database, .. } if done.verdict == Verdict::Completed => Some(database.as_ref()),
        _ => None,
    };
    let entering = adopted.map_or_else(|| Ok(Vec::new()), |database| embedded::entering(core, database));
    let stored = match writes(core, job.database(), &operation, status.as_ref(), &done) {
        Ok(mut writes) => match entering.and_then(|entering| Ok((entering, upkeep_writes(&upkeep)?))) {
            Ok((entering, upkeep)) => {
                writes.extend(entering);
                writes.extend(upkeep);
                core.store_with(decisions, writes).await.map(|_| ())
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if let Err(error) = stored {
        // The backup itself is safe at its destination; a restart will find the operation unfinished and say so.
        tracing::error!(operation = id, %error, "could not store how an operation ended");
    }
    remember(core, job.database(), status.as_ref(), &done);
    {
        let mut board = core.board();
        upkeep.into_iter().for_each(|upkeep| board.rota.set(upkeep));
        job.upkeep().into_iter().for_each(|place| board.rota.ended(place));
    }
    if let Some(database) = adopted {
        embedded::entered(core, database.clone());
        core.reschedule_databases(std::iter::once(&database.name));
    }
    if let Job::Backup { key, cause, .. } = job {
        if cause.scheduled {
            core.board().pending.remove(key);
        }
        if done.verdict != Verdict::Completed {
            core.changes_unseen(key, started);
        }
        core.poll_after_run(key);
        core.chain_rests(key);
        core.reschedule(std::iter::once(key));
    }
    // Before anybody hears that it ended: what they then ask for finds its place free.
    core.board().queue.finished(id);
    // As it was stored: a later look at the counters must not say something else than the state.
    core.operations.change(id, |current| *current = operation);
}

/// Why an operation that was canceled was.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// The server stops.
    stopping: bool,
    /// Somebody put it off.
    delayed: bool,
}

/// Makes the writes that store upkeep.
fn upkeep_writes(upkeep: &[Upkeep]) -> Result<Vec<Write>, ServiceError> {
    upkeep.iter().map(|upkeep| record::put(record::upkeep(&upkeep.place), upkeep)).collect()
}

/// Says in the decision log how a backup ended.
fn decisions(core: &Core, job: &Job, operation: &Operation, ending: Ending) -> Decisions {
    let mut decisions = Decisions::default();
    let Job::Backup { key, .. } = job else { return upkeep::decisions(core, job, operation) };
    let (decision, reason) = match operation.status {
        OperationStatus::Completed if operation.unchanged => {
            (Said::Completed, "nothing changed since the last backup, so none was made".to_owned())
        }
        OperationStatus::Completed => (Said::Completed, "its backup is there".to_owned()),
        OperationStatus::Faulted => {
            (Said::Failed, operation.error.clone().unwrap_or_else(|| "it failed".to_owned()))
        }
        // The delay itself is noted already.
        _ if ending.delayed => return decisions,
        _ if ending.stopping => {
            (Said::Aborted, "the server was stopped; the run is made up for at the next start".to_owned())
        }
        _ => (Said::Aborted, "somebody aborted it".to_owned()),
    };
    let at = operation.ended.unwrap_or(operation.created);
    decisions.note(key, Decision { at, decision, reason, operation: Some(operation.id) });
    decisions
}

/// Writes the verdict into the operation.
fn close(operation: &mut Operation, done: &Done, ended: Timestamp, ending: Ending) {
    operation.ended = Some(ended);
    operation.backup_kind = done.kind.or(operation.backup_kind);
    operation.unchanged = done.unchanged;
    operation.messages = done.messages.iter().take(MAX_MESSAGES).cloned().collect();
    if done.messages.len() > MAX_MESSAGES {
        operation.messages.push(format!("… and {} more", done.messages.len() - MAX_MESSAGES));
    }
    operation.destinations.clone_from(&done.destinations);
    match &done.verdict {
        Verdict::Completed => operation.status = OperationStatus::Completed,
        Verdict::Faulted(error) => {
            operation.status = OperationStatus::Faulted;
            operation.error = Some(error.clone());
        }
        Verdict::Canceled => {
            operation.status = OperationStatus::Canceled;
            let cause = match ending {
                Ending { delayed: true, .. } => "the backup was put off, and goes on at its time",
                Ending { stopping: true, .. } => "the server was stopped",
                Ending { .. } => "the operation was aborted",
            };
            operation.error = Some(format!("{cause}; nothing needs to be cleaned up"));
        }
    }
}

fn next_status(
    core: &Core,
    key: &TaskKey,
    (kind, cause): (BackupKind, &Cause),
    operation: &Operation,
    (started, ending): (Timestamp, Ending),
    done: &Done,
) -> TaskStatus {
    let mut status = core.catalog().status(key);
    status.last_operation = Some(operation.id);
    status.version += 1;
    if done.verdict == Verdict::Canceled && (ending.stopping || ending.delayed) {
        // Not an attempt: the run is still owed, and is made up for at the next start or when the delay is over.
        return status;
    }
    status.delay_until = None;
    status.original_backup_time = None;
    status.delayed_kind = None;
    match kind {
        BackupKind::Full => status.last_full_attempt = Some(started),
        BackupKind::Incremental => status.last_incremental_attempt = Some(started),
    }
    status.is_full = Some(kind == BackupKind::Full);
    if done.verdict == Verdict::Canceled {
        return status;
    }
    status.duration_ms =
        operation.ended.and_then(|ended| u64::try_from(ended.duration_since(started).as_millis()).ok());
    status.error = match &done.verdict {
        Verdict::Faulted(message) => Some(TaskError {
            message: message.clone(),
            at: operation.ended.unwrap_or(started),
            cause: done.cause,
        }),
        _ => None,
    };
    status.destinations = destinations(&status, kind, started, done);
    status.folder = Some(key.database.to_string());
    status.is_encrypted = done.encrypted;
    if let Some(good) = &done.good {
        match kind {
            BackupKind::Full => status.last_full_backup = Some(good.time),
            BackupKind::Incremental => status.last_incremental_backup = Some(good.time),
        }
        status.position.clone_from(&good.position);
        status.served.extend(cause.periodicities.iter().map(|periodicity| (*periodicity, started)));
        status.last_etag = good.position.as_deref().and_then(|position| position.parse().ok());
        let proved =
            done.unchanged.then(|| status.last_good.clone()).flatten().filter(|last| last.id == good.id);
        status.last_good = Some(match proved {
            Some(last) => LastBackup { time: good.time, ..last },
            None => {
                let id = good.id.clone();
                LastBackup {
                    time: good.time,
                    kind,
                    id,
                    quality: BackupQuality::Good,
                    operation: operation.id,
                }
            }
        });
    }
    status
}

/// Carries each destination's history on; one that the task no longer has goes.
fn destinations(
    status: &TaskStatus,
    kind: BackupKind,
    started: Timestamp,
    done: &Done,
) -> Vec<DestinationStatus> {
    let next = |outcome: &DestinationOutcome| {
        let known = status.destinations.iter().find(|known| known.name == outcome.destination);
        let new = || DestinationStatus {
            name: outcome.destination.clone(),
            kind: outcome.kind.unwrap_or(DestinationKind::Local),
            address: None,
            last_full_backup: None,
            last_incremental_backup: None,
            full_backup_duration_ms: None,
            incremental_backup_duration_ms: None,
            exception: None,
            bytes_stored: 0,
        };
        let mut next = known.cloned().unwrap_or_else(new);
        next.address = outcome.address.clone().or(next.address);
        next.exception.clone_from(&outcome.error);
        next.bytes_stored = outcome.bytes_stored;
        if outcome.error.is_none() && outcome.backup.is_some() {
            let duration = if done.unchanged { Some(0) } else { status.duration_ms };
            match kind {
                BackupKind::Full => {
                    next.last_full_backup = Some(started);
                    next.full_backup_duration_ms = duration;
                }
                BackupKind::Incremental => {
                    next.last_incremental_backup = Some(started);
                    next.incremental_backup_duration_ms = duration;
                }
            }
        }
        next
    };
    done.destinations.iter().map(next).collect()
}

fn writes(
    core: &Core,
    database: &DatabaseName,
    operation: &Operation,
    status: Option<&(&TaskKey, TaskStatus)>,
    done: &Done,
) -> Result<Vec<Write>, ServiceError> {
    let mut writes = vec![record::put(record::operation(operation.id), operation)?];
    let catalog = core.catalog();
    if let Some((key, status)) = status {
        // A database that was forgotten, or a task that was deleted, while this ran has no status any more.
        if catalog.remembers(key) {
            writes.push(record::put(record::status(key), status)?);
        }
    }
    for spot in &done.spots {
        let address = &spot.address;
        if !catalog.places.get(database).is_some_and(|roots| roots.contains(address)) {
            let place = StoredPlace { database: database.clone(), root: address.clone() };
            writes.push(record::put(record::place(&place), &place)?);
        }
        if !catalog.remembers_spot(spot) {
            writes.extend(remembered::writes(spot, &core.sealer)?);
        }
    }
    drop(catalog);
    if let Some(verification) = &done.verification {
        writes.push(record::put(record::verification(&verification.backup), verification)?);
    }
    writes.extend(done.removed.iter().map(|backup| Write::Delete(record::verification(backup))));
    let trimmed = core.operations.trim(core.settings.history_limit);
    writes.extend(trimmed.into_iter().map(|id| Write::Delete(record::operation(id))));
    Ok(writes)
}

fn remember(core: &Core, database: &DatabaseName, status: Option<&(&TaskKey, TaskStatus)>, done: &Done) {
    let mut catalog = core.catalog_mut();
    if let Some((key, status)) = status
        && catalog.remembers(key)
    {
        catalog.statuses.insert((*key).clone(), status.clone());
    }
    if !done.spots.is_empty() {
        catalog.add_places(database, done.spots.iter().map(|spot| spot.address.clone()));
        done.spots.iter().for_each(|spot| catalog.remember_spot(Arc::clone(spot)));
    }
    if let Some(verification) = &done.verification {
        catalog.verified.insert(verification.backup.clone(), verification.differences.is_empty());
    }
    for backup in &done.removed {
        catalog.verified.remove(backup);
    }
}

impl Job {
    /// Returns the place that it is upkeep of, where the server makes it by itself.
    pub(crate) const fn upkeep(&self) -> Option<&StoredPlace> {
        match self {
            Self::Check { upkeep, .. } | Self::Prune { upkeep, .. } => upkeep.as_ref(),
            _ => None,
        }
    }

    /// Says whether the server makes it by itself, and nobody waits for it.
    pub(crate) const fn is_scheduled(&self) -> bool {
        match self {
            Self::Backup { cause, .. } => cause.scheduled,
            _ => self.upkeep().is_some(),
        }
    }

    /// Returns the database that the work is about.
    pub(crate) fn database(&self) -> &DatabaseName {
        match self {
            Self::Backup { key, .. } => &key.database,
            Self::Restore { database, .. }
            | Self::Adopt { database, .. }
            | Self::Verify { database, .. }
            | Self::Check { database, .. }
            | Self::Prune { database, .. }
            | Self::Repair { database, .. }
            | Self::Heal { database, .. } => &database.name,
        }
    }
}

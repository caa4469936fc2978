//! From the wish for an operation to its end: stored, queued, started on a thread of its own, ended, stored again.

use crate::core::Core;
use crate::decision::{Decision, Decisions, Verdict};
use crate::delay::Delayable;
use crate::error::ServiceError;
use crate::finish;
use crate::identity::TaskKey;
use crate::job::{Done, Job};
use crate::operations::Live;
use crate::queue::{Hold, Lane, Turn};
use crate::record;
use crate::waiting::{hold_in_words, is_ready};
use crate::work;
use jiff::Timestamp;
use larder_model::operation::Progress;
use larder_model::{BackupKind, Database, Operation, OperationId, OperationKind, OperationStatus};
use std::sync::{Arc, PoisonError};

/// An operation that somebody asks for.
#[derive(Debug)]
pub(crate) struct NewOperation {
    pub(crate) kind: OperationKind,
    pub(crate) backup_kind: Option<BackupKind>,
    pub(crate) database: Arc<Database>,
    /// The task's name, as the database knows it.
    pub(crate) task: Option<String>,
    /// When it should have begun.
    pub(crate) due: Timestamp,
    /// Where it takes its turn; `None` starts it at once.
    pub(crate) lane: Option<Lane>,
    pub(crate) job: Job,
}

impl Core {
    /// Gives operations their numbers, stores them together, and starts what may start.
    pub(crate) async fn enqueue(
        self: &Arc<Self>,
        asked: Vec<NewOperation>,
    ) -> Result<Vec<OperationId>, ServiceError> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_stopping() {
            return Err(ServiceError::Stopped);
        }
        let now = self.now();
        let asked: Vec<(Operation, NewOperation)> =
            asked.into_iter().map(|new| (self.queued(&new, now), new)).collect();
        let last = asked.last().map_or(0, |(operation, _)| operation.id);
        let decisions = self.waiting_decisions(&asked, now);
        let mut writes = vec![record::put(record::LAST_OPERATION.to_owned(), &last)?];
        for (operation, _) in &asked {
            writes.push(record::put(record::operation(operation.id), operation)?);
        }
        self.store_with(decisions, writes).await?;
        let mut ids = Vec::with_capacity(asked.len());
        for (operation, new) in asked {
            let id = operation.id;
            let scheduled = new.job.is_scheduled();
            self.operations.add(operation, Delayable::of(&new.job));
            match new.lane {
                Some(lane) => {
                    let turn = Turn { scheduled, due: new.due, id };
                    self.board().queue.push(turn, new.database.name.clone(), lane, new.job);
                }
                None => self.start(id, new.job),
            }
            ids.push(id);
        }
        self.start_what_may();
        Ok(ids)
    }

    /// Notes for each backup that cannot start at once why it waits.
    fn waiting_decisions(&self, asked: &[(Operation, NewOperation)], now: Timestamp) -> Decisions {
        let mut decisions = Decisions::default();
        let catalog = self.catalog();
        let board = self.board();
        let mut places = board.queue.free_places(Lane::Backup);
        for (operation, new) in asked {
            let Job::Backup { key, cause, .. } = &new.job else { continue };
            let hold = match board.queue.busy_with(&key.database) {
                _ if !is_ready(&catalog, &new.job, now) => Hold::NotReady,
                Some(other) => Hold::Busy(other),
                None if places == 0 => Hold::Full(self.settings.max_concurrent_backups),
                None => {
                    places -= 1;
                    continue;
                }
            };
            let reason =
                format!("{}; it waits, because {}", cause.why, hold_in_words(hold, &catalog, &new.job));
            let decision =
                Decision { at: now, decision: Verdict::Waits, reason, operation: Some(operation.id) };
            decisions.note(key, decision);
        }
        decisions
    }

    fn queued(&self, new: &NewOperation, now: Timestamp) -> Operation {
        Operation {
            id: self.operations.next_id(),
            kind: new.kind,
            backup_kind: new.backup_kind,
            database: new.database.name.clone(),
            engine: Some(new.database.engine),
            task: new.task.clone(),
            task_uid: match &new.job {
                Job::Backup { key, .. } => Some(key.task),
                _ => None,
            },
            status: OperationStatus::Queued,
            created: now,
            started: None,
            ended: None,
            progress: Progress::default(),
            messages: Vec::new(),
            error: None,
            unchanged: false,
            destinations: Vec::new(),
        }
    }

    /// Starts every waiting operation whose turn it is.
    pub(crate) fn start_what_may(self: &Arc<Self>) {
        loop {
            // Bound to a name so that the lock is free again before the operation starts.
            let next = {
                let catalog = self.catalog();
                let now = self.now();
                self.board().queue.start_next(|job| is_ready(&catalog, job, now))
            };
            let Some((id, job)) = next else { return };
            self.start(id, job);
        }
    }

    fn start(self: &Arc<Self>, id: OperationId, job: Job) {
        let core = Arc::clone(self);
        let runner = self.runtime.spawn(async move { core.run(id, job).await });
        let mut runners = self.runners.lock().unwrap_or_else(PoisonError::into_inner);
        runners.retain(|other| !other.is_finished());
        runners.push(runner);
    }

    async fn run(self: Arc<Self>, id: OperationId, job: Job) {
        let started = self.now();
        let live = self.operations.live(id).unwrap_or_default();
        let changed = self.operations.change(id, |operation| {
            operation.status = OperationStatus::InProgress;
            operation.started = Some(started);
        });
        if let Some(operation) = changed
            && let Err(error) = self.note_start(&operation, &job, started).await
        {
            tracing::warn!(operation = id, %error, "could not store that an operation began");
        }
        tracing::info!(operation = id, job = %job, "operation begins");
        let done = self.work(id, &job, started, live).await;
        tracing::info!(operation = id, verdict = ?done.verdict, "operation ended");
        finish::finish(&self, id, &job, started, done).await;
        self.board().queue.finished(id);
        self.start_what_may();
    }

    /// Stores that an operation began, and why.
    async fn note_start(
        &self,
        operation: &Operation,
        job: &Job,
        started: Timestamp,
    ) -> Result<(), ServiceError> {
        let mut decisions = Decisions::default();
        if let Job::Backup { key, cause, .. } = job {
            self.changes().run_begins(key);
            let waited = started.duration_since(operation.created).as_secs();
            let waited =
                if waited > 0 { format!("; it waited {waited} s for its turn") } else { String::new() };
            let reason = format!("{}{waited}", cause.why);
            let at = started;
            let operation = Some(operation.id);
            decisions.note(key, Decision { at, decision: Verdict::Started, reason, operation });
        }
        let write = record::put(record::operation(operation.id), operation)?;
        self.store_with(decisions, vec![write]).await.map(|_| ())
    }

    /// Does the work on a thread of its own; a panic there is an error of that operation alone.
    async fn work(self: &Arc<Self>, id: OperationId, job: &Job, started: Timestamp, live: Live) -> Done {
        if live.cancel.is_canceled() {
            return Done::default();
        }
        let order = match work::prepare(self, id, job, started, live) {
            Ok(order) => order,
            Err(error) => return Done::faulted(error.to_string()),
        };
        match tokio::task::spawn_blocking(move || order.carry_out()).await {
            Ok(done) => done,
            Err(error) => Done::faulted(format!(
                "the operation ended by a fault of the program ({error}); please report it with the log, and run it again"
            )),
        }
    }

    /// Asks an operation to end.
    pub(crate) async fn abort(self: &Arc<Self>, id: OperationId) -> Result<(), ServiceError> {
        let operation = self.operations.get(id)?;
        let Some(live) = self.operations.live(id) else {
            return Err(ServiceError::conflict(format!(
                "operation {id} has ended already ({}), so there is nothing to abort",
                operation.status
            )));
        };
        live.cancel.cancel();
        let withdrawn = self.board().queue.withdraw(id);
        if let Some(job) = withdrawn {
            let now = self.now();
            finish::finish(self, id, &job, now, Done::default()).await;
            self.start_what_may();
        }
        Ok(())
    }

    /// Returns the operation that waits for a task and does what is asked for, if any.
    pub(crate) fn waiting_backup(&self, key: &TaskKey, kind: BackupKind) -> Option<OperationId> {
        let catalog = self.catalog();
        let now = self.now();
        let board = self.board();
        // One that the schedule asked for and that waits for its backup window is not what a person wants now.
        let found = board.queue.waiting().find(|(_, _, job)| {
            matches!(job, Job::Backup { key: other, kind: asked, .. } if other == key && (*asked == kind || *asked == BackupKind::Full))
                && is_ready(&catalog, job, now)
        });
        found.map(|(turn, _, _)| turn.id)
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Backup { key, kind, .. } => write!(f, "{kind} backup of {key}"),
            Self::Restore { database, .. } => write!(f, "restore of {}", database.name),
            Self::Adopt { database, .. } => write!(f, "restore to the new database {}", database.name),
            Self::Verify { database, .. } => write!(f, "verification of {}", database.name),
            Self::Check { database, .. } => write!(f, "check of {}", database.name),
            Self::Prune { database, .. } => write!(f, "prune of {}", database.name),
            Self::Repair { database, .. } => write!(f, "repair of {}", database.name),
            Self::Heal { database, .. } => write!(f, "healing of {}", database.name),
        }
    }
}

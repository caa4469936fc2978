//! From the wish for an operation to its end: stored, queued, started on a thread of its own, ended, stored again.

use crate::core::Core;
use crate::error::ServiceError;
use crate::finish;
use crate::identity::TaskKey;
use crate::job::{Done, Job};
use crate::operations::Live;
use crate::queue::{Lane, Turn};
use crate::record;
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
        let mut writes = vec![record::put(record::LAST_OPERATION.to_owned(), &last)?];
        for (operation, _) in &asked {
            writes.push(record::put(record::operation(operation.id), operation)?);
        }
        self.store(writes).await?;
        let mut ids = Vec::with_capacity(asked.len());
        for (operation, new) in asked {
            let id = operation.id;
            let scheduled = matches!(new.job, Job::Backup { scheduled: true, .. });
            self.operations.add(operation);
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
            let next = self.board().queue.start_next();
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
        if let Some(operation) = changed {
            let stored = match record::put(record::operation(id), &operation) {
                Ok(write) => self.store(vec![write]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                tracing::warn!(operation = id, %error, "could not store that an operation began");
            }
        }
        tracing::info!(operation = id, job = %job, "operation begins");
        let done = self.work(id, &job, started, live).await;
        tracing::info!(operation = id, verdict = ?done.verdict, "operation ended");
        finish::finish(&self, id, &job, started, done).await;
        self.board().queue.finished(id);
        self.start_what_may();
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
        let board = self.board();
        let found = board.queue.waiting().find(|(_, _, job)| {
            matches!(job, Job::Backup { key: other, kind: asked, .. } if other == key && (*asked == kind || *asked == BackupKind::Full))
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
        }
    }
}

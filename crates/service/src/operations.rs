//! Operations: their numbers, how they stand, and who waits for them.

use crate::delay::Delayable;
use crate::error::ServiceError;
use crate::history::History;
use crate::identity::{TaskKey, TaskUid};
use crate::meter::Meter;
use crate::record;
use crate::request::OperationFilter;
use larder_model::{Cancel, Counters, DatabaseName, Operation, OperationId, OperationKind, OperationStatus};
use larder_state::{State, Write};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{broadcast, watch};

/// How many changes a slow listener may fall behind.
const CHANGES_KEPT: usize = 1024;

/// Every operation that is remembered, finished or not.
#[derive(Debug)]
pub(crate) struct Operations {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Operation>,
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: OperationId,
    history: History,
    live: BTreeMap<OperationId, Measured>,
}

/// An operation that has not ended, with what measures its pace and what it takes to put it off.
#[derive(Debug, Default)]
struct Measured {
    live: Live,
    meter: Meter,
    delayable: Option<Delayable>,
}

/// How to reach an operation that has not ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// Ends it.
    pub(crate) cancel: Cancel,
    /// How far it has come.
    pub(crate) counters: Arc<Counters>,
}

impl Operations {
    /// Reads the history. What the last server left open is ended: it stopped while these ran or waited.
    pub(crate) async fn load(
        state: &dyn State,
        now: jiff::Timestamp,
    ) -> Result<(Self, Vec<Write>), ServiceError> {
        let mut history = History::default();
        let mut writes = Vec::new();
        for (_, mut operation) in record::all::<Operation>(state, record::OPERATIONS).await? {
            if !operation.status.is_final() {
                end_abandoned(&mut operation, now);
                writes.push(record::put(record::operation(operation.id), &operation)?);
            }
            history.insert(operation);
        }
        let counted: OperationId = record::get(state, record::LAST_OPERATION).await?.unwrap_or(0);
        let last_id = counted.max(history.last_id());
        let inner = Mutex::new(Inner { last_id, history, live: BTreeMap::new() });
        let operations =
            Self { inner, changes: broadcast::Sender::new(CHANGES_KEPT), ended: watch::Sender::new(0) };
        Ok((operations, writes))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives out the next number.
    pub(crate) fn next_id(&self) -> OperationId {
        let mut inner = self.lock();
        inner.last_id += 1;
        inner.last_id
    }

    /// Adds a new operation, once it is stored.
    pub(crate) fn add(&self, operation: Operation, delayable: Option<Delayable>) {
        let mut inner = self.lock();
        inner.live.insert(operation.id, Measured { delayable, ..Measured::default() });
        inner.history.insert(operation.clone());
        drop(inner);
        let _ = self.changes.send(operation);
    }

    /// Changes an operation, tells whoever listens, and returns it.
    pub(crate) fn change(&self, id: OperationId, change: impl FnOnce(&mut Operation)) -> Option<Operation> {
        let mut inner = self.lock();
        let Inner { history, live, .. } = &mut *inner;
        let changed = history.change(id, |operation| {
            if let Some(Measured { live, meter, .. }) = live.get_mut(&id) {
                operation.progress = meter.look(&live.counters, Instant::now());
            }
            change(operation);
        });
        let changed = changed?.clone();
        if changed.status.is_final() {
            inner.live.remove(&id);
        }
        drop(inner);
        let _ = self.changes.send(changed.clone());
        if changed.status.is_final() {
            self.ended.send_modify(|count| *count += 1);
        }
        Some(changed)
    }

    /// Takes a sample of the counters of all that run, and tells whoever listens what moved.
    pub(crate) fn sample_progress(&self) {
        let mut moved = Vec::new();
        let mut inner = self.lock();
        let Inner { history, live, .. } = &mut *inner;
        for (id, Measured { live, meter, .. }) in live {
            if let Some(operation) = history.get(*id).filter(|o| o.status == OperationStatus::InProgress) {
                let progress = meter.look(&live.counters, Instant::now());
                if progress != operation.progress {
                    moved.extend(history.change(*id, |operation| operation.progress = progress).cloned());
                }
            }
        }
        drop(inner);
        for operation in moved {
            let _ = self.changes.send(operation);
        }
    }

    /// Returns how to reach an operation; `None` once it has ended.
    pub(crate) fn live(&self, id: OperationId) -> Option<Live> {
        self.lock().live.get(&id).map(|measured| measured.live.clone())
    }

    /// Returns what it takes to put an operation off; `None` for one that has ended, or is no backup of a task.
    pub(crate) fn delayable(&self, id: OperationId) -> Option<Delayable> {
        self.lock().live.get(&id).and_then(|measured| measured.delayable.clone())
    }

    /// Returns the backup of a task that runs, or the first that waits.
    pub(crate) fn of_task(&self, key: &TaskKey) -> Option<OperationId> {
        let inner = self.lock();
        let of_it =
            inner.live.iter().filter(|(_, one)| one.delayable.as_ref().is_some_and(|d| d.key == *key));
        let runs = |id: &OperationId| {
            inner.history.get(*id).is_some_and(|o| o.status == OperationStatus::InProgress)
        };
        of_it.map(|(id, _)| *id).min_by_key(|id| (!runs(id), *id))
    }

    /// Says whether nothing runs or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().live.is_empty()
    }

    /// Lists what has not ended, oldest first.
    pub(crate) fn unfinished(&self) -> Vec<Operation> {
        let inner = self.lock();
        inner.live.keys().filter_map(|id| inner.history.get(*id)).cloned().collect()
    }

    /// Returns the backup of a task of a database that runs, or the first that waits.
    pub(crate) fn backup_of(&self, database: &DatabaseName, task: TaskUid) -> Option<OperationId> {
        let inner = self.lock();
        let of_it = |operation: &&Operation| {
            operation.kind == OperationKind::Backup
                && operation.task_uid == Some(task)
                && operation.database == *database
        };
        let mut found = inner.live.keys().filter_map(|id| inner.history.get(*id)).filter(of_it).peekable();
        let first = found.peek().map(|operation| operation.id);
        found.find(|operation| operation.status == OperationStatus::InProgress).map(|o| o.id).or(first)
    }

    /// Returns one operation.
    pub(crate) fn get(&self, id: OperationId) -> Result<Operation, ServiceError> {
        self.lock().history.get(id).cloned().ok_or_else(|| {
            ServiceError::not_found("operation", id.to_string(), "list the operations to see their numbers")
        })
    }

    /// Lists operations, the newest first.
    pub(crate) fn list(&self, filter: &OperationFilter) -> Vec<Operation> {
        self.lock().history.list(filter)
    }

    /// Lists the last backups of a database that have ended, the oldest first.
    pub(crate) fn ended_backups(&self, database: &DatabaseName, most: usize) -> Vec<Operation> {
        self.lock().history.ended_backups(database, most)
    }

    /// Lists the bytes that backups added since a moment, each with the beginning of its quarter of an hour.
    pub(crate) fn added_since(&self, since: jiff::Timestamp) -> Vec<(jiff::Timestamp, u64)> {
        self.lock().history.added_since(since)
    }

    /// Takes the oldest finished operations beyond the limit out of the history, and returns their numbers.
    pub(crate) fn trim(&self, limit: usize) -> Vec<OperationId> {
        let mut inner = self.lock();
        // The operation that is ending counts as finished already.
        let finished = (inner.history.len() - inner.live.len()).saturating_add(1);
        let mut surplus = finished.saturating_sub(limit);
        let mut gone = Vec::new();
        for id in inner.history.ids() {
            if surplus == 0 {
                break;
            }
            if !inner.live.contains_key(&id) {
                gone.push(id);
                surplus -= 1;
            }
        }
        for id in &gone {
            inner.history.remove(*id);
        }
        gone
    }

    /// Waits until an operation has ended.
    pub(crate) async fn wait(&self, id: OperationId) -> Result<Operation, ServiceError> {
        let mut ended = self.ended.subscribe();
        loop {
            ended.borrow_and_update();
            let operation = self.get(id)?;
            if operation.status.is_final() || ended.changed().await.is_err() {
                return Ok(operation);
            }
        }
    }

    /// Waits until nothing runs or waits any more.
    pub(crate) async fn wait_for_all(&self) {
        let mut ended = self.ended.subscribe();
        loop {
            ended.borrow_and_update();
            if self.lock().live.is_empty() || ended.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Operation> {
        self.changes.subscribe()
    }
}

/// Ends an operation that nobody runs any more.
fn end_abandoned(operation: &mut Operation, now: jiff::Timestamp) {
    operation.ended = Some(now);
    if operation.status == OperationStatus::Queued {
        operation.status = OperationStatus::Canceled;
        operation.error = Some("the server stopped before it began; ask for it again".to_owned());
    } else {
        operation.status = OperationStatus::Faulted;
        operation.error =
            Some("the server stopped while it ran; nothing needs to be cleaned up, run it again".to_owned());
    }
}

//! The one loop that starts what is due.

use crate::core::Core;
use crate::dispatch::NewOperation;
use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use crate::job::Job;
use crate::queue::Lane;
use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupKind, DatabaseName, OperationKind};
use std::sync::Arc;
use std::time::Duration;

/// The loop looks at the clock at least this often, so that a clock that is set, or a host that slept, is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(20);

/// A gap between ticks that is longer means that nobody was there: the host slept, or its clock was set forward.
const SLEPT: SignedDuration = SignedDuration::from_mins(5);

/// Ticks until the service stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stopping = core.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        if let Err(error) = tick(&core).await {
            tracing::error!(%error, "could not start what is due; it is tried again shortly");
        }
        let next = core.board().agenda.next();
        let wait = next.map_or(LONGEST_SLEEP, |next| {
            let wait = next.duration_since(core.now());
            // Not at once even when overdue: it was just tried.
            Duration::try_from(wait).unwrap_or_default().clamp(Duration::from_millis(100), LONGEST_SLEEP)
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = core.wake.notified() => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Asks for every run that is due now; returns how many. Costs what is due, not what is known.
pub(crate) async fn tick(core: &Arc<Core>) -> Result<usize, ServiceError> {
    if core.is_stopping() {
        return Ok(0);
    }
    let _writer = core.writer.lock().await;
    let now = core.now();
    let due = take_due(core, now);
    let mut asked = Vec::new();
    for key in &due {
        asked.extend(due_operation(core, key, now));
    }
    let count = asked.len();
    match core.enqueue(asked).await {
        Ok(_) => {
            // What turned out not to be due gets its next moment. The loop looks at the agenda after every tick, so
            // it must not be woken by its own.
            core.put_on_agenda(due.iter());
            Ok(count)
        }
        Err(error) => {
            let mut board = core.board();
            for key in &due {
                board.pending.remove(key);
                board.agenda.set(key, Some(now));
            }
            Err(error)
        }
    }
}

fn take_due(core: &Core, now: Timestamp) -> Vec<TaskKey> {
    let set_back = {
        let mut board = core.board();
        let gap = now.duration_since(board.last_tick);
        if gap > SLEPT {
            board.awake_since = now;
        }
        let set_back = gap.is_negative();
        if set_back {
            board.awake_since = board.awake_since.min(now);
        }
        board.last_tick = now;
        set_back
    };
    if set_back {
        core.reschedule_all();
    }
    core.board().agenda.take_due(now).into_iter().map(|(_, key)| key).collect()
}

/// Makes the operation for a task that the agenda says is due, if it is.
fn due_operation(core: &Core, key: &TaskKey, now: Timestamp) -> Option<NewOperation> {
    let catalog = core.catalog();
    let database = catalog.databases.get(&key.database)?;
    let plan = catalog.plan(key.task)?;
    if !plan.applies(database) || catalog.rests(&database.name, plan) {
        return None;
    }
    let mut board = core.board();
    let attempts = catalog.attempts(database, plan, board.awake_since);
    let run = plan.schedule.due(&attempts, now)?;
    if !board.pending.insert(key.clone()) {
        return None;
    }
    let kind = if catalog.status(key).last_full_backup.is_none() { BackupKind::Full } else { run.kind };
    Some(NewOperation {
        kind: OperationKind::Backup,
        backup_kind: Some(kind),
        database: Arc::clone(database),
        task: Some(plan.shown_name()),
        due: run.time,
        lane: Some(Lane::Backup),
        job: Job::Backup { key: key.clone(), kind, scheduled: true, once: None },
    })
}

impl Core {
    /// Puts tasks on the agenda at their next moment, or strikes them off, and wakes the loop.
    pub(crate) fn reschedule<'a>(&self, keys: impl Iterator<Item = &'a TaskKey>) {
        self.put_on_agenda(keys);
        self.wake.notify_one();
    }

    fn put_on_agenda<'a>(&self, keys: impl Iterator<Item = &'a TaskKey>) {
        let now = self.now();
        let catalog = self.catalog();
        let mut board = self.board();
        let awake_since = board.awake_since;
        for key in keys {
            let next = match (catalog.databases.get(&key.database), catalog.plan(key.task)) {
                (Some(database), Some(plan)) if !board.pending.contains(key) => {
                    catalog.next_run(database, plan, awake_since, now).map(|run| run.time)
                }
                _ => None,
            };
            board.agenda.set(key, next);
        }
    }

    /// Puts every task of some databases on the agenda.
    pub(crate) fn reschedule_databases<'a>(&self, databases: impl Iterator<Item = &'a DatabaseName>) {
        let keys: Vec<TaskKey> = {
            let catalog = self.catalog();
            let tasks: Vec<TaskUid> = catalog.server_wide().map(|plan| plan.uid).collect();
            let of = |database: &DatabaseName| {
                let own = catalog.own_tasks(database).map(|plan| plan.uid);
                let all = tasks.iter().copied().chain(own);
                all.map(|task| TaskKey { database: database.clone(), task }).collect::<Vec<_>>()
            };
            databases.flat_map(of).collect()
        };
        self.reschedule(keys.iter());
    }

    /// Puts a server-wide task of every database on the agenda.
    pub(crate) fn reschedule_task(&self, task: TaskUid) {
        let key = |database: &DatabaseName| TaskKey { database: database.clone(), task };
        let keys: Vec<TaskKey> = self.catalog().databases.keys().map(key).collect();
        self.reschedule(keys.iter());
    }

    /// Makes the agenda anew.
    pub(crate) fn reschedule_all(&self) {
        self.board().agenda.clear();
        let databases: Vec<DatabaseName> = self.catalog().databases.keys().cloned().collect();
        self.reschedule_databases(databases.iter());
    }
}

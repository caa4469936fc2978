//! The one loop that starts what is due.

use crate::core::Core;
use crate::dispatch::NewOperation;
use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use crate::job::{Cause, Job};
use crate::plan::Plan;
use crate::planning::Planner;
use crate::queue::Lane;
use crate::release::Ended;
use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupKind, Database, DatabaseName, OperationKind};
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
        let next = {
            let board = core.board();
            board.agenda.next().into_iter().chain(board.rota.next()).min()
        };
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
    let just_woke = std::mem::take(&mut core.board().just_woke);
    if just_woke && let Err(error) = core.note_skipped().await {
        tracing::warn!(%error, "what was missed and is skipped could not be noted in the decision log");
    }
    let mut asked = Vec::new();
    for key in &due {
        asked.extend(due_operation(core, key, now));
    }
    let (places, upkeep): (Vec<_>, Vec<_>) = core.due_upkeep(now).into_iter().unzip();
    asked.extend(upkeep);
    let count = asked.len();
    match core.enqueue(asked).await {
        Ok(_) => {
            // What turned out not to be due gets its next moment. The loop looks at the agenda after every tick, so
            // it must not be woken by its own.
            core.put_on_agenda(due.iter());
            // What waited for its backup window may find it open.
            core.start_what_may();
            Ok(count)
        }
        Err(error) => {
            let mut board = core.board();
            for key in &due {
                board.pending.remove(key);
                board.agenda.set(key, Some(now));
            }
            places.iter().for_each(|place| board.rota.put_back(place, now));
            Err(error)
        }
    }
}

fn take_due(core: &Arc<Core>, now: Timestamp) -> Vec<TaskKey> {
    let set_back = {
        let mut board = core.board();
        let gap = now.duration_since(board.last_tick);
        if gap > SLEPT {
            board.awake_since = now;
            board.just_woke = true;
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
    let (database, task) = catalog.task(key)?;
    let mut board = core.board();
    let planner = Planner { core, catalog: &catalog, now };
    let plan = planner.appointment(key, database, task, &board)?;
    // Levelling may have put it a little later than its moment; within a window the agenda's word counts.
    let begins = if plan.run.latest > plan.run.time { plan.run.time } else { plan.begins };
    let closed = plan.original.is_none() && task.schedule.opens(now) != now;
    if begins > now || closed || board.pending.contains(key) {
        return None;
    }
    let status = catalog.status(key);
    let attempts = planner.attempts(key, database, task, board.awake_since);
    let by_schedule = task.schedule.due(&attempts, now);
    // A full that came due meanwhile wins over what was put off.
    let kind = match by_schedule {
        _ if status.last_full_backup.is_none() => BackupKind::Full,
        Some(run) if run.kind == BackupKind::Full || status.delay_until.is_none() => run.kind,
        _ => plan.run.kind,
    };
    let why = match status.delay_until {
        Some(until) => format!("it was put off until {}", shown(until, task)),
        None => why(task, &task.schedule.reasons(&attempts, now), plan.run.time, &board, now),
    };
    let periodicities = task.schedule.owed(&status.served, &attempts, now, kind);
    let due = by_schedule.map_or(plan.run.time, |run| run.time.min(plan.run.time));
    board.pending.insert(key.clone());
    let cause = Cause { scheduled: true, due, why, periodicities };
    Some(backup(database, task, kind, cause))
}

/// Makes the wish for a backup by a task.
pub(crate) fn backup(database: &Arc<Database>, task: &Plan, kind: BackupKind, cause: Cause) -> NewOperation {
    let key = TaskKey { database: database.name.clone(), task: task.uid };
    NewOperation {
        kind: OperationKind::Backup,
        backup_kind: Some(kind),
        database: Arc::clone(database),
        task: Some(task.shown_name()),
        due: cause.due,
        lane: Some(Lane::Backup),
        job: Job::Backup { key, kind, cause, once: None },
    }
}

fn shown(time: Timestamp, task: &Plan) -> String {
    time.to_zoned(task.schedule.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Says why a run is due, and why not earlier.
fn why(
    task: &Plan,
    entries: &[String],
    due: Timestamp,
    board: &crate::core::Board,
    now: Timestamp,
) -> String {
    let mut why = format!("{} made it due at {}", entries.join(" and "), shown(due, task));
    if due < board.awake_since {
        why.push_str("; nobody was there then, so it is caught up once");
    } else if now.duration_since(due) > SLEPT {
        why.push_str("; starts are spread, so that not all begin at once");
    }
    why
}

impl Core {
    /// Puts tasks on the agenda at their next moment, or strikes them off, and wakes the loop.
    pub(crate) fn reschedule<'a>(self: &Arc<Self>, keys: impl Iterator<Item = &'a TaskKey>) {
        self.put_on_agenda(keys);
        self.wake.notify_one();
    }

    fn put_on_agenda<'a>(self: &Arc<Self>, keys: impl Iterator<Item = &'a TaskKey>) {
        let (mut watches, mut ended) = (Vec::new(), Ended::default());
        {
            let catalog = self.catalog();
            let mut board = self.board();
            let planner = Planner { core: self, catalog: &catalog, now: self.now() };
            for key in keys {
                let found = catalog.task(key).filter(|(database, task)| catalog.runs(database, task));
                let next = found.and_then(|(database, task)| {
                    let waits = board.pending.contains(key);
                    (!waits).then(|| planner.appointment(key, database, task, &board)).flatten()
                });
                board.agenda.set(key, next.map(|plan| plan.begins));
                self.note_chain(&catalog, key, &mut ended);
                let watched = found.filter(|(_, task)| task.schedule.after_changes().is_some());
                let with_source = watched.and_then(|(database, _)| {
                    Some((Arc::clone(database), catalog.sources.get(&database.source)?.clone()))
                });
                if with_source.is_some() || self.changes().is_watched_for(key) {
                    watches.push((key.clone(), with_source));
                }
            }
            self.note_chains(&catalog, &mut ended);
        }
        self.release(ended);
        for (key, wanted) in watches {
            self.watch_for(&key, wanted.as_ref().map(|(database, source)| (&**database, source)));
        }
    }

    /// Puts every task of some databases on the agenda.
    pub(crate) fn reschedule_databases<'a>(
        self: &Arc<Self>,
        databases: impl Iterator<Item = &'a DatabaseName>,
    ) {
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
    pub(crate) fn reschedule_task(self: &Arc<Self>, task: TaskUid) {
        let key = |database: &DatabaseName| TaskKey { database: database.clone(), task };
        let keys: Vec<TaskKey> = self.catalog().databases.keys().map(key).collect();
        {
            // What was chosen within an old window says nothing about a new one.
            let mut board = self.board();
            for key in &keys {
                board.agenda.set(key, None);
            }
        }
        self.reschedule(keys.iter());
    }

    /// Makes the agenda anew.
    pub(crate) fn reschedule_all(self: &Arc<Self>) {
        self.board().agenda.clear();
        let databases: Vec<DatabaseName> = self.catalog().databases.keys().cloned().collect();
        self.reschedule_databases(databases.iter());
    }
}

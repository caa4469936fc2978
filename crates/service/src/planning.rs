//! When the next run of a task begins: its schedule, a delay, and the levelling of many starts.

use crate::agenda::Agenda;
use crate::catalog::Catalog;
use crate::core::{Board, Core};
use crate::identity::TaskKey;
use crate::plan::Plan;
use jiff::{SignedDuration, Timestamp};
use larder_model::{BackupKind, Database};
use larder_schedule::{Attempts, Run, calmest, spread};

/// On a task with many databases, starts are so far apart on average.
const BETWEEN_STARTS: SignedDuration = SignedDuration::from_secs(2);

/// So few databases just take turns.
const FEW: usize = 10;

/// At most such a part of the time until the next run is used to spread starts.
const PART_OF_INTERVAL: i32 = 4;

/// The next run of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appointment {
    /// The run as its schedule has it; after a delay, at its end.
    pub(crate) run: Run,
    /// When it really begins, if nothing holds it up.
    pub(crate) begins: Timestamp,
    /// When it would have begun without the delay.
    pub(crate) original: Option<Timestamp>,
}

impl Appointment {
    /// Takes a run as it comes.
    pub(crate) const fn of(run: Run) -> Self {
        Self { run, begins: run.time, original: None }
    }
}

/// What planning looks at, while the locks are held.
pub(crate) struct Planner<'a> {
    pub(crate) core: &'a Core,
    pub(crate) catalog: &'a Catalog,
    pub(crate) now: Timestamp,
}

impl Planner<'_> {
    /// Returns the moments that decide when a task of a database runs next.
    pub(crate) fn attempts(
        &self,
        key: &TaskKey,
        database: &Database,
        task: &Plan,
        awake_since: Timestamp,
    ) -> Attempts {
        let attempts = self.catalog.attempts(database, task, awake_since);
        Attempts { changes: self.core.changes().of(key), ..attempts }
    }

    /// Returns a task's next run; `None` where it rests, or waits for something else than time.
    pub(crate) fn appointment(
        &self,
        key: &TaskKey,
        database: &Database,
        task: &Plan,
        board: &Board,
    ) -> Option<Appointment> {
        if !self.catalog.runs(database, task) {
            return None;
        }
        let status = self.catalog.statuses.get(key);
        let attempts = self.attempts(key, database, task, board.awake_since);
        let next = task.schedule.next(&attempts, self.now);
        if let Some(until) = status.and_then(|status| status.delay_until) {
            let kind = status.and_then(|status| status.delayed_kind).unwrap_or(BackupKind::Incremental);
            let original = status.and_then(|status| status.original_backup_time);
            let run = Run { time: until, latest: until, kind };
            return Some(Appointment {
                run,
                begins: until,
                original: original.or(next.map(|next| next.time)),
            });
        }
        let run = next?;
        let begins = self.level(key, task, &run, board);
        // What is overdue while its backup window is closed waits until that opens.
        let open = task.schedule.opens(self.now);
        let begins = if begins <= self.now && open > self.now { open } else { begins };
        Some(Appointment { run, begins, original: None })
    }

    /// Returns when a task would run next if nobody had put it off.
    pub(crate) fn next_by_schedule(&self, key: &TaskKey) -> Option<Timestamp> {
        let (database, task) = self.catalog.task(key)?;
        let awake_since = self.core.board().awake_since;
        let attempts = self.attempts(key, database, task, awake_since);
        task.schedule.next(&attempts, self.now).map(|run| run.time)
    }

    /// Chooses when a run really begins.
    fn level(&self, key: &TaskKey, task: &Plan, run: &Run, board: &Board) -> Timestamp {
        let name = format!("{}/{}", key.database, key.task);
        if run.latest > run.time {
            return level_window(&board.agenda, key, run, &name, self.now);
        }
        let width = self.width(task, run);
        let after = spread(&name, width);
        // What was missed while nobody was there is not begun all at once either.
        let moment = if run.time < board.awake_since && board.awake_since <= self.now {
            board.awake_since
        } else {
            run.time
        };
        let begins = moment.checked_add(after).unwrap_or(moment);
        // Never out of the hours in which it may begin; what was missed in them waits until they come again.
        if task.schedule.opens(begins) == begins { begins } else { task.schedule.opens(moment) }
    }

    /// Returns within which time after its moment the runs of a task begin.
    pub(crate) fn width(&self, task: &Plan, run: &Run) -> SignedDuration {
        // A task of one database alone has nobody to make way for.
        if task.server_wide().is_none() {
            return SignedDuration::ZERO;
        }
        let databases = self.catalog.databases.len();
        if databases <= self.core.settings.max_concurrent_backups.max(FEW) {
            return SignedDuration::ZERO;
        }
        let wanted = BETWEEN_STARTS.saturating_mul(i32::try_from(databases).unwrap_or(i32::MAX));
        let most = SignedDuration::try_from(self.core.settings.start_spread).unwrap_or(SignedDuration::MAX);
        let interval =
            task.schedule.interval_after(run.time).map_or(most, |interval| interval / PART_OF_INTERVAL);
        wanted.min(most).min(interval)
    }
}

/// Chooses the calmest moment of a window; one that was chosen before is kept while it is in the window.
fn level_window(agenda: &Agenda, key: &TaskKey, run: &Run, name: &str, now: Timestamp) -> Timestamp {
    if let Some(chosen) = agenda.time_of(key).filter(|chosen| run.time <= *chosen && *chosen <= run.latest) {
        return chosen;
    }
    // What is left of it, where it began in the past.
    let earliest = run.time.max(now).min(run.latest);
    calmest(earliest, run.latest, name, |moment| agenda.load_at(moment))
}

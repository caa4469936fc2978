//! Views: what pages and commands show, made from the catalog for one moment.

use crate::catalog::Catalog;
use crate::core::{Board, Core};
use crate::destination;
use crate::error::ServiceError;
use crate::health::{self, Standing};
use crate::identity::{TaskKey, TaskUid};
use crate::plan::Plan;
use crate::planning::{Appointment, Planner};
use crate::tasks::{TaskSelector, derived};
use crate::view::{DatabaseView, Health, LastBackup, NextRun, Overview, Running, TaskView};
use jiff::Timestamp;
use larder_model::{
    BackupKind, BackupQuality, Database, DatabaseName, Operation, OperationId, OperationKind, OperationStatus,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The operations that matter to one database's view.
#[derive(Clone, Debug, Default)]
struct Activity {
    /// The one that runs, or the first that waits.
    unfinished: Option<OperationId>,
    /// Whether a backup runs.
    backup_runs: bool,
    /// The backups that run or wait, by their tasks.
    backups: HashMap<TaskUid, Running>,
}

/// One look at everything.
struct Look<'a> {
    catalog: &'a Catalog,
    board: &'a Board,
    planner: Planner<'a>,
    now: Timestamp,
    activity: HashMap<DatabaseName, Activity>,
}

impl Core {
    fn activity(&self) -> HashMap<DatabaseName, Activity> {
        let mut activity: HashMap<DatabaseName, Activity> = HashMap::new();
        for operation in self.operations.unfinished() {
            let runs = operation.status == OperationStatus::InProgress;
            let one = activity.entry(operation.database).or_default();
            if runs || one.unfinished.is_none() {
                one.unfinished = Some(operation.id);
            }
            one.backup_runs |= runs && operation.kind == OperationKind::Backup;
            if let (OperationKind::Backup, Some(task)) = (operation.kind, operation.task_uid) {
                let kind = operation.backup_kind.unwrap_or(BackupKind::Full);
                let backup = Running { operation: operation.id, kind, started: operation.started };
                // Of several, the one that runs is shown.
                if runs || !one.backups.contains_key(&task) {
                    one.backups.insert(task, backup);
                }
            }
        }
        activity
    }

    fn look<T>(&self, show: impl FnOnce(&Look<'_>) -> T) -> T {
        let activity = self.activity();
        let catalog = self.catalog();
        let board = self.board();
        let now = self.now();
        let planner = Planner { core: self, catalog: &catalog, now };
        show(&Look { catalog: &catalog, board: &board, planner, now, activity })
    }

    pub(crate) fn show_databases(&self) -> Vec<DatabaseView> {
        self.look(|look| look.catalog.databases.values().map(|database| look.database(database)).collect())
    }

    /// Shows `count` databases after the first `start`, and how many there are.
    pub(crate) fn show_databases_page(&self, start: usize, count: usize) -> (Vec<DatabaseView>, usize) {
        self.look(|look| {
            let databases = look.catalog.databases.values();
            let page = databases.skip(start).take(count).map(|database| look.database(database));
            (page.collect(), look.catalog.databases.len())
        })
    }

    /// Lists the names of `count` databases after the first `start`.
    pub(crate) fn database_names(&self, start: usize, count: usize) -> Vec<DatabaseName> {
        self.catalog().databases.keys().skip(start).take(count).cloned().collect()
    }

    pub(crate) fn show_database(&self, name: &str) -> Result<DatabaseView, ServiceError> {
        self.look(|look| Ok(look.database(look.catalog.database(name)?)))
    }

    /// Shows the tasks of one database.
    pub(crate) fn show_tasks(&self, name: &str) -> Result<Vec<TaskView>, ServiceError> {
        self.look(|look| Ok(look.tasks(look.catalog.database(name)?)))
    }

    /// Shows the tasks of a database, those last put last.
    pub(crate) fn show_tasks_as_put(&self, name: &str) -> Result<Vec<TaskView>, ServiceError> {
        self.look(|look| {
            let database = look.catalog.database(name)?;
            let mut plans: Vec<_> = look.catalog.plans_of(database).collect();
            plans.sort_by_key(|plan| plan.put);
            Ok(plans.into_iter().map(|plan| look.task(database, plan)).collect())
        })
    }

    /// Shows one task of a database.
    pub(crate) fn show_task(
        &self,
        database: &str,
        which: TaskSelector<'_>,
    ) -> Result<Option<TaskView>, ServiceError> {
        self.look(|look| {
            let database = look.catalog.database(database)?;
            let plan = derived::find(look.catalog, database, which);
            Ok(plan.map(|plan| look.task(database, plan)))
        })
    }

    /// Lists the next runs of one server-wide task or of all, earliest first.
    pub(crate) fn show_next_runs(
        &self,
        task: Option<&str>,
        count: usize,
    ) -> Result<Vec<NextRun>, ServiceError> {
        let catalog = self.catalog();
        let now = self.now();
        let board = self.board();
        let planner = Planner { core: self, catalog: &catalog, now };
        let plans: Vec<&Arc<Plan>> = match task {
            Some(name) => vec![catalog.template(name)?],
            None => catalog.server_wide().collect(),
        };
        let mut runs: Vec<NextRun> = Vec::new();
        let add = |runs: &mut Vec<NextRun>, database: &Database, plan: &Plan| {
            let key = key(database, plan);
            let Some(first) = planner.appointment(&key, database, plan, &board) else { return };
            let rest = plan.schedule.upcoming(first.run.time.max(now), count.saturating_sub(1));
            let rest = rest.into_iter().map(Appointment::of);
            let mut never = catalog.status(&key).last_full_backup.is_none();
            for appointment in std::iter::once(first).chain(rest) {
                runs.push(named(database, plan, &appointment, std::mem::take(&mut never)));
            }
        };
        for plan in plans {
            for database in catalog.databases.values() {
                add(&mut runs, database, plan);
            }
            // Many databases on one task would otherwise pile up before they are sorted.
            keep_earliest(&mut runs, count);
        }
        if task.is_none() {
            for database in catalog.databases.values() {
                for plan in catalog.own_tasks(&database.name) {
                    add(&mut runs, database, plan);
                }
            }
            keep_earliest(&mut runs, count);
        }
        Ok(runs)
    }

    pub(crate) fn show_overview(&self) -> Overview {
        let running: Vec<Operation> = self.operations.unfinished();
        self.look(|look| {
            let mut counts: BTreeMap<Health, usize> = BTreeMap::new();
            let mut oldest: Option<(DatabaseName, Timestamp)> = None;
            let mut next: Option<NextRun> = None;
            // One view at a time: those of very many databases would not be small.
            for view in look.catalog.databases.values().map(|database| look.database(database)) {
                *counts.entry(view.health).or_default() += 1;
                if let Some(last) = view.last_good_backup.filter(|_| !view.tasks.is_empty())
                    && oldest.as_ref().is_none_or(|(_, time)| last.time < *time)
                {
                    oldest = Some((view.database.name.clone(), last.time));
                }
                if let Some(run) = view.next_run
                    && next.as_ref().is_none_or(|next| run.time < next.time)
                {
                    next = Some(run);
                }
            }
            let errors = look.catalog.source_errors.iter();
            Overview {
                now: look.now,
                databases: counts.into_iter().collect(),
                oldest_good_backup: oldest,
                running,
                next_run: next,
                source_errors: errors.map(|(name, error)| (name.clone(), error.clone())).collect(),
            }
        })
    }
}

fn key(database: &Database, plan: &Plan) -> TaskKey {
    TaskKey { database: database.name.clone(), task: plan.uid }
}

/// Shows a run; the first of a task is full whatever its schedule says.
fn named(database: &Database, plan: &Plan, appointment: &Appointment, first: bool) -> NextRun {
    NextRun {
        database: database.name.clone(),
        task: plan.shown_name(),
        kind: if first { BackupKind::Full } else { appointment.run.kind },
        time: appointment.run.time,
        begins: appointment.begins,
        original: appointment.original,
    }
}

fn keep_earliest(runs: &mut Vec<NextRun>, count: usize) {
    runs.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.database.cmp(&b.database)));
    runs.truncate(count);
}

impl Look<'_> {
    fn database(&self, database: &Database) -> DatabaseView {
        let catalog = self.catalog;
        let tasks = self.tasks(database);
        let last_good = self.last_good(&tasks);
        let next_run = tasks.iter().filter_map(|task| task.next_run.clone()).min_by_key(|run| run.time);
        let activity = self.activity.get(&database.name).cloned().unwrap_or_default();
        let enabled = |task: &&TaskView| !task.task.disabled;
        let standing = Standing {
            missing_since: database.missing_since,
            running: activity.backup_runs,
            protected: tasks.iter().any(|task| enabled(&task)),
            next: next_run.as_ref().map(|run| run.time),
            error: tasks.iter().filter(enabled).find_map(|task| task.status.error.as_ref()),
            damage: self.board.rota.damage_of(&database.name),
            last_good: last_good.as_ref(),
        };
        let (health, reason) = health::judge(&standing, self.now, &self.planner.core.settings.time_zone);
        let spots = catalog.spots_of(database);
        let destinations = destination::named(&spots).iter().map(|d| d.view(&database.name)).collect();
        let last_operation = tasks.iter().filter_map(|task| task.status.last_operation).max();
        DatabaseView {
            database: database.clone(),
            health,
            reason,
            last_good_backup: last_good,
            next_run,
            running: activity.unfinished,
            last_operation,
            tasks,
            destinations,
        }
    }

    fn tasks(&self, database: &Database) -> Vec<TaskView> {
        self.catalog.plans_of(database).map(|plan| self.task(database, plan)).collect()
    }

    fn task(&self, database: &Database, plan: &Plan) -> TaskView {
        let key = key(database, plan);
        let status = self.catalog.status(&key);
        let first = status.last_full_backup.is_none();
        let appointment = self.planner.appointment(&key, database, plan, self.board);
        let next_run = appointment.map(|appointment| named(database, plan, &appointment, first));
        let running =
            self.activity.get(&database.name).and_then(|activity| activity.backups.get(&plan.uid)).cloned();
        TaskView {
            task: derived::seen(self.catalog, database, plan),
            server_wide: plan.server_wide().map(|task| task.periodic.name.clone()),
            status,
            next_run,
            running,
        }
    }

    /// Returns the newest good backup of any task, as good as it is known to be now.
    fn last_good(&self, tasks: &[TaskView]) -> Option<LastBackup> {
        let newest =
            tasks.iter().filter_map(|task| task.status.last_good.clone()).max_by_key(|last| last.time)?;
        let quality = match self.catalog.verified.get(&newest.id) {
            Some(true) => BackupQuality::Verified,
            Some(false) => BackupQuality::Suspicious,
            None => newest.quality,
        };
        Some(LastBackup { quality, ..newest })
    }
}

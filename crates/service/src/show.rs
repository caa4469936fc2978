//! Views: what pages and commands show, made from the catalog for one moment.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::destination;
use crate::error::ServiceError;
use crate::health::{self, Standing};
use crate::identity::{TaskKey, TaskUid};
use crate::plan::Plan;
use crate::tasks::{TaskSelector, derived};
use crate::view::{DatabaseView, Health, LastBackup, NextRun, Overview, Running, TaskView};
use jiff::Timestamp;
use larder_model::{
    BackupKind, BackupQuality, Database, DatabaseName, Operation, OperationId, OperationKind, OperationStatus,
};
use larder_schedule::Run;
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
    awake_since: Timestamp,
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
        let awake_since = self.board().awake_since;
        show(&Look { catalog: &catalog, awake_since, now: self.now(), activity })
    }

    pub(crate) fn show_databases(&self) -> Vec<DatabaseView> {
        self.look(|look| look.catalog.databases.values().map(|database| look.database(database)).collect())
    }

    pub(crate) fn show_database(&self, name: &str) -> Result<DatabaseView, ServiceError> {
        self.look(|look| Ok(look.database(look.catalog.database(name)?)))
    }

    /// Shows the tasks of one database.
    pub(crate) fn show_tasks(&self, name: &str) -> Result<Vec<TaskView>, ServiceError> {
        self.look(|look| Ok(look.tasks(look.catalog.database(name)?)))
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
        let awake_since = self.board().awake_since;
        let plans: Vec<&Arc<Plan>> = match task {
            Some(name) => vec![catalog.template(name)?],
            None => catalog.server_wide().collect(),
        };
        let mut runs: Vec<NextRun> = Vec::new();
        let add = |runs: &mut Vec<NextRun>, database: &Database, plan: &Plan| {
            let Some(first) = catalog.next_run(database, plan, awake_since, now) else { return };
            let rest = plan.schedule.upcoming(first.time.max(now), count.saturating_sub(1));
            let mut never = catalog.status(&key(database, plan)).last_full_backup.is_none();
            for run in std::iter::once(first).chain(rest) {
                let kind = if std::mem::take(&mut never) { BackupKind::Full } else { run.kind };
                runs.push(named(database, plan, Run { kind, ..run }));
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
        let views = self.show_databases();
        let mut counts: BTreeMap<Health, usize> = BTreeMap::new();
        for view in &views {
            *counts.entry(view.health).or_default() += 1;
        }
        let protected = views.iter().filter(|view| !view.tasks.is_empty());
        let last_good = protected.filter_map(|view| {
            view.last_good_backup.as_ref().map(|last| (view.database.name.clone(), last.time))
        });
        let running: Vec<Operation> = self.operations.unfinished();
        Overview {
            now: self.now(),
            databases: counts.into_iter().collect(),
            oldest_good_backup: last_good.min_by_key(|(_, time)| *time),
            running,
            next_run: views.into_iter().filter_map(|view| view.next_run).min_by_key(|run| run.time),
            source_errors: self
                .catalog()
                .source_errors
                .iter()
                .map(|(name, e)| (name.clone(), e.clone()))
                .collect(),
        }
    }
}

fn key(database: &Database, plan: &Plan) -> TaskKey {
    TaskKey { database: database.name.clone(), task: plan.uid }
}

fn named(database: &Database, plan: &Plan, run: Run) -> NextRun {
    let database = database.name.clone();
    NextRun { database, task: plan.shown_name(), kind: run.kind, time: run.time, original: None }
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
            last_good: last_good.as_ref(),
        };
        let (health, reason) = health::judge(&standing, self.now);
        let roots = catalog.roots(database);
        let destinations = destination::named(&roots).iter().map(|d| d.view(&database.name)).collect();
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
        let run = self.catalog.next_run(database, plan, self.awake_since, self.now);
        let next_run = run.map(|run| {
            let kind = if status.last_full_backup.is_none() { BackupKind::Full } else { run.kind };
            named(database, plan, Run { kind, ..run })
        });
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

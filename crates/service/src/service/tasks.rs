//! Tasks: put, listed, switched, deleted, and when they run.

use super::Service;
use crate::day::DayOfRuns;
use crate::derivation::covers;
use crate::error::{ErrorKind, ServiceError};
use crate::tasks::{Stored, TaskSelector, derived, own, server_wide};
use crate::validation;
use crate::view::{NextRun, TaskView};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::{
    BackupKind, Database, DatabaseName, PeriodicBackupConfiguration, ServerWideBackupConfiguration,
};
use serde_json::{Map, Value};
use std::sync::Arc;

impl Service {
    /// Stores a server-wide task by RavenDB's rules: `TaskId` 0 makes a new one, its present number changes or renames
    /// it, and a name is made where none is given. Unknown keys are ignored; absent ones keep their value.
    ///
    /// # Errors
    /// A value makes no sense, the name is taken, or the number is of no task.
    pub async fn put_server_wide(&self, update: &Map<String, Value>) -> Result<Stored, ServiceError> {
        server_wide::put(&self.core, update).await
    }

    /// Lists the server-wide tasks as they were written, those last put last; or only the one of a name, upper and lower
    /// case counting as the same where no other has it exactly.
    #[must_use]
    pub fn server_wide(&self, name: Option<&str>) -> Vec<ServerWideBackupConfiguration> {
        let catalog = self.core.catalog();
        if let Some(name) = name {
            let called = |plan: &&Arc<crate::plan::Plan>| crate::derivation::same_name(plan.name(), name);
            let found = catalog.template_exactly(name).or_else(|| catalog.server_wide().find(called));
            return found.and_then(|plan| plan.server_wide().cloned()).into_iter().collect();
        }
        let mut all: Vec<_> = catalog.server_wide().filter_map(|plan| plan.server_wide().cloned()).collect();
        all.sort_by_key(|task| task.periodic.task_id);
        all
    }

    /// Deletes the server-wide task of exactly this name and what it derived; backups stay.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn delete_server_wide(&self, name: &str) -> Result<Stored, ServiceError> {
        let uid = server_wide::named_exactly(&self.core, name, ErrorKind::UnknownTask)?;
        server_wide::delete(&self.core, uid).await
    }

    /// Lets the server-wide task of exactly this name rest, or wakes it.
    ///
    /// # Errors
    /// There is no such task, or it makes no sense to wake it as it is.
    pub async fn toggle_server_wide(&self, name: &str, disable: bool) -> Result<Stored, ServiceError> {
        let uid = server_wide::named_exactly(&self.core, name, ErrorKind::ApplyRefused)?;
        server_wide::toggle(&self.core, uid, disable).await
    }

    /// Stores a server-wide task by its name, new or changed, and returns it as stored. An unknown key is refused; an
    /// absent one keeps its value; `TaskId` may be left out, and otherwise must be the stored one's.
    ///
    /// # Errors
    /// A field makes no sense, or the task was changed in the meantime.
    pub async fn put_task(
        &self,
        update: &Map<String, Value>,
    ) -> Result<ServerWideBackupConfiguration, ServiceError> {
        let stored = server_wide::put_by_name(&self.core, update).await?;
        self.task(&stored.name)
    }

    /// Lists the server-wide tasks, in the order of names.
    #[must_use]
    pub fn tasks(&self) -> Vec<ServerWideBackupConfiguration> {
        let mut tasks = self.server_wide(None);
        tasks.sort_by(|a, b| a.periodic.name.cmp(&b.periodic.name));
        tasks
    }

    /// Returns one server-wide task; upper and lower case count as the same.
    ///
    /// # Errors
    /// There is no such task.
    pub fn task(&self, name: &str) -> Result<ServerWideBackupConfiguration, ServiceError> {
        let found = self.core.catalog().template(name)?.server_wide().cloned();
        found.ok_or_else(|| ServiceError::not_found("task", name, "list the tasks to see their names"))
    }

    /// Deletes a server-wide task and what it derived; backups stay.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn delete_task(&self, name: &str) -> Result<(), ServiceError> {
        let uid = self.core.catalog().template(name)?.uid;
        server_wide::delete(&self.core, uid).await.map(|_| ())
    }

    /// Lets a server-wide task rest, or wakes it.
    ///
    /// # Errors
    /// There is no such task, or it makes no sense to wake it as it is.
    pub async fn set_task_disabled(
        &self,
        name: &str,
        disabled: bool,
    ) -> Result<ServerWideBackupConfiguration, ServiceError> {
        let uid = self.core.catalog().template(name)?.uid;
        server_wide::toggle(&self.core, uid, disabled).await?;
        self.task(name)
    }

    /// Lists the tasks of a database, the derived ones first, each with what is remembered of it.
    ///
    /// # Errors
    /// There is no such database.
    pub fn tasks_of(&self, database: &str) -> Result<Vec<TaskView>, ServiceError> {
        self.core.show_tasks(database)
    }

    /// Lists the tasks of a database in RavenDB's order: those last put last, a server-wide one that was toggled too.
    ///
    /// # Errors
    /// There is no such database.
    pub fn tasks_as_put(&self, database: &str) -> Result<Vec<TaskView>, ServiceError> {
        self.core.show_tasks_as_put(database)
    }

    /// Returns one task of a database; `None` where it has none such.
    ///
    /// # Errors
    /// There is no such database.
    pub fn task_of(&self, database: &str, which: TaskSelector<'_>) -> Result<Option<TaskView>, ServiceError> {
        self.core.show_task(database, which)
    }

    /// Returns what is remembered of a database's one-time backups.
    ///
    /// # Errors
    /// There is no such database.
    pub fn once_status(&self, database: &str) -> Result<Option<crate::view::TaskStatus>, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?.name.clone();
        Ok(catalog.statuses.get(&crate::identity::TaskKey { database, task: 0 }).cloned())
    }

    /// Lists the tasks that apply to a database, as it sees them.
    ///
    /// # Errors
    /// There is no such database.
    pub fn derived_tasks(&self, database: &str) -> Result<Vec<PeriodicBackupConfiguration>, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?;
        Ok(catalog.plans_of(database).map(|plan| derived::seen(&catalog, database, plan)).collect())
    }

    /// Stores a task of one database: `TaskId` 0 makes a new one, its number changes it. Unknown keys are ignored;
    /// absent ones keep their value.
    ///
    /// # Errors
    /// There is no such database, a value makes no sense, the name is taken, or the number is of no task or of a derived
    /// one.
    pub async fn put_database_task(
        &self,
        database: &str,
        update: &Map<String, Value>,
    ) -> Result<Stored, ServiceError> {
        own::put(&self.core, database, update).await
    }

    /// Deletes a task of one database; its backups stay.
    ///
    /// # Errors
    /// There is no such database or task, or the task comes from a server-wide one.
    pub async fn delete_database_task(&self, database: &str, id: u64) -> Result<Stored, ServiceError> {
        own::delete(&self.core, database, id).await
    }

    /// Lets a task of one database rest, or wakes it; a derived one for this database alone.
    ///
    /// # Errors
    /// There is no such database or task, or its server-wide task rests.
    pub async fn toggle_database_task(
        &self,
        database: &str,
        which: TaskSelector<'_>,
        disable: bool,
    ) -> Result<Stored, ServiceError> {
        derived::toggle(&self.core, database, which, disable).await
    }

    /// Lists the next `count` runs, earliest first: of one server-wide task, or of all tasks.
    ///
    /// # Errors
    /// There is no such task.
    pub fn next_runs(&self, task: Option<&str>, count: usize) -> Result<Vec<NextRun>, ServiceError> {
        self.core.show_next_runs(task, count)
    }

    /// Says which databases a task is for, or would be for, and which of those that are there it is not: in the order of
    /// names.
    #[must_use]
    pub fn coverage(&self, task: &ServerWideBackupConfiguration) -> (Vec<DatabaseName>, Vec<DatabaseName>) {
        let catalog = self.core.catalog();
        let there = catalog.databases.values().filter(|database| database.missing_since.is_none());
        let (covered, left_out): (Vec<_>, Vec<_>) = there.partition(|database| covers(task, database));
        let names = |all: Vec<&Arc<Database>>| all.into_iter().map(|one| one.name.clone()).collect();
        (names(covered), names(left_out))
    }

    /// Says where in the next day runs begin: those of a task, stored or not, and those of all others.
    #[must_use]
    pub fn day(&self, task: &ServerWideBackupConfiguration, zone: &TimeZone) -> DayOfRuns {
        self.core.show_day(task, zone)
    }

    /// Checks when a task that is not stored yet would run next.
    ///
    /// # Errors
    /// Its schedule makes no sense.
    pub fn preview(
        &self,
        task: &ServerWideBackupConfiguration,
        count: usize,
    ) -> Result<Vec<(BackupKind, Timestamp)>, ServiceError> {
        let schedule = validation::check_draft(&self.core, task)?;
        Ok(schedule.upcoming(self.core.now(), count).into_iter().map(|run| (run.kind, run.time)).collect())
    }
}

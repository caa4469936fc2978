//! The service's front: everything that pages, commands and the API ask for.

use crate::agenda::TaskKey;
use crate::catalog::{Catalog, Template};
use crate::core::Core;
use crate::derivation::{derive, derived_name};
use crate::destination::{self, Destination};
use crate::dispatch::NewOperation;
use crate::error::ServiceError;
use crate::job::Job;
use crate::operations::Operations;
use crate::queue::Lane;
use crate::record;
use crate::request::{BackupChoice, OperationFilter, RestoreRequest};
use crate::settings::Settings;
use crate::view::{DatabaseView, DestinationView, NextRun, Overview, ResticAccess, Verification};
use crate::work::listing;
use crate::{discovery, progress, scheduler, sources, staging, tasks, validation};
use jiff::Timestamp;
use larder_model::{
    BackupId, BackupKind, Clock, Database, DatabaseName, Operation, OperationId, OperationKind,
    PeriodicBackupConfiguration, RestorePoint, Secret, ServerWideBackupConfiguration, Source,
};
use larder_state::State;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Makes, keeps and gives back backups: the one object that the outer rooms talk to. Clones share it.
#[derive(Clone, Debug)]
pub struct Service {
    core: Arc<Core>,
    loops: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Service {
    /// Starts the service on the current tokio runtime: reads the state, ends what a crash left open, and begins to
    /// search sources and to run what is due.
    ///
    /// `key` is the text of the key file; it is the password of every repository.
    ///
    /// # Errors
    /// The state cannot be read, or a directory of Larder's own cannot be made.
    pub async fn start(
        settings: Settings,
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        key: Secret,
    ) -> Result<Self, ServiceError> {
        staging::empty(&settings.staging_directory).await?;
        let catalog = Catalog::load(&*state, &settings.time_zone).await?;
        let (operations, ended) = Operations::load(&*state, clock.now()).await?;
        let core = Arc::new(Core::new(settings, state, clock, key, catalog, operations));
        if !ended.is_empty() {
            tracing::warn!(count = ended.len(), "the last server stopped while operations ran or waited");
            core.store(ended).await?;
        }
        core.reschedule_all();
        let loops = vec![
            tokio::spawn(discovery::run(Arc::clone(&core))),
            tokio::spawn(scheduler::run(Arc::clone(&core))),
            tokio::spawn(progress::run(Arc::clone(&core))),
        ];
        Ok(Self { core, loops: Arc::new(Mutex::new(loops)) })
    }

    /// Stops: takes no new work, aborts what runs, and waits until it has ended.
    ///
    /// A scheduled run that is aborted so is still owed, and is caught up at the next start.
    pub async fn stop(&self) {
        self.core.stopping.send_replace(true);
        for operation in self.core.operations.unfinished() {
            // One that has ended in the meantime needs no abort.
            let _ = self.core.abort(operation.id).await;
        }
        self.core.operations.wait_for_all().await;
        let runners = std::mem::take(&mut *self.core.runners.lock().unwrap_or_else(PoisonError::into_inner));
        let loops = std::mem::take(&mut *self.loops.lock().unwrap_or_else(PoisonError::into_inner));
        for one in runners.into_iter().chain(loops) {
            let _ = one.await;
        }
    }

    /// Starts what is due now, without waiting for the scheduler to wake; returns how many runs began or wait.
    ///
    /// For whoever moves the clock by hand.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn tick(&self) -> Result<usize, ServiceError> {
        scheduler::tick(&self.core).await
    }

    // ---- sources and databases

    /// Adds a source and searches it at once; returns the databases found.
    ///
    /// # Errors
    /// The path does not exist or is not absolute, the name is taken, or the source cannot be searched.
    pub async fn add_source(&self, source: Source) -> Result<Vec<DatabaseName>, ServiceError> {
        sources::add(&self.core, source).await
    }

    /// Lists the sources, in the order of names.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.core.catalog().sources.values().cloned().collect()
    }

    /// Removes a source; its databases are no longer backed up, their backups stay.
    ///
    /// # Errors
    /// There is no such source, or the state cannot be written.
    pub async fn remove_source(&self, name: &str) -> Result<(), ServiceError> {
        sources::remove(&self.core, name).await
    }

    /// Searches every source now, instead of at the next interval; returns the databases that are new.
    ///
    /// # Errors
    /// The state cannot be written. A source that cannot be searched is no error; [`Overview`] names it.
    pub async fn discover(&self) -> Result<Vec<DatabaseName>, ServiceError> {
        discovery::search_all(&self.core).await
    }

    /// Shows every database, in the order of names.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseView> {
        self.core.show_databases()
    }

    /// Shows one database.
    ///
    /// # Errors
    /// There is no such database.
    pub fn database(&self, name: &str) -> Result<DatabaseView, ServiceError> {
        self.core.show_database(name)
    }

    /// Strikes a database that discovery no longer finds from the list; its backups stay where they are.
    ///
    /// # Errors
    /// There is no such database, or it is still found.
    pub async fn forget_database(&self, name: &str) -> Result<(), ServiceError> {
        sources::forget(&self.core, name).await
    }

    // ---- tasks

    /// Stores a server-wide task, new or changed, and returns it as stored; it applies to every database at once.
    ///
    /// A task of the same name is replaced; where `TaskId` is not 0 it must be the stored one's.
    ///
    /// # Errors
    /// A field makes no sense, or the task was changed in the meantime.
    pub async fn put_task(
        &self,
        task: ServerWideBackupConfiguration,
    ) -> Result<ServerWideBackupConfiguration, ServiceError> {
        tasks::put(&self.core, task).await
    }

    /// Lists the server-wide tasks, in the order of names.
    #[must_use]
    pub fn tasks(&self) -> Vec<ServerWideBackupConfiguration> {
        self.core.catalog().templates.values().map(|template| template.task().clone()).collect()
    }

    /// Returns one server-wide task; upper and lower case count as the same.
    ///
    /// # Errors
    /// There is no such task.
    pub fn task(&self, name: &str) -> Result<ServerWideBackupConfiguration, ServiceError> {
        Ok(self.core.catalog().template(name)?.task().clone())
    }

    /// Deletes a server-wide task and what it derived; backups stay.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn delete_task(&self, name: &str) -> Result<(), ServiceError> {
        tasks::delete(&self.core, name).await
    }

    /// Lets a server-wide task rest, or wakes it.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn set_task_disabled(
        &self,
        name: &str,
        disabled: bool,
    ) -> Result<ServerWideBackupConfiguration, ServiceError> {
        tasks::set_disabled(&self.core, name, disabled).await
    }

    /// Lists the tasks that apply to a database.
    ///
    /// # Errors
    /// There is no such database.
    pub fn derived_tasks(&self, database: &str) -> Result<Vec<PeriodicBackupConfiguration>, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?;
        Ok(catalog.templates_of(database).map(|template| derive(template.task(), &database.name)).collect())
    }

    /// Lists the next `count` runs, earliest first: of one server-wide task, or of all.
    ///
    /// # Errors
    /// There is no such task.
    pub fn next_runs(&self, task: Option<&str>, count: usize) -> Result<Vec<NextRun>, ServiceError> {
        self.core.show_next_runs(task, count)
    }

    /// Checks a task that is not stored yet and says when it would run next.
    ///
    /// # Errors
    /// A field makes no sense.
    pub fn preview(
        &self,
        task: &ServerWideBackupConfiguration,
        count: usize,
    ) -> Result<Vec<(BackupKind, Timestamp)>, ServiceError> {
        let schedule = validation::check(task, &self.core.settings.time_zone)?;
        Ok(schedule.upcoming(self.core.now(), count).into_iter().map(|run| (run.kind, run.time)).collect())
    }

    // ---- work

    /// Asks for a backup now. It becomes a full one by itself where there is no backup to go on from.
    ///
    /// Without a task the database's only one is meant. A disabled task can be run so.
    ///
    /// # Errors
    /// There is no such database or task, or the database has several tasks and none was named.
    pub async fn backup_now(
        &self,
        database: &str,
        task: Option<&str>,
        kind: BackupKind,
    ) -> Result<OperationId, ServiceError> {
        let (database, template) = {
            let catalog = self.core.catalog();
            let database = Arc::clone(catalog.database(database)?);
            let template = Arc::clone(task_of(&catalog, &database, task)?);
            (database, template)
        };
        let key = TaskKey { database: database.name.clone(), task: Arc::clone(&template.name) };
        if let Some(waiting) = self.core.waiting_backup(&key, kind) {
            return Ok(waiting);
        }
        let new = self.wanted_backup(database, key, kind);
        first(self.core.enqueue(vec![new]).await?)
    }

    /// Asks for a backup now of every database that has an enabled task, or that the named server-wide task is for.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn backup_all(
        &self,
        task: Option<&str>,
        kind: BackupKind,
    ) -> Result<Vec<OperationId>, ServiceError> {
        let wanted: Vec<NewOperation> = {
            let catalog = self.core.catalog();
            let only =
                task.map(|name| catalog.template(name).map(|found| Arc::clone(&found.name))).transpose()?;
            let pairs = catalog.databases.values().flat_map(|database| {
                let meant = |template: &&Arc<Template>| match &only {
                    Some(name) => template.name == *name,
                    None => !template.task().periodic.disabled,
                };
                catalog.templates_of(database).filter(meant).map(move |template| (database, template))
            });
            pairs
                .map(|(database, template)| {
                    let key = TaskKey { database: database.name.clone(), task: Arc::clone(&template.name) };
                    self.wanted_backup(Arc::clone(database), key, kind)
                })
                .collect()
        };
        self.core.enqueue(wanted).await
    }

    /// Asks for a backup's data to be written to a place on the server's host.
    ///
    /// # Errors
    /// There is no such database or destination, or the target is not an absolute path. A target that holds
    /// something, or a backup that is not there, ends the operation Faulted.
    pub async fn restore(&self, request: RestoreRequest) -> Result<OperationId, ServiceError> {
        if !request.target.is_absolute() {
            let message = format!(
                "'{}' is not an absolute path; give one that begins with /",
                request.target.display()
            );
            return Err(ServiceError::invalid("Target", message));
        }
        let (database, destinations) = self.meant(&request.database, request.destination.as_deref())?;
        let job = Job::Restore { database: Arc::clone(&database), request, destinations };
        // Whoever restores is in distress: it never waits for other work.
        self.enqueue_one(OperationKind::Restore, database, None, job).await
    }

    /// Asks for a backup to be restored into scratch, compared, and the scratch removed.
    ///
    /// # Errors
    /// There is no such database, or it has no destination.
    pub async fn verify(&self, database: &str, backup: BackupChoice) -> Result<OperationId, ServiceError> {
        let (database, destinations) = self.meant(database, None)?;
        let job = Job::Verify { database: Arc::clone(&database), backup, destinations };
        self.enqueue_one(OperationKind::Verify, database, Some(Lane::Proof), job).await
    }

    /// Asks for a check of a database's repository: its structure, or with `read_data` every byte.
    ///
    /// # Errors
    /// There is no such database or destination.
    pub async fn check(
        &self,
        database: &str,
        destination: Option<&str>,
        read_data: bool,
    ) -> Result<OperationId, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        let job = Job::Check { database: Arc::clone(&database), destinations, read_data };
        self.enqueue_one(OperationKind::Check, database, Some(Lane::Proof), job).await
    }

    // ---- operations

    /// Lists operations, the newest first.
    #[must_use]
    pub fn operations(&self, filter: &OperationFilter) -> Vec<Operation> {
        self.core.operations.list(filter)
    }

    /// Returns one operation as it stands now.
    ///
    /// # Errors
    /// There is no such operation.
    pub fn operation(&self, id: OperationId) -> Result<Operation, ServiceError> {
        self.core.operations.get(id)
    }

    /// Asks an operation to end; returns at once. It ends Canceled within a second.
    ///
    /// # Errors
    /// There is no such operation, or it has ended already.
    pub async fn abort(&self, id: OperationId) -> Result<(), ServiceError> {
        self.core.abort(id).await
    }

    /// Waits until an operation has ended, and returns it.
    ///
    /// # Errors
    /// There is no such operation.
    pub async fn wait(&self, id: OperationId) -> Result<Operation, ServiceError> {
        self.core.operations.wait(id).await
    }

    /// Returns a channel that carries every change of every operation, progress included (a few times a second).
    ///
    /// A receiver that lags loses the oldest ones and may ask [`Service::operation`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Operation> {
        self.core.operations.subscribe()
    }

    // ---- backups

    /// Lists a database's backups, the newest first, at one destination or at all.
    ///
    /// # Errors
    /// There is no such database or destination, or a repository cannot be read.
    pub async fn backups(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<Vec<RestorePoint>, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        listing::restore_points(&self.core, database, destinations).await
    }

    /// Returns what came of verifying a backup; `None` where it never was.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn verification(&self, backup: &BackupId) -> Result<Option<Verification>, ServiceError> {
        record::get(&*self.core.state, &record::verification(backup)).await
    }

    /// Lists the places where a database's backups lie.
    ///
    /// # Errors
    /// There is no such database.
    pub fn destinations(&self, database: &str) -> Result<Vec<DestinationView>, ServiceError> {
        let catalog = self.core.catalog();
        let database = catalog.database(database)?;
        Ok(destination::named(&catalog.roots(database)).iter().map(|one| one.view(&database.name)).collect())
    }

    /// Returns what stock restic needs to open a database's repository.
    ///
    /// # Errors
    /// There is no such database or destination, or it has several and none was named.
    pub fn restic_access(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<ResticAccess, ServiceError> {
        let (database, mut destinations) = self.meant(database, destination)?;
        match (destinations.pop(), destinations.is_empty()) {
            (Some(only), true) => Ok(ResticAccess {
                repository: only.view(&database.name).address,
                password: self.core.key.clone(),
            }),
            _ => Err(ServiceError::invalid(
                "Destination",
                format!(
                    "the database '{}' has several destinations; name the one that is meant",
                    database.name
                ),
            )),
        }
    }

    /// Shows everything at a glance.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.core.show_overview()
    }

    /// Finds a database and the destinations that are meant.
    fn meant(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<(Arc<Database>, Vec<Destination>), ServiceError> {
        let catalog = self.core.catalog();
        let database = Arc::clone(catalog.database(database)?);
        let all = destination::named(&catalog.roots(&database));
        let destinations = destination::select(all, destination, &database.name)?;
        Ok((database, destinations))
    }

    /// Makes the wish for a backup that a person asks for.
    fn wanted_backup(&self, database: Arc<Database>, key: TaskKey, kind: BackupKind) -> NewOperation {
        NewOperation {
            kind: OperationKind::Backup,
            backup_kind: Some(kind),
            database,
            task: Some(Arc::clone(&key.task)),
            due: self.core.now(),
            lane: Some(Lane::Backup),
            job: Job::Backup { key, kind, scheduled: false },
        }
    }

    async fn enqueue_one(
        &self,
        kind: OperationKind,
        database: Arc<Database>,
        lane: Option<Lane>,
        job: Job,
    ) -> Result<OperationId, ServiceError> {
        let due = self.core.now();
        let new = NewOperation { kind, backup_kind: None, database, task: None, due, lane, job };
        first(self.core.enqueue(vec![new]).await?)
    }
}

/// Finds the task that is meant: the named one, or the only one that is for the database.
fn task_of<'a>(
    catalog: &'a Catalog,
    database: &Database,
    task: Option<&str>,
) -> Result<&'a Arc<Template>, ServiceError> {
    if let Some(since) = database.missing_since {
        return Err(ServiceError::conflict(format!(
            "the database '{}' is gone from its source since {since}, so it cannot be backed up; its backups stay",
            database.name
        )));
    }
    let its: Vec<&Arc<Template>> =
        catalog.templates.values().filter(|one| crate::derivation::applies(one.task(), database)).collect();
    if let Some(name) = task {
        let template = catalog.template(name)?;
        return if its.iter().any(|one| one.name == template.name) {
            Ok(template)
        } else {
            Err(ServiceError::conflict(format!(
                "the task '{}' is not for the database '{}'; change its exclusions or its selector",
                template.name, database.name
            )))
        };
    }
    match its.as_slice() {
        [only] => Ok(only),
        [] => Err(ServiceError::not_found(
            "task for database",
            database.name.as_str(),
            "make a task that is for it first",
        )),
        several => {
            let names = several.iter().map(|one| derived_name(&one.name)).collect::<Vec<_>>().join("; ");
            Err(ServiceError::invalid(
                "Task",
                format!(
                    "the database '{}' has several tasks, so name the one that is meant: {names}",
                    database.name
                ),
            ))
        }
    }
}

/// Returns the only number of a single wish.
fn first(ids: Vec<OperationId>) -> Result<OperationId, ServiceError> {
    ids.into_iter().next().ok_or(ServiceError::Stopped)
}

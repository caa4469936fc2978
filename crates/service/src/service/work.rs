//! Work that people ask for.

use super::Service;
use crate::catalog::Catalog;
use crate::dispatch::NewOperation;
use crate::error::{ErrorKind, ServiceError};
use crate::identity::{TaskKey, TaskUid};
use crate::job::{Cause, Job};
use crate::plan::Plan;
use crate::queue::Lane;
use crate::request::{BackupChoice, CheckDepth, RepairRequest, RestorePlace, RestoreRequest};
use crate::tasks::{TaskSelector, derived};
use crate::upkeep::UpkeepView;
use crate::{scheduler, validation};
use larder_model::task::{BackupConfiguration, Periodicity};
use larder_model::{BackupKind, Database, OperationId, OperationKind};
use std::sync::Arc;

impl Service {
    /// Asks for a backup now. It becomes a full one by itself where there is no backup to go on from.
    ///
    /// Without a task the database's only one is meant; a task is meant by its name or by that of its parent. One that
    /// rests can be run so.
    ///
    /// # Errors
    /// There is no such database or task, or the database has several tasks and none was named.
    pub async fn backup_now(
        &self,
        database: &str,
        task: Option<&str>,
        kind: BackupKind,
    ) -> Result<OperationId, ServiceError> {
        let (database, plan) = {
            let catalog = self.core.catalog();
            let database = Arc::clone(catalog.database(database)?);
            let plan = Arc::clone(task_of(&catalog, &database, task)?);
            (database, plan)
        };
        let key = TaskKey { database: database.name.clone(), task: plan.uid };
        if let Some(waiting) = self.core.waiting_backup(&key, kind) {
            return Ok(waiting);
        }
        let cause = Cause::asked(self.core.now(), Periodicity::Manual);
        first(self.core.enqueue(vec![scheduler::backup(&database, &plan, kind, cause)]).await?)
    }

    /// Asks for a backup by a task, as RavenDB's clients do: where one of the task runs or waits already, that one is
    /// returned.
    ///
    /// # Errors
    /// There is no such database, it has no task with this number, or the task rests or has no destination.
    pub async fn start_backup(
        &self,
        database: &str,
        task_id: u64,
        kind: BackupKind,
    ) -> Result<OperationId, ServiceError> {
        let (database, plan) = {
            let catalog = self.core.catalog();
            let database = Arc::clone(catalog.database(database)?);
            check_there(&database)?;
            let refused = |message| ServiceError::refused(ErrorKind::InvalidOperation, message);
            let plan = derived::find(&catalog, &database, TaskSelector::Id(task_id)).cloned();
            let plan = plan.ok_or_else(|| {
                refused(format!(
                    "the database '{}' has no backup task with the number {task_id}; list its tasks to see their numbers",
                    database.name
                ))
            })?;
            if catalog.rests(&database.name, &plan) {
                return Err(refused(format!(
                    "the backup task '{}' rests; enable it, then start it",
                    plan.shown_name()
                )));
            }
            if plan.periodic().backup.live().is_empty() {
                return Err(refused(format!(
                    "all destinations of the backup task '{}' are disabled; enable one, then start it",
                    plan.shown_name()
                )));
            }
            (database, plan)
        };
        if let Some(running) = self.core.operations.backup_of(&database.name, plan.uid) {
            return Ok(running);
        }
        let cause = Cause::asked(self.core.now(), Periodicity::Manual);
        first(self.core.enqueue(vec![scheduler::backup(&database, &plan, kind, cause)]).await?)
    }

    /// Asks for one full backup that no task is behind.
    ///
    /// # Errors
    /// There is no such database, or the configuration makes no sense.
    pub async fn backup_once(
        &self,
        database: &str,
        mut backup: BackupConfiguration,
    ) -> Result<OperationId, ServiceError> {
        let database = Arc::clone(self.core.catalog().database(database)?);
        check_there(&database)?;
        backup.unmask(None);
        validation::check_once(&self.core, &mut backup).await?;
        let key = TaskKey { database: database.name.clone(), task: 0 };
        let kind = BackupKind::Full;
        let cause = Cause::asked(self.core.now(), Periodicity::Manual);
        let new = NewOperation {
            kind: OperationKind::Backup,
            backup_kind: Some(kind),
            database,
            task: None,
            due: self.core.now(),
            lane: Some(Lane::Backup),
            job: Job::Backup { key, kind, cause, once: Some(Arc::new(backup)) },
        };
        first(self.core.enqueue(vec![new]).await?)
    }

    /// Asks for a backup now by every task that does not rest, or by the named server-wide one; with a periodicity, only
    /// by those that have a schedule of it, and kept as such.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn backup_all(
        &self,
        task: Option<&str>,
        kind: BackupKind,
        periodicity: Option<Periodicity>,
    ) -> Result<Vec<OperationId>, ServiceError> {
        let cause = Cause::asked(self.core.now(), periodicity.unwrap_or(Periodicity::Manual));
        let wanted: Vec<NewOperation> = {
            let catalog = self.core.catalog();
            let only: Option<TaskUid> =
                task.map(|name| catalog.template(name).map(|found| found.uid)).transpose()?;
            let pairs = catalog.databases.values().flat_map(|database| {
                let meant = |plan: &&Arc<Plan>| {
                    periodicity.is_none_or(|periodicity| plan.schedule.has(periodicity))
                        && match only {
                            Some(uid) => plan.uid == uid,
                            None => !catalog.rests(&database.name, plan),
                        }
                };
                catalog.plans_of(database).filter(meant).map(move |plan| (database, plan)).collect::<Vec<_>>()
            });
            pairs.map(|(database, plan)| scheduler::backup(database, plan, kind, cause.clone())).collect()
        };
        self.core.enqueue(wanted).await
    }

    /// Asks for a backup's data to be written to a place on the server's host.
    ///
    /// # Errors
    /// There is no such database, destination or source, or the target is not an absolute path. A target that holds
    /// something, or a backup that is not there, ends the operation Faulted.
    pub async fn restore(&self, request: RestoreRequest) -> Result<OperationId, ServiceError> {
        match &request.target {
            RestorePlace::Path(path) if !path.is_absolute() => {
                let message =
                    format!("'{}' is not an absolute path; give one that begins with /", path.display());
                return Err(ServiceError::invalid("Target", message));
            }
            RestorePlace::Path(_) => {}
            RestorePlace::Server { source, .. } => {
                self.core.catalog().source(source)?;
            }
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

    /// Asks for a check of a database's repository: its structure, and as much of the bytes as `depth` says.
    ///
    /// # Errors
    /// There is no such database or destination.
    pub async fn check(
        &self,
        database: &str,
        destination: Option<&str>,
        depth: CheckDepth,
    ) -> Result<OperationId, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        let job = Job::Check { database: Arc::clone(&database), destinations, depth, upkeep: None };
        self.enqueue_one(OperationKind::Check, database, Some(Lane::Proof), job).await
    }

    /// Asks for the space to be freed that no backup of a database needs. What the administrator's grace period protects stays
    /// until it is over, and goes then by itself.
    ///
    /// # Errors
    /// There is no such database or destination. Where another installation writes, too, the operation ends Faulted.
    pub async fn prune(
        &self,
        database: &str,
        destination: Option<&str>,
        dry_run: bool,
    ) -> Result<OperationId, ServiceError> {
        let (database, destinations) = self.meant(database, destination)?;
        let job = Job::Prune { database: Arc::clone(&database), destinations, dry_run, upkeep: None };
        self.enqueue_one(OperationKind::Prune, database, Some(Lane::Proof), job).await
    }

    /// Asks for a database's repositories to be mended: what is damaged or missing is taken from its other destinations,
    /// the index is made anew, and what is lost for good is named in the operation's messages.
    ///
    /// # Errors
    /// There is no such database or destination. What stays lost ends the operation Faulted.
    pub async fn repair(&self, request: RepairRequest) -> Result<OperationId, ServiceError> {
        let (database, all) = self.meant(&request.database, None)?;
        let (_, destinations) = self.meant(&request.database, request.destination.as_deref())?;
        let job = Job::Repair { database: Arc::clone(&database), destinations, all, request };
        self.enqueue_one(OperationKind::Repair, database, Some(Lane::Proof), job).await
    }

    /// Says what the server does by itself for each repository of a database, and when it does it next.
    ///
    /// # Errors
    /// There is no such database, or it has no destination.
    pub fn upkeep(&self, database: &str) -> Result<Vec<UpkeepView>, ServiceError> {
        let (database, destinations) = self.meant(database, None)?;
        Ok(self.core.show_upkeep(&database, &destinations))
    }

    pub(super) async fn enqueue_one(
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

/// Refuses a database that is gone.
fn check_there(database: &Database) -> Result<(), ServiceError> {
    match database.missing_since {
        None => Ok(()),
        Some(since) => Err(ServiceError::conflict(format!(
            "the database '{}' is gone from its source since {since}, so it cannot be backed up; its backups stay",
            database.name
        ))),
    }
}

/// Finds the task that is meant: the named one, or the only one that is for the database.
pub(crate) fn task_of<'a>(
    catalog: &'a Catalog,
    database: &'a Database,
    task: Option<&str>,
) -> Result<&'a Arc<Plan>, ServiceError> {
    check_there(database)?;
    let its: Vec<&Arc<Plan>> = catalog.plans_of(database).collect();
    if let Some(name) = task {
        if let Some(own) = derived::find(catalog, database, TaskSelector::Name(name)) {
            return Ok(own);
        }
        let template = catalog.template(name)?;
        return if its.iter().any(|one| one.uid == template.uid) {
            Ok(template)
        } else {
            Err(ServiceError::conflict(format!(
                "the task '{}' is not for the database '{}'; change its exclusions or its selector",
                template.name(),
                database.name
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
            let names = several.iter().map(|one| one.shown_name()).collect::<Vec<_>>().join("; ");
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

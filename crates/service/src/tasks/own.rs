//! Tasks of single databases.

use crate::core::Core;
use crate::derivation::same_name;
use crate::error::{ErrorKind, ServiceError};
use crate::identity::TaskKey;
use crate::plan::{Plan, Written};
use crate::stored;
use crate::tasks::derived;
use crate::tasks::draft::{meant, merged};
use crate::tasks::server_wide::forgotten;
use crate::tasks::{Stored, TaskSelector, naming, same_moments};
use crate::validation;
use larder_model::{Database, PeriodicBackupConfiguration};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Stores a task of one database: `TaskId` 0 makes a new one, another number changes that one and is kept.
pub(crate) async fn put(
    core: &Arc<Core>,
    database: &str,
    update: &Map<String, Value>,
) -> Result<Stored, ServiceError> {
    let meant = meant(update)?;
    let _writer = core.writer.lock().await;
    let database = Arc::clone(core.catalog().database(database)?);
    let old = match meant.task_id {
        0 => None,
        id => own(core, &database, id, "change")?,
    };
    let stored = old.as_ref().map(|old| old.periodic());
    let mut task: PeriodicBackupConfiguration = merged(stored, update)?;
    task.backup.unmask(stored.map(|stored| &stored.backup));
    task.name = task.name.trim().to_owned();
    let taken = |name: &str| {
        let other = |plan: &&Arc<Plan>| old.as_ref().is_none_or(|old| old.uid != plan.uid);
        core.catalog().own_tasks(&database.name).filter(other).any(|plan| same_name(plan.name(), name))
    };
    if task.name.is_empty() {
        task.name = naming::free(task.backup.default_name(), taken);
    }
    let schedule = validation::check_own(core, &mut task).await?;
    if meant.task_id != 0 && old.is_none() {
        return Err(unknown(&database, meant.task_id));
    }
    naming::check_own(&task.name)?;
    if taken(&task.name) {
        return Err(ServiceError::refused(
            ErrorKind::ApplyRefused,
            format!(
                "the database '{}' has a task '{}' already; choose another name, or send that one's TaskId to change it",
                database.name, task.name
            ),
        ));
    }
    let now = core.now();
    let revision = core.state.revision().await? + 1;
    let (uid, created) = old.as_ref().map_or((revision, now), |old| (old.uid, old.created));
    let scheduled = match &old {
        Some(old) if same_moments(old.periodic(), &task) => old.scheduled,
        _ => now,
    };
    task.task_id = uid;
    task.created_at = Some(created);
    let name = task.name.clone();
    let written = Written::Own(database.name.clone(), task);
    let plan = Plan { uid, written, created, scheduled, put: revision, schedule };
    let revision = core.store(stored::writes(&plan, &core.sealer)?).await?;
    core.catalog_mut().enter(Arc::new(plan));
    core.reschedule(std::iter::once(&TaskKey { database: database.name.clone(), task: uid }));
    Ok(Stored { name, revision, task_id: uid })
}

/// Finds an own task by its number; that of a derived one is refused by name.
fn own(core: &Core, database: &Database, id: u64, deed: &str) -> Result<Option<Arc<Plan>>, ServiceError> {
    let catalog = core.catalog();
    match derived::find(&catalog, database, TaskSelector::Id(id)) {
        Some(plan) if plan.server_wide().is_some() => Err(belongs_to_parent(database, plan, deed)),
        found => Ok(found.cloned()),
    }
}

fn belongs_to_parent(database: &Database, plan: &Plan, deed: &str) -> ServiceError {
    ServiceError::refused(
        ErrorKind::ApplyRefused,
        format!(
            "the task '{}' of the database '{}' comes from the server-wide task '{}', so only that one can be used to {deed} it; change that one, or exclude the database there",
            plan.shown_name(),
            database.name,
            plan.name()
        ),
    )
}

pub(crate) fn unknown(database: &Database, id: u64) -> ServiceError {
    ServiceError::refused(
        ErrorKind::UnknownTask,
        format!(
            "the database '{}' has no backup task with the number {id}; list its tasks to see their numbers",
            database.name
        ),
    )
}

/// Deletes a task of one database, and what is remembered of it; backups stay.
pub(crate) async fn delete(core: &Arc<Core>, database: &str, id: u64) -> Result<Stored, ServiceError> {
    let _writer = core.writer.lock().await;
    let database = Arc::clone(core.catalog().database(database)?);
    let Some(plan) = own(core, &database, id, "delete")? else { return Err(unknown(&database, id)) };
    let key = TaskKey { database: database.name.clone(), task: plan.uid };
    let mut writes = stored::removal(plan.uid);
    writes.extend(forgotten(&key));
    let revision = core.store(writes).await?;
    {
        let mut catalog = core.catalog_mut();
        catalog.remove(plan.uid);
        catalog.statuses.remove(&key);
        catalog.exceptions.remove(&key);
    }
    core.reschedule(std::iter::once(&key));
    Ok(Stored { name: plan.name().to_owned(), revision, task_id: id })
}

//! The tasks that one database has: found, shown, switched for it alone.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::derivation::{derive, same_name};
use crate::error::{ErrorKind, ServiceError};
use crate::identity::TaskKey;
use crate::plan::{Plan, Written};
use crate::record;
use crate::stored;
use crate::tasks::{Stored, TaskSelector, own};
use crate::validation;
use larder_model::{Database, PeriodicBackupConfiguration};
use std::sync::Arc;

/// Finds a task of a database.
pub(crate) fn find<'a>(
    catalog: &'a Catalog,
    database: &'a Database,
    which: TaskSelector<'_>,
) -> Option<&'a Arc<Plan>> {
    let mut all = catalog.plans_of(database);
    match which {
        TaskSelector::Id(id) => all.find(|plan| catalog.task_id(&database.name, plan) == id),
        TaskSelector::Name(name) => {
            let all: Vec<&Arc<Plan>> = all.collect();
            let exact = all.iter().find(|plan| plan.shown_name() == name);
            exact.or_else(|| all.iter().find(|plan| same_name(&plan.shown_name(), name))).copied()
        }
    }
}

/// Returns a task as a database sees it.
pub(crate) fn seen(catalog: &Catalog, database: &Database, plan: &Plan) -> PeriodicBackupConfiguration {
    let mut task = match &plan.written {
        Written::ServerWide(task) => derive(task, &database.name),
        Written::Own(_, task) => task.clone(),
    };
    task.task_id = catalog.task_id(&database.name, plan);
    task.disabled = catalog.rests(&database.name, plan);
    task
}

/// Lets a task rest for one database, or wakes it.
pub(crate) async fn toggle(
    core: &Arc<Core>,
    database: &str,
    which: TaskSelector<'_>,
    disable: bool,
) -> Result<Stored, ServiceError> {
    let _writer = core.writer.lock().await;
    let database = Arc::clone(core.catalog().database(database)?);
    let found = find(&core.catalog(), &database, which).cloned();
    let Some(plan) = found else {
        return Err(match which {
            TaskSelector::Id(id) => own::unknown(&database, id),
            TaskSelector::Name(name) => ServiceError::refused(
                ErrorKind::UnknownTask,
                format!(
                    "the database '{}' has no backup task '{name}'; list its tasks to see their names",
                    database.name
                ),
            ),
        });
    };
    let key = TaskKey { database: database.name.clone(), task: plan.uid };
    let task_id = core.catalog().task_id(&database.name, &plan);
    let revision = match &plan.written {
        Written::ServerWide(_) => toggle_here(core, &plan, &key, disable).await?,
        Written::Own(..) => toggle_own(core, &plan, disable).await?,
    };
    core.reschedule(std::iter::once(&key));
    Ok(Stored { name: plan.shown_name(), revision, task_id })
}

async fn toggle_here(
    core: &Arc<Core>,
    plan: &Plan,
    key: &TaskKey,
    disable: bool,
) -> Result<u64, ServiceError> {
    if !disable && plan.periodic().disabled {
        return Err(ServiceError::refused(
            ErrorKind::ApplyRefused,
            format!(
                "the server-wide task '{}' rests, so it cannot be woken for '{}' alone; enable that one",
                plan.name(),
                key.database
            ),
        ));
    }
    let mut exception = core.catalog().exceptions.get(key).copied().unwrap_or_default();
    if exception.disabled_here != disable {
        exception.disabled_here = disable;
        exception.since = Some(core.now());
    }
    let revision = core.store(vec![record::put(record::exception(key), &exception)?]).await?;
    core.catalog_mut().exceptions.insert(key.clone(), exception);
    Ok(revision)
}

async fn toggle_own(core: &Arc<Core>, plan: &Plan, disable: bool) -> Result<u64, ServiceError> {
    let mut plan = plan.clone();
    let task = plan.written.periodic_mut();
    if task.disabled != disable {
        task.disabled = disable;
        plan.scheduled = core.now();
    }
    if !disable {
        let mut task = plan.periodic().clone();
        validation::check_own(core, &mut task).await?;
    }
    let revision = core.store(stored::writes(&plan, &core.sealer)?).await?;
    core.catalog_mut().enter(Arc::new(plan));
    Ok(revision)
}

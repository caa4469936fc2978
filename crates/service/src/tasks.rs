//! Changing server-wide tasks.

use crate::agenda::TaskKey;
use crate::catalog::Template;
use crate::core::Core;
use crate::derivation::same_name;
use crate::error::ServiceError;
use crate::record::{self, StoredTask};
use crate::validation;
use larder_model::ServerWideBackupConfiguration;
use larder_state::Write;
use std::sync::Arc;

/// Stores a task, new or changed.
pub(crate) async fn put(
    core: &Arc<Core>,
    mut task: ServerWideBackupConfiguration,
) -> Result<ServerWideBackupConfiguration, ServiceError> {
    let schedule = validation::check(&task, &core.settings.time_zone)?;
    let _writer = core.writer.lock().await;
    let now = core.now();
    let name = task.periodic.name.clone();
    let old = core.catalog().templates.values().find(|template| same_name(&template.name, &name)).cloned();
    check_identity(&task, old.as_deref())?;
    // As in RavenDB, a task's number is the revision that last wrote it; the writer's lock makes it foreseeable.
    task.periodic.task_id = core.state.revision().await? + 1;
    let (created, scheduled) = match &old {
        Some(old) if same_moments(old.task(), &task) => (old.stored.created, old.stored.scheduled),
        Some(old) => (old.stored.created, now),
        None => (now, now),
    };
    let stored = StoredTask { task: task.clone(), created, scheduled };
    core.store(vec![record::put(record::task(&name), &stored)?]).await?;
    let template = Arc::new(Template::new(stored, schedule));
    let shared = Arc::clone(&template.name);
    core.catalog_mut().templates.insert(name, template);
    core.reschedule_task(&shared);
    Ok(task)
}

/// Refuses a change that was made from an old copy, and a name that differs from another only by case.
fn check_identity(task: &ServerWideBackupConfiguration, old: Option<&Template>) -> Result<(), ServiceError> {
    let name = &task.periodic.name;
    match old {
        None if task.periodic.task_id != 0 => Err(ServiceError::not_found(
            "task",
            name.as_str(),
            "it may have been deleted or renamed; send TaskId 0 to make it anew",
        )),
        Some(old) if old.name.as_ref() != name.as_str() => Err(ServiceError::conflict(format!(
            "there is a task '{}' already, and names that differ only by upper and lower case would be confused; use that name",
            old.name
        ))),
        Some(old) if task.periodic.task_id != 0 && task.periodic.task_id != old.task().periodic.task_id => {
            Err(ServiceError::conflict(format!(
                "the task '{name}' was changed in the meantime (it is now {}, not {}); look at it again and repeat the change",
                old.task().periodic.task_id,
                task.periodic.task_id
            )))
        }
        _ => Ok(()),
    }
}

/// Says whether two versions of a task run at the same moments for the same databases.
fn same_moments(a: &ServerWideBackupConfiguration, b: &ServerWideBackupConfiguration) -> bool {
    let (x, y) = (&a.periodic, &b.periodic);
    x.full_backup_frequency == y.full_backup_frequency
        && x.incremental_backup_frequency == y.incremental_backup_frequency
        && x.time_zone == y.time_zone
        && x.disabled == y.disabled
        && a.excluded_databases == b.excluded_databases
        && a.selector == b.selector
}

/// Lets a task rest, or wakes it.
pub(crate) async fn set_disabled(
    core: &Arc<Core>,
    name: &str,
    disabled: bool,
) -> Result<ServerWideBackupConfiguration, ServiceError> {
    let mut task = core.catalog().template(name)?.task().clone();
    if task.periodic.disabled == disabled {
        return Ok(task);
    }
    task.periodic.disabled = disabled;
    put(core, task).await
}

/// Deletes a task, and what is remembered of it for each database.
pub(crate) async fn delete(core: &Arc<Core>, name: &str) -> Result<(), ServiceError> {
    let _writer = core.writer.lock().await;
    let (name, keys) = {
        let catalog = core.catalog();
        let name = Arc::clone(&catalog.template(name)?.name);
        let keys: Vec<TaskKey> = catalog.statuses.keys().filter(|key| key.task == name).cloned().collect();
        (name, keys)
    };
    let mut writes = vec![Write::Delete(record::task(&name))];
    writes.extend(keys.iter().map(|key| Write::Delete(record::status(key))));
    core.store(writes).await?;
    {
        let mut catalog = core.catalog_mut();
        catalog.templates.remove(&*name);
        for key in &keys {
            catalog.statuses.remove(key);
        }
    }
    core.reschedule_task(&name);
    Ok(())
}

//! Server-wide tasks: put, renamed, switched, deleted.

use crate::core::Core;
use crate::derivation::same_name;
use crate::error::{ErrorKind, ServiceError};
use crate::identity::{TaskKey, TaskUid};
use crate::plan::{Plan, Written};
use crate::record::{self, Exception};
use crate::stored;
use crate::tasks::draft::{Meant, meant, merged};
use crate::tasks::{Stored, naming, same_moments, same_reach};
use crate::validation;
use jiff::Timestamp;
use larder_model::ServerWideBackupConfiguration;
use larder_model::task::unknown_key;
use larder_state::Write;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Stores a task as RavenDB does: `TaskId` 0 makes a new one, another number changes or renames that one.
pub(crate) async fn put(core: &Arc<Core>, update: &Map<String, Value>) -> Result<Stored, ServiceError> {
    let meant = meant(update)?;
    let _writer = core.writer.lock().await;
    let old = changed(core, &meant);
    let mut task = draft(core, old.as_deref(), update)?;
    let schedule = validation::check_server_wide(core, &mut task).await?;
    check_identity(core, &meant, old.as_deref())?;
    store(core, old, task, schedule).await
}

/// Stores a task by its name, new or changed; `TaskId` may be left out, and where it is given it must be the stored one.
pub(crate) async fn put_by_name(
    core: &Arc<Core>,
    update: &Map<String, Value>,
) -> Result<Stored, ServiceError> {
    if let Some(key) = unknown_key::<ServerWideBackupConfiguration>(update) {
        return Err(unknown(&key));
    }
    let meant = meant(update)?;
    let _writer = core.writer.lock().await;
    let old = {
        let catalog = core.catalog();
        let same = |plan: &&Arc<Plan>| same_name(plan.name(), &meant.name);
        catalog.template_exactly(&meant.name).or_else(|| catalog.server_wide().find(same)).cloned()
    };
    check_version(&meant, old.as_deref())?;
    let mut task = draft(core, old.as_deref(), update)?;
    let schedule = validation::check_server_wide(core, &mut task).await?;
    store(core, old, task, schedule).await
}

pub(crate) fn unknown(key: &str) -> ServiceError {
    ServiceError::invalid(
        "Task",
        format!("there is no setting '{key}'; check how it is spelt, capitals included"),
    )
}

/// Finds the task that a request is about to change.
fn changed(core: &Core, meant: &Meant) -> Option<Arc<Plan>> {
    if meant.task_id == 0 {
        return None;
    }
    let catalog = core.catalog();
    let by_id = catalog.server_wide().find(|plan| plan.periodic().task_id == meant.task_id);
    // A number that this task had before: whoever sends its name too means it.
    let earlier = || {
        catalog
            .template_exactly(&meant.name)
            .filter(|plan| (plan.uid..=plan.periodic().task_id).contains(&meant.task_id))
    };
    by_id.or_else(earlier).cloned()
}

/// Makes the task that is to be stored.
fn draft(
    core: &Core,
    old: Option<&Plan>,
    update: &Map<String, Value>,
) -> Result<ServerWideBackupConfiguration, ServiceError> {
    let stored = old.and_then(Plan::server_wide);
    let mut task: ServerWideBackupConfiguration = merged(stored, update)?;
    task.periodic.backup.unmask(stored.map(|stored| &stored.periodic.backup));
    task.periodic.name = task.periodic.name.trim().to_owned();
    if task.periodic.name.is_empty() {
        let catalog = core.catalog();
        let taken = |name: &str| catalog.server_wide().any(|plan| same_name(plan.name(), name));
        task.periodic.name = naming::free(task.periodic.backup.default_name(), taken);
    }
    Ok(task)
}

/// RavenDB's rules on who may have which name.
fn check_identity(core: &Core, meant: &Meant, old: Option<&Plan>) -> Result<(), ServiceError> {
    let catalog = core.catalog();
    let holder = catalog.template_exactly(&meant.name).filter(|_| !meant.name.is_empty());
    match (old, holder) {
        (None, _) if meant.task_id != 0 => Err(ServiceError::refused(
            ErrorKind::UnknownTask,
            format!(
                "there is no server-wide task with the name '{}' or the number {}; look at the list, or set TaskId to 0 to make a new one",
                meant.name, meant.task_id
            ),
        )),
        (_, Some(holder)) if old.is_none_or(|old| old.uid != holder.uid) => Err(ServiceError::refused(
            ErrorKind::ApplyRefused,
            format!(
                "there is a server-wide task '{}' already; choose another name, or send its TaskId {} to change it",
                meant.name,
                holder.periodic().task_id
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses a change that was made from an old copy, and a name that differs from another only by case.
fn check_version(meant: &Meant, old: Option<&Plan>) -> Result<(), ServiceError> {
    let name = &meant.name;
    match old {
        None if meant.task_id != 0 => Err(ServiceError::not_found(
            "task",
            name.as_str(),
            "it may have been deleted or renamed; send TaskId 0 to make it anew",
        )),
        Some(old) if old.name() != name => Err(ServiceError::conflict(format!(
            "there is a task '{}' already, and names that differ only by upper and lower case would be confused; use that name",
            old.name()
        ))),
        Some(old) if meant.task_id != 0 && meant.task_id != old.periodic().task_id => {
            Err(ServiceError::conflict(format!(
                "the task '{name}' was changed in the meantime (it is now {}, not {}); look at it again and repeat the change",
                old.periodic().task_id,
                meant.task_id
            )))
        }
        _ => Ok(()),
    }
}

async fn store(
    core: &Arc<Core>,
    old: Option<Arc<Plan>>,
    mut task: ServerWideBackupConfiguration,
    schedule: larder_schedule::Schedule,
) -> Result<Stored, ServiceError> {
    let now = core.now();
    // As in RavenDB, a task's number is the revision that last wrote it; the writer's lock makes it foreseeable.
    let revision = core.state.revision().await? + 1;
    let (uid, created) = old.as_ref().map_or((revision, now), |old| (old.uid, old.created));
    let scheduled = match &old {
        Some(old) if same_moments(old.periodic(), &task.periodic) => old.scheduled,
        _ => now,
    };
    task.periodic.task_id = revision;
    task.periodic.created_at = Some(created);
    let name = task.periodic.name.clone();
    let plan = Plan { uid, written: Written::ServerWide(task), created, scheduled, put: revision, schedule };
    let reach = Reach::of(core, old.as_deref(), &plan, now);
    let mut writes = stored::writes(&plan, &core.sealer)?;
    writes.extend(reach.writes()?);
    let stored = core.store(writes).await?;
    {
        let mut catalog = core.catalog_mut();
        catalog.enter(Arc::new(plan));
        reach.enter(&mut catalog);
    }
    core.reschedule_task(uid);
    Ok(Stored { name, revision: stored, task_id: revision })
}

/// What a change does to databases that come under a task, or leave it.
#[derive(Debug, Default)]
struct Reach {
    /// They have it from now on, under its new number.
    gained: Vec<(TaskKey, Exception)>,
    /// They have it no more: what was remembered goes, their backups stay.
    lost: Vec<TaskKey>,
}

impl Reach {
    fn of(core: &Core, old: Option<&Plan>, new: &Plan, now: Timestamp) -> Self {
        let mut reach = Self::default();
        // Those that are there when it is made know it by its first number, and need no note of that.
        let Some(old) = old else { return reach };
        if let (Some(a), Some(b)) = (old.server_wide(), new.server_wide())
            && same_reach(a, b)
        {
            return reach;
        }
        let catalog = core.catalog();
        for database in catalog.databases.values() {
            let key = || TaskKey { database: database.name.clone(), task: new.uid };
            match (old.covers(database), new.covers(database)) {
                (false, true) => {
                    let task_id = Some(new.periodic().task_id);
                    reach.gained.push((key(), Exception { task_id, since: Some(now), disabled_here: false }));
                }
                (true, false) => reach.lost.push(key()),
                _ => {}
            }
        }
        reach
    }

    fn writes(&self) -> Result<Vec<Write>, ServiceError> {
        let mut writes = Vec::new();
        for (key, exception) in &self.gained {
            writes.push(record::put(record::exception(key), exception)?);
        }
        writes.extend(self.lost.iter().flat_map(forgotten));
        Ok(writes)
    }

    fn enter(self, catalog: &mut crate::catalog::Catalog) {
        catalog.exceptions.extend(self.gained);
        for key in &self.lost {
            catalog.exceptions.remove(key);
            catalog.statuses.remove(key);
        }
    }
}

/// Makes the writes that forget a task of a database.
pub(crate) fn forgotten(key: &TaskKey) -> [Write; 3] {
    let keys = [record::status(key), record::exception(key), record::decisions(key)];
    keys.map(Write::Delete)
}

/// Lets a task rest everywhere, or wakes it. Its number stays, as RavenDB has it.
pub(crate) async fn toggle(core: &Arc<Core>, uid: TaskUid, disable: bool) -> Result<Stored, ServiceError> {
    let _writer = core.writer.lock().await;
    let Some(old) = core.catalog().plan(uid).cloned() else { return Err(gone()) };
    let mut plan = old.as_ref().clone();
    let periodic = plan.written.periodic_mut();
    let (name, task_id) = (periodic.name.clone(), periodic.task_id);
    if periodic.disabled != disable {
        periodic.disabled = disable;
        // While it rested nothing was missed.
        plan.scheduled = core.now();
    }
    if !disable && let Some(mut task) = plan.server_wide().cloned() {
        // It may rest because it made no sense.
        validation::check_server_wide(core, &mut task).await?;
    }
    plan.put = core.state.revision().await? + 1;
    let revision = core.store(stored::writes(&plan, &core.sealer)?).await?;
    core.catalog_mut().enter(Arc::new(plan));
    core.reschedule_task(uid);
    Ok(Stored { name, revision, task_id })
}

/// Deletes a task, and what is remembered of it for each database; backups stay.
pub(crate) async fn delete(core: &Arc<Core>, uid: TaskUid) -> Result<Stored, ServiceError> {
    let _writer = core.writer.lock().await;
    let (name, plan, keys) = {
        let catalog = core.catalog();
        let Some(plan) = catalog.plan(uid) else { return Err(gone()) };
        let of_it = |key: &&TaskKey| key.task == uid;
        let mut keys: Vec<TaskKey> =
            catalog.statuses.keys().chain(catalog.exceptions.keys()).filter(of_it).cloned().collect();
        keys.sort();
        keys.dedup();
        (plan.name().to_owned(), Arc::clone(plan), keys)
    };
    let mut writes = stored::removal(uid);
    writes.extend(keys.iter().flat_map(forgotten));
    let revision = core.store(writes).await?;
    {
        let mut catalog = core.catalog_mut();
        catalog.remove(uid);
        for key in &keys {
            catalog.statuses.remove(key);
            catalog.exceptions.remove(key);
        }
    }
    core.reschedule_task(uid);
    Ok(Stored { name, revision, task_id: plan.periodic().task_id })
}

fn gone() -> ServiceError {
    ServiceError::refused(
        ErrorKind::UnknownTask,
        "the task was deleted at the same moment; look at the list again",
    )
}

/// Finds a server-wide task by its exact name, for callers that speak RavenDB's words.
pub(crate) fn named_exactly(core: &Core, name: &str, kind: ErrorKind) -> Result<TaskUid, ServiceError> {
    let catalog = core.catalog();
    if let Some(plan) = catalog.template_exactly(name) {
        return Ok(plan.uid);
    }
    let similar = catalog.server_wide().find(|plan| same_name(plan.name(), name));
    let hint = match similar {
        Some(plan) => format!("there is one called '{}', and capitals count here", plan.name()),
        None => "list the tasks to see their names".to_owned(),
    };
    Err(ServiceError::refused(kind, format!("there is no server-wide task '{name}'; {hint}")))
}

//! Adding and removing sources and databases.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::discovery;
use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use crate::reconcile::is_among;
use crate::record;
use crate::stored;
use crate::tasks::server_wide::forgotten;
use larder_model::{Database, DatabaseName, Source};
use larder_state::Write;
use std::path::Path;
use std::sync::Arc;

/// Adds a source, once a search has shown that it can be read; returns the databases found.
pub(crate) async fn add(core: &Arc<Core>, source: Source) -> Result<Vec<DatabaseName>, ServiceError> {
    check_path(&source).await?;
    check_name(core, &source.name)?;
    let found = discovery::search(core, &source).await?;
    {
        let _writer = core.writer.lock().await;
        check_name(core, &source.name)?;
        core.store(vec![record::put(record::source(&source.name), &source)?]).await?;
        core.catalog_mut().sources.insert(source.name.clone(), source.clone());
    }
    discovery::enter(core, &source, &found).await?;
    let catalog = core.catalog();
    Ok(catalog.databases.values().filter(|db| db.source == source.name).map(|db| db.name.clone()).collect())
}

async fn check_path(source: &Source) -> Result<(), ServiceError> {
    let path = Path::new(&source.path);
    if !path.is_absolute() {
        let message = format!("'{}' is not an absolute path; give one that begins with /", source.path);
        return Err(ServiceError::invalid("Path", message));
    }
    match tokio::fs::metadata(path).await {
        Ok(_) => Ok(()),
        Err(cause) => {
            let message =
                format!("'{}' cannot be used: {cause}; check the path and its permissions", source.path);
            Err(ServiceError::invalid("Path", message))
        }
    }
}

fn check_name(core: &Core, name: &DatabaseName) -> Result<(), ServiceError> {
    if is_among(name.as_str(), core.catalog().sources.keys()) {
        return Err(ServiceError::conflict(format!(
            "there is a source '{name}' already; choose another name, or remove that one first"
        )));
    }
    Ok(())
}

/// Removes a source. Its databases that have backups stay on the list as missing; the others are struck off.
pub(crate) async fn remove(core: &Arc<Core>, name: &str) -> Result<(), ServiceError> {
    let _writer = core.writer.lock().await;
    let now = core.now();
    let (name, kept, gone) = {
        let catalog = core.catalog();
        let name = catalog.source(name)?.name.clone();
        let its = catalog.databases.values().filter(|database| database.source == name);
        let (kept, gone): (Vec<_>, Vec<_>) =
            its.partition(|database| catalog.places.contains_key(&database.name));
        let kept: Vec<Database> = kept
            .into_iter()
            .map(|database| Database {
                missing_since: database.missing_since.or(Some(now)),
                ..database.as_ref().clone()
            })
            .collect();
        let gone: Vec<DatabaseName> = gone.into_iter().map(|database| database.name.clone()).collect();
        (name, kept, gone)
    };
    let mut writes = vec![Write::Delete(record::source(&name))];
    for database in &kept {
        writes.push(record::put(record::database(&database.name), database)?);
    }
    let mut traces = Traces::default();
    for database in &gone {
        traces.gather(core, database);
    }
    writes.extend(traces.writes());
    core.store(writes).await?;
    let names: Vec<DatabaseName> =
        kept.iter().map(|database| database.name.clone()).chain(gone.clone()).collect();
    {
        let mut catalog = core.catalog_mut();
        catalog.sources.remove(&name);
        catalog.source_errors.remove(&name);
        for database in kept {
            catalog.databases.insert(database.name.clone(), Arc::new(database));
        }
        traces.remove(&mut catalog);
    }
    core.reschedule_databases(names.iter());
    Ok(())
}

/// Strikes a missing database off the list; its backups and the places they lie in stay.
pub(crate) async fn forget(core: &Arc<Core>, name: &str) -> Result<(), ServiceError> {
    let _writer = core.writer.lock().await;
    let name = {
        let catalog = core.catalog();
        let database = catalog.database(name)?;
        if database.missing_since.is_none() {
            return Err(ServiceError::conflict(format!(
                "'{}' is still found in the source '{}', so it would come back at once; exclude it in a task, or remove the source",
                database.name, database.source
            )));
        }
        database.name.clone()
    };
    let mut traces = Traces::default();
    traces.gather(core, &name);
    core.store(traces.writes()).await?;
    traces.remove(&mut core.catalog_mut());
    core.reschedule_databases(std::iter::once(&name));
    Ok(())
}

/// What is remembered of databases that are struck off: themselves, their own tasks, and what their tasks did.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    databases: Vec<DatabaseName>,
    tasks: Vec<TaskUid>,
    keys: Vec<TaskKey>,
}

impl Traces {
    /// Adds those of one database.
    pub(crate) fn gather(&mut self, core: &Core, database: &DatabaseName) {
        let catalog = core.catalog();
        self.databases.push(database.clone());
        self.tasks.extend(catalog.own_tasks(database).map(|plan| plan.uid));
        // 0 is that of one-time backups.
        let own = catalog.own_tasks(database).chain(catalog.server_wide()).map(|plan| plan.uid).chain([0]);
        let keys = own.map(|task| TaskKey { database: database.clone(), task });
        self.keys.extend(
            keys.filter(|key| catalog.statuses.contains_key(key) || catalog.exceptions.contains_key(key)),
        );
    }

    /// Makes the writes that remove them.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let databases = self.databases.iter().map(|name| Write::Delete(record::database(name)));
        let tasks = self.tasks.iter().flat_map(|uid| stored::removal(*uid));
        databases.chain(tasks).chain(self.keys.iter().flat_map(forgotten)).collect()
    }

    /// Removes them from memory.
    pub(crate) fn remove(&self, catalog: &mut Catalog) {
        for database in &self.databases {
            catalog.databases.remove(database);
        }
        for task in &self.tasks {
            catalog.remove(*task);
        }
        for key in &self.keys {
            catalog.statuses.remove(key);
            catalog.exceptions.remove(key);
        }
    }
}

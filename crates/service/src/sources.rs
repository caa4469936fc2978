//! Adding and removing sources and databases.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::discovery;
use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use crate::reconcile::is_among;
use crate::record;
use crate::stored;
use crate::stored_source;
use crate::tasks::server_wide::forgotten;
use larder_engines::{FoundSource, MissingRight};
use larder_model::{Database, DatabaseName, EngineKind, Source};
use larder_state::Write;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Adds a source, once a search has shown that it can be read; returns the databases found.
pub(crate) async fn add(core: &Arc<Core>, mut source: Source) -> Result<Vec<DatabaseName>, ServiceError> {
    source.hide_password();
    stored_source::unmask(&mut source, None);
    check_path(&source).await?;
    check_name(core, &source.name)?;
    let found = discovery::search(core, &source).await?;
    {
        let _writer = core.writer.lock().await;
        check_name(core, &source.name)?;
        core.store(stored_source::writes(&source, &core.sealer)?).await?;
        core.catalog_mut().sources.insert(source.name.clone(), source.clone());
    }
    discovery::enter(core, &source, &found).await?;
    Ok(databases_of(core, &source))
}

fn databases_of(core: &Core, source: &Source) -> Vec<DatabaseName> {
    let catalog = core.catalog();
    catalog.databases.values().filter(|db| db.source == source.name).map(|db| db.name.clone()).collect()
}

/// Changes a source, once a search has shown that it can be read; returns its databases. Its engine stays, for its
/// backups are of that engine; a password that is only masked stays as well.
pub(crate) async fn change(
    core: &Arc<Core>,
    name: &str,
    mut source: Source,
) -> Result<Vec<DatabaseName>, ServiceError> {
    let before = core.catalog().source(name)?.clone();
    if source.name != before.name || source.engine != before.engine {
        return Err(ServiceError::conflict(format!(
            "the source '{}' keeps its name and its engine {}; add another source instead",
            before.name, before.engine
        )));
    }
    source.hide_password();
    stored_source::unmask(&mut source, Some(&before));
    check_path(&source).await?;
    let found = discovery::search(core, &source).await?;
    {
        let _writer = core.writer.lock().await;
        // Removed in the meantime, perhaps.
        core.catalog().source(name)?;
        core.store(stored_source::writes(&source, &core.sealer)?).await?;
        core.catalog_mut().sources.insert(source.name.clone(), source.clone());
    }
    discovery::enter(core, &source, &found).await?;
    let databases = databases_of(core, &source);
    // What its server keeps may be another's now.
    core.reschedule_databases(databases.iter());
    Ok(databases)
}

/// Asks a source which rights its user lacks.
pub(crate) async fn missing_rights(core: &Arc<Core>, name: &str) -> Result<Vec<MissingRight>, ServiceError> {
    let source = core.catalog().source(name)?.clone();
    let engines = Arc::clone(&core.engines);
    let asked = tokio::task::spawn_blocking(move || engines.get(source.engine).missing_rights(&source));
    Ok(asked.await.map_err(|error| fault(&error))??)
}

/// Looks for sources on this host that are not added yet.
pub(crate) async fn find(core: &Arc<Core>) -> Result<Vec<FoundSource>, ServiceError> {
    let engines = Arc::clone(&core.engines);
    let mut found =
        tokio::task::spawn_blocking(move || engines.find()).await.map_err(|error| fault(&error))?;
    let own = core.own_directories();
    let catalog = core.catalog();
    let known = |found: &Source| {
        // Two servers may differ in nothing but an option: the socket that each has.
        let has =
            |one: &Source| found.options.iter().all(|(name, value)| one.options.get(name) == Some(value));
        let same = |one: &&Source| one.engine == found.engine && one.address == found.address;
        catalog.sources.values().filter(same).any(has)
    };
    let is_own = |address: &str| own.iter().any(|directory| Path::new(address).starts_with(directory));
    found.retain(|one| !known(&one.source) && !is_own(&one.source.address));
    let mut taken: HashSet<String> =
        catalog.sources.keys().map(|name| name.as_str().to_lowercase()).collect();
    for one in &mut found {
        one.source.name = free_name(&one.source.name, &taken);
        taken.insert(one.source.name.as_str().to_lowercase());
    }
    Ok(found)
}

fn free_name(base: &DatabaseName, taken: &HashSet<String>) -> DatabaseName {
    let numbered = (2_u32..).map(|number| DatabaseName::from_lossy(&format!("{base}-{number}")));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names.find(|name| !taken.contains(&name.as_str().to_lowercase())).unwrap_or_else(|| base.clone())
}

fn fault(error: &tokio::task::JoinError) -> ServiceError {
    ServiceError::conflict(format!("it ended by a fault of the program: {error}; please report it"))
}

async fn check_path(source: &Source) -> Result<(), ServiceError> {
    if !matches!(source.engine, EngineKind::Files | EngineKind::Sqlite) {
        return Ok(());
    }
    let path = Path::new(&source.address);
    if !path.is_absolute() {
        let message = format!("'{}' is not an absolute path; give one that begins with /", source.address);
        return Err(ServiceError::invalid("Address", message));
    }
    match tokio::fs::metadata(path).await {
        Ok(_) => Ok(()),
        Err(cause) => {
            let message =
                format!("'{}' cannot be used: {cause}; check the path and its permissions", source.address);
            Err(ServiceError::invalid("Address", message))
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
    let mut writes = stored_source::removal(&name);
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

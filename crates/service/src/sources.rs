//! Adding and removing sources and databases.

use crate::agenda::TaskKey;
use crate::core::Core;
use crate::discovery;
use crate::error::ServiceError;
use crate::reconcile::is_among;
use crate::record;
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
    let mut keys = Vec::new();
    for database in &gone {
        writes.push(Write::Delete(record::database(database)));
        keys.extend(statuses_of(core, database));
    }
    writes.extend(keys.iter().map(|key| Write::Delete(record::status(key))));
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
        for database in &gone {
            catalog.databases.remove(database);
        }
        for key in &keys {
            catalog.statuses.remove(key);
        }
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
    let keys = statuses_of(core, &name);
    let mut writes = vec![Write::Delete(record::database(&name))];
    writes.extend(keys.iter().map(|key| Write::Delete(record::status(key))));
    core.store(writes).await?;
    {
        let mut catalog = core.catalog_mut();
        catalog.databases.remove(&name);
        for key in &keys {
            catalog.statuses.remove(key);
        }
    }
    core.reschedule_databases(std::iter::once(&name));
    Ok(())
}

fn statuses_of(core: &Core, database: &DatabaseName) -> Vec<TaskKey> {
    core.catalog().statuses.keys().filter(|key| key.database == *database).cloned().collect()
}

//! The loop that searches sources for databases.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::embedded::is_embedded;
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::reconcile::{is_among, reconcile};
use crate::record::{self, Exception};
use larder_engines::{EngineError, FoundDatabase};
use larder_model::{Database, DatabaseName, Source};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a search may take before the loop goes on without it; it is asked again at the next interval.
const LONGEST_SEARCH: Duration = Duration::from_secs(300);

/// Searches every source at each interval until the service stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stopping = core.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        if let Err(error) = search_all(&core).await {
            tracing::error!(%error, "could not store what was discovered; it is tried again at the next interval");
        }
        tokio::select! {
            () = tokio::time::sleep(core.settings.discovery_interval) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Searches every source, each on a thread of its own; returns the databases that are new.
pub(crate) async fn search_all(core: &Arc<Core>) -> Result<Vec<DatabaseName>, ServiceError> {
    let sources: Vec<Source> = core.catalog().sources.values().cloned().collect();
    let searches: Vec<_> = sources.into_iter().map(|source| (source.clone(), begin(core, source))).collect();
    let mut new = Vec::new();
    for (source, search) in searches {
        let found = match tokio::time::timeout(LONGEST_SEARCH, search).await {
            Ok(Ok(found)) => found.map_err(|error| error.to_string()),
            Ok(Err(error)) => {
                Err(format!("searching '{}' ended by a fault of the program: {error}", source.address))
            }
            Err(_) => Err(format!(
                "searching '{}' takes longer than {} s; check that it answers",
                source.address,
                LONGEST_SEARCH.as_secs()
            )),
        };
        new.extend(take_in(core, &source, found).await?);
    }
    Ok(new)
}

/// Searches one source now.
pub(crate) async fn search(core: &Arc<Core>, source: &Source) -> Result<Vec<FoundDatabase>, ServiceError> {
    match begin(core, source.clone()).await {
        Ok(found) => Ok(found?),
        Err(error) => Err(ServiceError::conflict(format!(
            "searching '{}' ended by a fault of the program: {error}; please report it",
            source.address
        ))),
    }
}

fn begin(
    core: &Arc<Core>,
    source: Source,
) -> tokio::task::JoinHandle<Result<Vec<FoundDatabase>, EngineError>> {
    let (own, engines) = (core.own_directories(), Arc::clone(&core.engines));
    tokio::task::spawn_blocking(move || engines.get(source.engine).discover(&source, &own))
}

/// Enters what a search found; an error says nothing about which databases there are.
async fn take_in(
    core: &Arc<Core>,
    source: &Source,
    found: Result<Vec<FoundDatabase>, String>,
) -> Result<Vec<DatabaseName>, ServiceError> {
    match found {
        Ok(found) => enter(core, source, &found).await,
        Err(error) => {
            tracing::warn!(source = %source.name, %error, "a source could not be searched");
            let mut catalog = core.catalog_mut();
            if catalog.sources.contains_key(&source.name) {
                catalog.source_errors.insert(source.name.clone(), error);
            }
            Ok(Vec::new())
        }
    }
}

/// Stores what changed, and gives each new database its tasks; returns those that are new.
pub(crate) async fn enter(
    core: &Arc<Core>,
    source: &Source,
    found: &[FoundDatabase],
) -> Result<Vec<DatabaseName>, ServiceError> {
    let _writer = core.writer.lock().await;
    let changed = {
        let mut catalog = core.catalog_mut();
        // Removed while it was searched, or changed: the next search will tell.
        if catalog.sources.get(&source.name) != Some(source) {
            return Ok(Vec::new());
        }
        catalog.source_errors.remove(&source.name);
        let known = catalog.databases.values().map(AsRef::as_ref).filter(|known| known.source == source.name);
        // The backups of a forgotten database still lie under its name.
        let taken = |name: &str| is_among(name, catalog.databases.keys().chain(catalog.places.keys()));
        let mut changed = reconcile(source, known, found, &taken, core.now());
        // One that was made through the API while the search went on is there, whatever the search says.
        changed.retain(|database| {
            let made = database.missing_since.is_some() && is_embedded(core, database);
            !(made && Path::new(&database.locator).exists())
        });
        changed
    };
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let later = latecomers(&core.catalog(), &changed);
    let mut writes = Vec::with_capacity(changed.len() + later.len());
    for database in &changed {
        writes.push(record::put(record::database(&database.name), database)?);
    }
    for (key, exception) in &later {
        writes.push(record::put(record::exception(key), exception)?);
    }
    core.store(writes).await?;
    let names: Vec<DatabaseName> = changed.iter().map(|database| database.name.clone()).collect();
    let mut new = Vec::new();
    {
        let mut catalog = core.catalog_mut();
        for database in changed {
            tell(&database);
            if catalog.databases.insert(database.name.clone(), Arc::new(database.clone())).is_none() {
                new.push(database.name);
            }
        }
        catalog.exceptions.extend(later);
    }
    core.reschedule_databases(names.iter());
    Ok(new)
}

/// Finds the new databases that know a server-wide task by another number than its first, because it was changed since
/// it was made: they get the number it has now, as RavenDB's do.
pub(crate) fn latecomers(catalog: &Catalog, changed: &[Database]) -> Vec<(TaskKey, Exception)> {
    let new = changed.iter().filter(|database| !catalog.databases.contains_key(&database.name));
    new.flat_map(|database| {
        let changed = catalog.server_wide().filter(|plan| plan.periodic().task_id != plan.uid);
        changed.filter(|plan| plan.covers(database)).map(|plan| {
            let key = TaskKey { database: database.name.clone(), task: plan.uid };
            (key, Exception { task_id: Some(plan.periodic().task_id), ..Exception::default() })
        })
    })
    .collect()
}

fn tell(database: &Database) {
    match database.missing_since {
        Some(_) => {
            tracing::warn!(database = %database.name, "a database is gone from its source; its backups stay")
        }
        None => {
            tracing::info!(database = %database.name, locator = %database.locator, "a database was discovered")
        }
    }
}

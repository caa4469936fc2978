//! Databases that are made through the API: SQLite files in Larder's own directory, a source like any other.

use crate::core::Core;
use crate::derivation::same_name;
use crate::discovery::latecomers;
use crate::error::{ErrorKind, ServiceError};
use crate::record;
use crate::sources::Traces;
use crate::staging::Staging;
use crate::stored_source;
use larder_model::{Database, DatabaseName, EngineKind, Source};
use larder_state::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the source is called, unless another is called so.
const NAME: &str = "databases";

/// What SQLite leaves beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What became of databases that were to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The revision of the state without them; `None` where nothing was deleted.
    pub revision: Option<u64>,
    /// Those that are gone.
    pub deleted: Vec<DatabaseName>,
    /// Names that no database has.
    pub unknown: Vec<String>,
}

/// Reads a name for a new database.
pub(crate) fn new_name(core: &Core, name: &str) -> Result<DatabaseName, ServiceError> {
    let parsed: DatabaseName = name.parse().map_err(|error: larder_model::InvalidName| {
        ServiceError::refused(ErrorKind::BadName, error.to_string())
    })?;
    check_free(core, &parsed)?;
    Ok(parsed)
}

/// Refuses the name of a database that is there.
pub(crate) fn check_free(core: &Core, name: &DatabaseName) -> Result<(), ServiceError> {
    let catalog = core.catalog();
    match catalog.databases.keys().find(|other| same_name(other.as_str(), name.as_str())) {
        None => Ok(()),
        Some(other) => Err(ServiceError::refused(
            ErrorKind::DatabaseExists,
            format!("there is a database '{other}' already, and it was left as it is; choose another name"),
        )),
    }
}

/// Makes an empty database and enters it, with its tasks; returns the state's revision.
pub(crate) async fn create(core: &Arc<Core>, name: &str) -> Result<u64, ServiceError> {
    let _writer = core.writer.lock().await;
    let name = new_name(core, name)?;
    let source = ensure_source(core).await?;
    let database = record_of(core, &source, &name);
    let (target, staging) = (PathBuf::from(&database.locator), core.settings.staging_directory.clone());
    let made = tokio::task::spawn_blocking(move || {
        // Operations have numbers from 1; making databases takes turns under the writer's lock.
        let staging = Staging::create(&staging, 0)?;
        larder_engines::create_sqlite(&target, staging.path()).map_err(ServiceError::from)
    });
    made.await.map_err(|error| fault(&error))??;
    let revision = core.store(entering(core, &database)?).await?;
    entered(core, database);
    core.reschedule_databases(std::iter::once(&name));
    Ok(revision)
}

fn fault(error: &tokio::task::JoinError) -> ServiceError {
    ServiceError::conflict(format!("it ended by a fault of the program: {error}; please report it"))
}

/// Returns the record of a new database of the embedded source.
pub(crate) fn record_of(core: &Core, source: &Source, name: &DatabaseName) -> Database {
    Database {
        name: name.clone(),
        source: source.name.clone(),
        engine: EngineKind::Sqlite,
        locator: Path::new(&source.address).join(name.as_str()).display().to_string(),
        discovered: core.now(),
        missing_since: None,
    }
}

/// Makes the writes that enter a database, with the numbers by which it knows its tasks.
pub(crate) fn entering(core: &Core, database: &Database) -> Result<Vec<Write>, ServiceError> {
    let mut writes = vec![record::put(record::database(&database.name), database)?];
    for (key, exception) in latecomers(&core.catalog(), std::slice::from_ref(database)) {
        writes.push(record::put(record::exception(&key), &exception)?);
    }
    Ok(writes)
}

/// Enters a database into memory.
pub(crate) fn entered(core: &Core, database: Database) {
    let mut catalog = core.catalog_mut();
    let later = latecomers(&catalog, std::slice::from_ref(&database));
    catalog.exceptions.extend(later);
    catalog.databases.insert(database.name.clone(), Arc::new(database));
}

/// Finds the embedded source, and makes it when it is first needed. The writer's lock is held.
pub(crate) async fn ensure_source(core: &Arc<Core>) -> Result<Source, ServiceError> {
    let directory = core.settings.databases_directory();
    let path = directory.display().to_string();
    tokio::fs::create_dir_all(&directory).await.map_err(|cause| ServiceError::Directory {
        action: "create",
        path: path.clone(),
        cause: cause.to_string(),
    })?;
    let name = {
        let catalog = core.catalog();
        if let Some(known) = catalog.sources.values().find(|source| source.address == path) {
            return Ok(known.clone());
        }
        let taken = |name: &str| catalog.sources.keys().any(|other| same_name(other.as_str(), name));
        let numbered = (2_u64..).map(|number| format!("{NAME}-{number}"));
        let free = std::iter::once(NAME.to_owned()).chain(numbered).find(|name| !taken(name));
        DatabaseName::from_lossy(&free.unwrap_or_else(|| NAME.to_owned()))
    };
    // Larder's own directory is left out by default, and this lies in it.
    let source = Source { default_excludes: false, ..Source::new(name, EngineKind::Sqlite, path) };
    core.store(stored_source::writes(&source, &core.sealer)?).await?;
    core.catalog_mut().sources.insert(source.name.clone(), source.clone());
    Ok(source)
}

/// Says whether a database was made through the API.
pub(crate) fn is_embedded(core: &Core, database: &Database) -> bool {
    Path::new(&database.locator).parent() == Some(&*core.settings.databases_directory())
}

/// Deletes databases that were made through the API; their backups stay. Without `hard_delete` the file is only put
/// aside. Nothing is deleted where one of them belongs to another source.
pub(crate) async fn delete(
    core: &Arc<Core>,
    names: &[String],
    hard_delete: bool,
) -> Result<Deleted, ServiceError> {
    let mut deleted = Deleted::default();
    let mut databases: Vec<Arc<Database>> = Vec::new();
    for name in names {
        let found = core.catalog().database(name).ok().cloned();
        match found {
            Some(database) if !is_embedded(core, &database) => {
                return Err(ServiceError::refused(
                    ErrorKind::InvalidOperation,
                    format!(
                        "the database '{}' belongs to the source '{}', and only databases made through the API are deleted by it; delete it there, then forget it here",
                        database.name, database.source
                    ),
                ));
            }
            Some(database) if databases.iter().all(|known| known.name != database.name) => {
                databases.push(database)
            }
            Some(_) => {}
            None => deleted.unknown.push(name.clone()),
        }
    }
    if databases.is_empty() {
        return Ok(deleted);
    }
    for operation in core.operations.unfinished() {
        if databases.iter().any(|database| database.name == operation.database) {
            // One that has ended in the meantime needs no abort.
            let _ = core.abort(operation.id).await;
            core.operations.wait(operation.id).await?;
        }
    }
    let _writer = core.writer.lock().await;
    let mut traces = Traces::default();
    for database in &databases {
        traces.gather(core, &database.name);
    }
    let revision = core.store(traces.writes()).await?;
    traces.remove(&mut core.catalog_mut());
    let aside = core.settings.data_directory.join("deleted-databases");
    let paths: Vec<PathBuf> = databases.iter().map(|database| PathBuf::from(&database.locator)).collect();
    let moved = tokio::task::spawn_blocking(move || {
        paths
            .iter()
            .try_for_each(|path| if hard_delete { remove(path) } else { put_aside(path, &aside, revision) })
    });
    let failed = |cause: String| ServiceError::Directory {
        action: "remove databases from",
        path: core.settings.databases_directory().display().to_string(),
        cause,
    };
    moved.await.map_err(|error| fault(&error))?.map_err(|error| failed(error.to_string()))?;
    let names: Vec<DatabaseName> = databases.iter().map(|database| database.name.clone()).collect();
    core.reschedule_databases(names.iter());
    deleted.revision = Some(revision);
    deleted.deleted = names;
    Ok(deleted)
}

fn with_companions(path: &Path) -> impl Iterator<Item = PathBuf> {
    let companions = BESIDE.iter().map(|suffix| PathBuf::from(format!("{}{suffix}", path.display())));
    std::iter::once(path.to_owned()).chain(companions)
}

fn remove(path: &Path) -> std::io::Result<()> {
    with_companions(path).try_for_each(|path| missing_is_fine(std::fs::remove_file(path)))
}

fn put_aside(path: &Path, aside: &Path, revision: u64) -> std::io::Result<()> {
    std::fs::create_dir_all(aside)?;
    with_companions(path).try_for_each(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        missing_is_fine(std::fs::rename(&path, aside.join(format!("{revision}-{name}"))))
    })
}

fn missing_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

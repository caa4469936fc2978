//! What a quickstart backs up, and how: sources from paths, and the task `Nightly`.

use crate::command::source::{name_of, text_of};
use crate::exit::Failure;
use crate::host::Host;
use crate::show::screen::Screen;
use larder_model::{DatabaseName, EngineKind, Source, human};
use larder_service::{DatabaseView, ServiceError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The task that a quickstart makes.
pub(crate) const TASK: &str = "Nightly";

/// How many databases are named in the line that says what was found.
const NAMED: usize = 5;

/// What is to be backed up, and what could not be looked at.
pub(crate) struct Plan {
    pub(crate) databases: Vec<DatabaseView>,
    /// Places where databases may be that are not among these, with the reason.
    pub(crate) unsearched: Vec<String>,
}

/// Registers the paths and the task, and finds the databases that are to be backed up.
pub(crate) async fn prepare(host: &Host, paths: Vec<PathBuf>, screen: &Screen) -> Result<Plan, Failure> {
    let mut unsearched = Vec::new();
    for path in paths {
        unsearched.extend(register(host, &path).await?);
    }
    host.service.discover().await?;
    unsearched.extend(host.service.overview().source_errors.into_iter().map(|(_, error)| error));
    make_task(host).await?;
    let databases: Vec<DatabaseView> =
        host.service.databases().into_iter().filter(|view| !view.tasks.is_empty()).collect();
    if databases.is_empty() {
        return Err(Failure::new("there is nothing to back up; name a directory, or a SQLite file"));
    }
    screen.line(&found(&databases));
    Ok(Plan { databases, unsearched })
}

/// Registers a path with each engine that can look for something there, unless it is registered already.
///
/// A tree that can be read only in part is backed up in part; that it could not be searched for databases is returned.
async fn register(host: &Host, path: &Path) -> Result<Option<String>, Failure> {
    let text = text_of(path)?;
    let engines: &[EngineKind] =
        if path.is_dir() { &[EngineKind::Files, EngineKind::Sqlite] } else { &[EngineKind::Sqlite] };
    for engine in engines {
        let sources = host.service.sources();
        if sources.iter().any(|source| source.engine == *engine && source.address == text) {
            continue;
        }
        let taken: BTreeSet<String> =
            sources.iter().map(|source| source.name.as_str().to_lowercase()).collect();
        let name = free_name(&name_of(path), *engine, &taken);
        let source = Source::new(name.clone(), *engine, text.clone());
        let found = match host.service.add_source(source).await {
            Err(ServiceError::Engine(error)) if path.is_dir() && *engine == EngineKind::Sqlite => {
                return Ok(Some(error.to_string()));
            }
            found => found?,
        };
        // A directory without databases stays a source of them: one that is made there tomorrow is found.
        if *engine == EngineKind::Sqlite && found.is_empty() && !path.is_dir() {
            host.service.remove_source(name.as_str()).await?;
            return Err(Failure::new(format!(
                "'{text}' is neither a directory nor a SQLite database; name the directory it lies in"
            )));
        }
    }
    Ok(None)
}

/// Makes a name for a source that no other has, without regard to upper and lower case.
fn free_name(base: &DatabaseName, engine: EngineKind, taken: &BTreeSet<String>) -> DatabaseName {
    let base = match engine {
        EngineKind::Files => base.to_string(),
        _ => format!("{base}-{engine}"),
    };
    let candidates = std::iter::once(base.clone()).chain((2_u32..).map(|number| format!("{base}-{number}")));
    let free = candidates.into_iter().find(|name| !taken.contains(&name.to_lowercase()));
    DatabaseName::from_lossy(&free.unwrap_or(base))
}

/// Makes the task where there is none; one that somebody changed since is left as it is.
async fn make_task(host: &Host) -> Result<(), Failure> {
    match host.service.task(TASK) {
        Ok(_) => return Ok(()),
        Err(ServiceError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = text_of(&host.data.make_backups()?)?;
    let task = serde_json::json!({
        "Name": TASK,
        "FullBackupFrequency": "0 2 * * *",
        "IncrementalBackupFrequency": "*/20 * * * *",
        "RetentionPolicy": { "MinimumBackupAgeToKeep": "7.00:00:00" },
        "LocalSettings": { "FolderPath": folder },
    });
    if let serde_json::Value::Object(task) = &task {
        host.service.put_task(task).await?;
    }
    Ok(())
}

/// Says what was found: `Found 1 file tree and 2 SQLite databases: web, shop, stock.`
fn found(databases: &[DatabaseView]) -> String {
    let number = |engine| databases.iter().filter(|view| view.database.engine == engine).count();
    let parts: Vec<String> = [(EngineKind::Files, "file tree"), (EngineKind::Sqlite, "SQLite database")]
        .into_iter()
        .filter(|(engine, _)| number(*engine) > 0)
        .map(|(engine, noun)| human::count(number(engine), noun))
        .collect();
    let mut names: Vec<String> =
        databases.iter().take(NAMED).map(|view| view.database.name.to_string()).collect();
    if databases.len() > NAMED {
        names.push(format!("and {} more", databases.len() - NAMED));
    }
    format!("Found {}: {}.", parts.join(" and "), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_directories_of_one_name_get_two_names() {
        let base = DatabaseName::from_lossy("data");
        let mut taken = BTreeSet::new();
        for (engine, expected) in [
            (EngineKind::Files, "data"),
            (EngineKind::Sqlite, "data-sqlite"),
            (EngineKind::Files, "data-2"),
            (EngineKind::Files, "data-3"),
        ] {
            let name = free_name(&base, engine, &taken);
            assert_eq!(name.as_str(), expected);
            taken.insert(name.as_str().to_lowercase());
        }
    }
}

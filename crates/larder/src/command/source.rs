//! `larder source`: what is to be backed up.

use crate::cli::SourceCommand;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_http::SourceAdded;
use larder_model::{DatabaseName, Source, human};
use serde_json::json;

pub(crate) fn run(command: SourceCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        SourceCommand::Add {
            path,
            engine,
            name,
            exclude,
            no_default_excludes,
            one_file_system,
            connection,
        } => {
            let path = resolve(&path)?;
            let name = match name {
                Some(name) => name.parse()?,
                None => name_of(&path),
            };
            let source = Source {
                name,
                engine,
                path: text_of(&path)?,
                exclude,
                default_excludes: !no_default_excludes,
                one_file_system,
            };
            let added: SourceAdded = Client::new(&connection)?.post(&Path::new(["sources"]), &source)?;
            let names: Vec<&str> = added.databases.iter().map(DatabaseName::as_str).collect();
            let found = human::count(names.len(), "database");
            let colon = if names.is_empty() { "" } else { ": " };
            screen.result(
                &json!({ "Source": source, "Databases": added.databases }),
                &format!("Added source {} ({found}{colon}{}).", source.name, names.join(", ")),
            )
        }
        SourceCommand::List(connection) => {
            let sources: Vec<Source> = Client::new(&connection)?.get(&Path::new(["sources"]))?;
            let mut table = Table::new(&["source", "engine", "path", "left out"]);
            for source in &sources {
                let exclude = source.exclude.join(" ");
                table.row([source.name.to_string(), source.engine.to_string(), source.path.clone(), exclude]);
            }
            let empty = "There are no sources; add one with: larder source add PATH";
            screen.result(&sources, &if table.is_empty() { empty.to_owned() } else { table.to_string() })
        }
        SourceCommand::Remove { name, connection } => {
            Client::new(&connection)?.delete(&Path::new(["sources", &name]))?;
            screen.result(&json!({ "Removed": name }), &format!("Removed source {name}; its backups stay."))
        }
    }
}

/// Finds a path on this host, through links.
pub(crate) fn resolve(path: &std::path::Path) -> Result<std::path::PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!(
            "'{}' does not exist; check the name, or mount the disk it lies on",
            path.display()
        )),
        _ => Failure::new(format!("could not look at '{}': {error}; check its permissions", path.display())),
    })
}

/// Makes a source's name from the last part of its path.
pub(crate) fn name_of(path: &std::path::Path) -> DatabaseName {
    let last = path.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
    DatabaseName::from_lossy(&last)
}

/// Returns a path as the interface takes it.
pub(crate) fn text_of(path: &std::path::Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "the name of '{}' is not UTF-8, which a source's own path must be; name the directory above it",
            path.display()
        ))
    })
}

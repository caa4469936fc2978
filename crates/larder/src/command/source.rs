//! `larder source`: what is to be backed up.

use crate::cli::SourceCommand;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::host::read_secret;
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_http::{LackingRight, ProposedSource, SourceAdded};
use larder_model::{DatabaseName, EngineKind, Secret, Source, human};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn run(command: SourceCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        SourceCommand::Add {
            address,
            engine,
            name,
            password_file,
            option,
            exclude,
            no_default_excludes,
            one_file_system,
            connection,
        } => {
            let (address, engine, default_name) = place(address, engine)?;
            let mut source = Source {
                password: password_file.map(|path| read_secret(&path, "password file")).transpose()?,
                exclude,
                default_excludes: !no_default_excludes,
                one_file_system,
                ..Source::new(name.map_or(Ok(default_name), |name| name.parse())?, engine, address)
            };
            source.hide_password();
            set_options(&mut source.options, &option)?;
            add(&Client::new(&connection)?, &source, screen)
        }
        SourceCommand::List(connection) => {
            let sources: Vec<Source> = Client::new(&connection)?.get(&Path::new(["sources"]))?;
            let mut table = Table::new(&["source", "engine", "address", "left out"]);
            for source in &sources {
                let exclude = source.exclude.join(" ");
                table.row([
                    source.name.to_string(),
                    source.engine.to_string(),
                    source.address.clone(),
                    exclude,
                ]);
            }
            let empty = "There are no sources; add one with: larder source add ADDRESS";
            screen.result(&sources, &if table.is_empty() { empty.to_owned() } else { table.to_string() })
        }
        SourceCommand::Check { name, connection } => {
            let path = Path::new(["sources", &name, "missing-rights"]);
            let missing: Vec<LackingRight> = Client::new(&connection)?.get(&path)?;
            if missing.is_empty() {
                return screen.result(&missing, &format!("The user of {name} has every right it needs."));
            }
            let lines: Vec<String> =
                missing.iter().map(|one| format!("{}\n    {}", one.what, one.grant)).collect();
            let count = human::count(missing.len(), "right");
            screen.result(&missing, &format!("The user of {name} lacks {count}:\n{}", lines.join("\n")))?;
            Ok(Exit::Failed)
        }
        SourceCommand::Find { accept, connection } => {
            let client = Client::new(&connection)?;
            let found: Vec<ProposedSource> = client.get(&Path::new(["found-sources"]))?;
            if accept {
                return accept_all(&client, &found, screen);
            }
            let mut table = Table::new(&["source", "engine", "address", "because"]);
            for ProposedSource { source, reason } in &found {
                table.row([
                    source.name.to_string(),
                    source.engine.to_string(),
                    source.address.clone(),
                    reason.clone(),
                ]);
            }
            let text = match table.is_empty() {
                true => "Nothing was found that is not added yet.".to_owned(),
                false => format!("{table}\nAdd them all with: larder source find --accept"),
            };
            screen.result(&found, &text)
        }
        SourceCommand::Change { name, address, password_file, option, connection } => {
            let client = Client::new(&connection)?;
            let sources: Vec<Source> = client.get(&Path::new(["sources"]))?;
            let known = sources.into_iter().find(|source| source.name.as_str().eq_ignore_ascii_case(&name));
            let mut source = known.ok_or_else(|| {
                Failure::new(format!("there is no source '{name}'; see: larder source list"))
            })?;
            if let Some(address) = address {
                source.address = place(address, Some(source.engine))?.0;
            }
            if let Some(path) = password_file {
                source.password = Some(read_secret(&path, "password file")?);
            }
            set_options(&mut source.options, &option)?;
            let added: SourceAdded = client.put(&Path::new(["sources", &name]), &body(&source)?)?;
            let found = human::count(added.databases.len(), "database");
            screen.result(
                &json!({ "Source": source, "Databases": added.databases }),
                &format!("Changed source {} ({found}).", source.name),
            )
        }
        SourceCommand::Remove { name, connection } => {
            Client::new(&connection)?.delete(&Path::new(["sources", &name]))?;
            screen.result(&json!({ "Removed": name }), &format!("Removed source {name}; its backups stay."))
        }
    }
}

fn add(client: &Client, source: &Source, screen: &Screen) -> Result<Exit, Failure> {
    let added: SourceAdded = client.post(&Path::new(["sources"]), &body(source)?)?;
    screen.result(&json!({ "Source": source, "Databases": added.databases }), &told(source, &added))
}

fn told(source: &Source, added: &SourceAdded) -> String {
    let names: Vec<&str> = added.databases.iter().map(DatabaseName::as_str).collect();
    let found = human::count(names.len(), "database");
    let colon = if names.is_empty() { "" } else { ": " };
    format!("Added source {} ({found}{colon}{}).", source.name, names.join(", "))
}

/// Adds every source that can be added; one that cannot is named, and the others are added all the same.
fn accept_all(client: &Client, found: &[ProposedSource], screen: &Screen) -> Result<Exit, Failure> {
    let (mut added, mut lines, mut failed) = (Vec::new(), Vec::new(), false);
    for ProposedSource { source, .. } in found {
        match client.post::<SourceAdded, _>(&Path::new(["sources"]), &body(source)?) {
            Ok(answer) => {
                lines.push(told(source, &answer));
                added.push(json!({ "Source": source, "Databases": answer.databases }));
            }
            Err(failure) => {
                failed = true;
                lines.push(format!("Could not add {}: {}", source.name, failure.message));
                added.push(json!({ "Source": source, "Error": failure.message }));
            }
        }
    }
    let text = match lines.is_empty() {
        true => "Nothing was found that is not added yet.".to_owned(),
        false => lines.join("\n"),
    };
    screen.result(&added, &text)?;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Writes a source as the interface takes it: with its password, which is masked everywhere else.
fn body(source: &Source) -> Result<Value, Failure> {
    let mut body = serde_json::to_value(source).map_err(|error| Failure::new(error.to_string()))?;
    if let (Some(password), Value::Object(keys)) = (&source.password, &mut body) {
        keys.insert("Password".to_owned(), Secret::expose(password).into());
    }
    Ok(body)
}

/// Reads an address: what it is, which engine reads it, and what the source is called unless it gets another name.
fn place(address: String, engine: Option<EngineKind>) -> Result<(String, EngineKind, DatabaseName), Failure> {
    let engine = engine.or_else(|| EngineKind::of_address(&address)).unwrap_or(EngineKind::Files);
    if matches!(engine, EngineKind::Files | EngineKind::Sqlite) {
        if let Some((scheme, _)) = address.split_once("://") {
            return Err(Failure::new(format!(
                "no engine reads addresses that begin with {scheme}://; name a path, or a server such as postgresql://backup@localhost"
            )));
        }
        let path = resolve(std::path::Path::new(&address))?;
        return Ok((text_of(&path)?, engine, name_of(&path)));
    }
    let name = match host_of(&address) {
        "" | "localhost" | "127.0.0.1" | "[::1]" => engine.as_str().to_owned(),
        host => format!("{engine}-{host}"),
    };
    Ok((address, engine, DatabaseName::from_lossy(&name)))
}

/// Returns the host that an address names; nothing for sockets and for what is no address of a server.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.rfind(']') {
        Some(end) => place.get(..=end).unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    }
}

fn set_options(options: &mut BTreeMap<String, String>, given: &[String]) -> Result<(), Failure> {
    for one in given {
        let (name, value) = one.split_once('=').ok_or_else(|| {
            Failure::new(format!("'{one}' sets no option; write NAME=VALUE, as the engine's page names them"))
        })?;
        match value.is_empty() {
            true => options.remove(name),
            false => options.insert(name.to_owned(), value.to_owned()),
        };
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_its_engine_and_gives_a_name() {
        for (address, engine, name) in [
            ("postgresql://backup@localhost:5432", EngineKind::Postgresql, "postgresql"),
            ("postgres://backup@db.example.org/", EngineKind::Postgresql, "postgresql-db.example.org"),
            ("mysql://[::1]:3306", EngineKind::Mariadb, "mariadb"),
        ] {
            let (_, its, called) = place(address.to_owned(), None).unwrap();
            assert_eq!((its, called.as_str()), (engine, name));
        }
        assert_eq!(place("/".to_owned(), None).unwrap().1, EngineKind::Files);
        assert!(place("gopher://host".to_owned(), None).is_err());
    }

    #[test]
    fn only_the_interface_sees_a_password() {
        let name = DatabaseName::from_lossy("main");
        let mut source = Source::new(name, EngineKind::Postgresql, "postgresql://u:p@h".to_owned());
        source.hide_password();
        assert_eq!(body(&source).unwrap()["Password"], "p");
        assert_eq!(serde_json::to_value(&source).unwrap()["Password"], "****");
    }
}

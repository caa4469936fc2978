//! Holds a restored copy against what the backup's dump held.

use super::backup::{COMPLETE, OBJECTS, dump_run, evidence, tallied, tool_for};
use super::failure::explained;
use super::login::Login;
use super::properties::Properties;
use super::session::Session;
use super::tally::{DATA, Rows, TABLE};
use super::{DUMP, PROPERTIES};
use crate::engine::{CompareJob, Comparison, RestoreTarget};
use crate::error::EngineError;
use crate::tool::{CheckedStream, Tools};
use crate::words::{count, plain};
use larder_model::{Cancel, Source};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

pub(super) fn compare(tools: &Tools, job: &CompareJob<'_>) -> Result<Comparison, EngineError> {
    let found = match job.restored {
        RestoreTarget::Server { source, name } => of_server(tools, source, name, job.cancel)?,
        RestoreTarget::Path(path) => of_files(path)?,
    };
    let recorded: BTreeMap<&str, &str> =
        job.report.evidence.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !recorded.keys().any(|name| name.starts_with(OBJECTS)) {
        return Err(EngineError::Failed {
            action: format!("comparing the restored copy of {}", job.database.name),
            cause: "the backup holds nothing to compare with".to_owned(),
            remedy: "compare it with a backup that this version made".to_owned(),
        });
    }
    let found: BTreeMap<&str, &str> =
        found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut differences = Vec::new();
    for (name, value) in &recorded {
        differences.extend(difference(name, Some(value), found.get(name).copied()));
    }
    for (name, value) in &found {
        if !recorded.contains_key(name) {
            differences.extend(difference(name, None, Some(value)));
        }
    }
    Ok(Comparison { compared: compared(&recorded), differences, changed_since: 0 })
}

/// Says what differs; `None` where nothing does.
fn difference(name: &str, recorded: Option<&str>, found: Option<&str>) -> Option<String> {
    if recorded == found {
        return None;
    }
    let rows = |text: Option<&str>| text.and_then(Rows::from_text);
    let is_rows = name.starts_with(TABLE) || name.starts_with(DATA);
    let shown = [TABLE, DATA, OBJECTS].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    Some(match (recorded, found) {
        (Some(_), None) if is_rows => format!("{shown} is not in the copy"),
        (None, _) if is_rows => format!("{shown} is in the copy and not in the backup"),
        (Some(_), Some(_)) if is_rows => {
            let (recorded, found) = (rows(recorded)?, rows(found)?);
            match recorded.count == found.count {
                true => format!("{shown} has other content"),
                false => {
                    let rows = count(recorded.count, "row", "rows");
                    format!("{shown} has {rows} in the backup and {} in the copy", found.count)
                }
            }
        }
        (recorded, found) => {
            format!(
                "there are {} {shown} in the backup and {} in the copy",
                recorded.unwrap_or("0"),
                found.unwrap_or("0")
            )
        }
    })
}

fn compared(recorded: &BTreeMap<&str, &str>) -> String {
    let tables: Vec<Rows> = recorded
        .iter()
        .filter(|(name, _)| name.starts_with(TABLE))
        .filter_map(|(_, value)| Rows::from_text(value))
        .collect();
    let rows: u64 = tables.iter().map(|table| table.count).sum();
    format!("{}, {}", count(tables.len() as u64, "table", "tables"), count(rows, "row", "rows"))
}

type Evidence = Vec<(String, String)>;

fn of_server(tools: &Tools, source: &Source, name: &str, cancel: &Cancel) -> Result<Evidence, EngineError> {
    let login = Login::of(source)?;
    let mut session = Session::open(tools, &login, name, cancel)?;
    let dumper = tool_for(tools, "pg_dump", &session.version()?)?;
    let properties = Properties::ask(&mut session)?;
    session.close()?;
    let action = format!("dumping the restored database {name}");
    let run = dump_run(&login, name, cancel);
    let running = dumper.start(run).map_err(|failure| explained(failure, &action))?;
    let mut stream = CheckedStream::new(running, COMPLETE);
    let (read, rows) = tallied(&mut stream);
    match (stream.into_failure(), read) {
        (Some(failure), _) => Err(explained(failure, action)),
        (None, Err(error)) => Err(unreadable(&action, error)),
        (None, Ok(_)) => Ok(evidence(&properties, &rows)),
    }
}

/// The files of a backup, restored as they are.
fn of_files(directory: &Path) -> Result<Evidence, EngineError> {
    let path = directory.join(DUMP);
    let action = format!("reading {}", path.display());
    let dump = File::open(&path).map_err(|error| unreadable(&action, error))?;
    let (read, rows) = tallied(dump);
    read.map_err(|error| unreadable(&action, error))?;
    let path = directory.join(PROPERTIES);
    let action = format!("reading {}", path.display());
    let text = std::fs::read(&path).map_err(|error| unreadable(&action, error))?;
    let properties: Properties =
        serde_json::from_slice(&text).map_err(|error| unreadable(&action, io::Error::other(error)))?;
    Ok(evidence(&properties, &rows))
}

fn unreadable(action: &str, error: io::Error) -> EngineError {
    EngineError::Failed {
        action: action.to_owned(),
        cause: plain(error),
        remedy: "restore it again to another place".to_owned(),
    }
}

//! Gets a whole server back into a directory.

use super::place::{beside, put};
use super::position::ServerPosition;
use super::until::{choose, held};
use super::{SERVER, failed};
use crate::engine::{RestoreJob, RestoreReport, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use std::io::{self, Read};
use std::path::Path;

/// How many bytes a backup's description has at the most.
const MOST_BYTES: u64 = 64 << 20;

/// Reads what a backup says of itself.
pub(super) fn description(backup: &dyn BackupReader) -> Result<ServerPosition, EngineError> {
    let mut text = String::new();
    let read = backup.open(SERVER.as_bytes())?.take(MOST_BYTES).read_to_string(&mut text);
    let remedy = "check the repository, or restore from another destination";
    read.map_err(|error| failed("reading the backup", error.to_string(), remedy))?;
    ServerPosition::from_text(&text)
        .ok_or_else(|| failed("reading the backup", format!("{SERVER} in it says nothing"), remedy))
}

pub(in crate::postgresql) fn restore(
    job: &RestoreJob<'_>,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let RestoreTarget::Path(target) = job.target else {
        return Err(failed(
            "restoring a whole server",
            "its files cannot be brought into a server that runs",
            "name a directory to restore to, and start a server on it",
        ));
    };
    let position = description(backup)?;
    let (base, end) = choose(&position, job.until)?;
    refuse_full(target)?;
    if !base.tablespaces.is_empty() {
        refuse_full(&beside(target))?;
    }
    let placed = put(backup, &position, base, &end, target, job.cancel)?;
    let mut messages = placed.warnings;
    let major = position.major();
    messages.push(format!(
        "the files in {} are those of a server of PostgreSQL {major}: start one on it as the user that owns them; it replays the log from {} on and is ready then",
        target.display(),
        base.start
    ));
    if !target.join("postgresql.conf").exists() {
        messages.push(format!(
            "its files of settings lay outside: give it some, with {}",
            position
                .settings
                .iter()
                .map(|(name, value)| format!("{name} = {value}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    for (number, was, is) in &placed.tablespaces {
        messages.push(format!("the tablespace {number} that lay in {was} is in {} now", is.display()));
    }
    messages.push(format!("this backup holds {}", held(&position)));
    messages.push("an archive_command in its settings is still there: see that it does not write into the archive of the first server".to_owned());
    Ok(RestoreReport { files: placed.files, bytes: placed.bytes, messages })
}

/// A server's files are never mixed with others, whatever may be overwritten.
fn refuse_full(path: &Path) -> Result<(), EngineError> {
    match path.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(
            format!("restoring to {}", path.display()),
            crate::words::plain(error),
            "name a directory that Larder may write to",
        )),
        Ok(mut inside) => match inside.next() {
            None => Ok(()),
            Some(_) => Err(EngineError::TargetNotEmpty { target: path.display().to_string() }),
        },
    }
}

//! A server as a whole: a copy of its files made while it runs, the log that makes the copy whole, and every moment since.
//!
//! A backup holds one or more copies (`base-000000/data`, with `base-000000/tablespaces` where there are any), the pieces of log
//! since the first of them without a gap (`wal`), and `server.json`, which says what is what. A copy is what the vendor's manual
//! calls a base backup: with `backup_label`, and good only together with the log.

mod backup;
mod facts;
mod log;
mod lsn;
mod manifest;
mod page;
mod place;
mod position;
mod private;
mod prove;
mod read;
mod relation;
mod restore;
mod segments;
mod slot;
mod stream;
mod tar;
mod tree;
mod until;

use super::login::Login;
use super::session::Session;
use crate::engine::BackupReport;
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::Tools;
use larder_model::{Cancel, Source};
use position::ServerPosition;
use slot::Slot;
use std::collections::BTreeSet;

pub(super) use backup::backup;
pub(super) use prove::prove;
pub(super) use restore::restore;
pub(super) use until::recoverable;

/// The file of a backup that says what it consists of.
const SERVER: &str = "server.json";
/// The directory of the pieces of log.
const LOG: &str = "wal";
/// The server's data within a copy.
const DATA: &str = "data";
/// The tablespaces beside them, each under its number.
const TABLESPACES: &str = "tablespaces";

/// What stands before the name of a database in a backup's evidence.
const DATABASE: &str = "Database: ";

fn failed(action: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> EngineError {
    EngineError::Failed { action: action.into(), cause: cause.into(), remedy: remedy.into() }
}

/// Says whether a backup is of a whole server.
pub(super) fn is_whole(backup: &dyn BackupReader) -> Result<bool, EngineError> {
    let mut found = false;
    backup.for_each(&mut |listed| {
        found |= listed.path == SERVER.as_bytes();
        Ok(())
    })?;
    Ok(found)
}

/// Drops the replication slot of a chain of backups that has ended.
pub(super) fn release(tools: &Tools, source: &Source, chain: &str) -> Result<(), EngineError> {
    let Some(slot) = Slot::of(chain) else { return Ok(()) };
    let login = Login::of(source)?;
    let dropped =
        Session::open(tools, &login, login.maintenance(), &Cancel::new()).and_then(|mut session| {
            slot.remove(&mut session)?;
            session.close()
        });
    dropped.map_err(|error| {
        failed(
            format!("dropping the replication slot {} of {}", slot.name, login.address),
            error.to_string(),
            format!(
                "drop it by hand, or the server keeps its log for it until its disk is full: SELECT pg_drop_replication_slot('{}')",
                slot.name
            ),
        )
    })
}

/// Says what a restored copy is held against.
fn evidence(
    position: &ServerPosition,
    databases: &BTreeSet<String>,
    new_segments: u64,
) -> Vec<(String, String)> {
    let older = position.bases.iter().rev().skip(1);
    let (files, bytes) =
        older.fold((0, 0), |(files, bytes), base| (files + base.size.0, bytes + base.size.1));
    // How much log there is says nothing about how much data there is.
    let segments = (position.segments.1 + 1).saturating_sub(position.segments.0);
    let history = format!("{} {}", files + segments, bytes + segments * position.segment_bytes);
    let names = databases.iter().map(|name| (format!("{DATABASE}{name}"), String::new()));
    [
        ("End of the log".to_owned(), position.end.to_string()),
        ("New pieces of log".to_owned(), new_segments.to_string()),
        (BackupReport::HISTORY.to_owned(), history),
    ]
    .into_iter()
    .chain(names)
    .collect()
}

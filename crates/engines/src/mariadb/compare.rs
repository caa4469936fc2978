//! Holds a copy against what the dump's own rows added up to.

use super::client::Client;
use super::digest::{DumpSums, TABLE, TableSum};
use super::dump::{CODE, Dump, TABLES, VIEWS};
use super::facts::Facts;
use super::failure::{self, failed};
use super::inventory::Inventory;
use super::layout::{Layout, Logical};
use super::position::Position;
use super::replay::{self, End};
use super::scratch::Scratch;
use super::{accounts, discover, whole};
use crate::engine::{BackupReport, CompareJob, Comparison, ProofJob, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::Tools;
use crate::words::count;
use larder_model::Cancel;
use std::collections::BTreeMap;

/// Compares a restored copy with the evidence, or with the source where that is still what was backed up.
pub(super) fn compare(
    tools: &Tools,
    job: &CompareJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let (layout, target) = (Layout::read(backup)?, job.restored);
    match (layout, target) {
        (Layout::Database(logical), RestoreTarget::Server { source, name }) => {
            let client = Client::new(tools, source, job.cancel)?;
            let copy = sums(&client, name)?;
            if logical.segments.is_empty() {
                return Ok(against_evidence(job.report, &copy));
            }
            match live(tools, job, &logical)? {
                Some(live) => Ok(against(&live.tables, &copy, "every row with the source")),
                None => Ok(Comparison {
                    compared: format!("{}, whose rows changed since the dump", tables(copy.tables.len())),
                    differences: Vec::new(),
                    changed_since: 1,
                }),
            }
        }
        (Layout::Accounts, RestoreTarget::Server { source, .. }) => {
            accounts::compare(&Client::new(tools, source, job.cancel)?, job.report)
        }
        (_, RestoreTarget::Server { .. }) => Err(failed(
            "comparing a whole server",
            "a server that runs is no copy of its files",
            "name the directory",
        )),
        (_, RestoreTarget::Path(_)) => Err(failed(
            "comparing files of a dump",
            "only a server can read them",
            "restore into a server, or have the backup verified",
        )),
    }
}

/// Restores into a private server, and compares there.
pub(super) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    match Layout::read(backup)? {
        Layout::Server(streams) => whole::prove(tools, job, backup, &streams),
        Layout::Accounts => {
            let scratch = Scratch::start(tools, job.scratch, job.cancel)?;
            accounts::restore(&scratch.client, true, backup)?;
            let compared = accounts::compare(&scratch.client, job.report)?;
            scratch.stop()?;
            Ok(compared)
        }
        Layout::Database(logical) => {
            let scratch = Scratch::start(tools, job.scratch, job.cancel)?;
            let client = &scratch.client;
            replay::make(client, &logical)?;
            for file in [TABLES, CODE] {
                replay::load_file(client, &logical, backup, file)?;
            }
            // The dump is held against its own sums before anything is changed by the log.
            let mut comparison = against_evidence(job.report, &sums(client, &logical.name)?);
            if let Some(said) = views(client, &logical, backup)? {
                comparison.compared.push_str(&said);
            }
            if !logical.segments.is_empty() {
                let replayed = replay::replay(client, job.scratch, &logical, backup, &End::All)?;
                let after = sums(client, &logical.name)?;
                let changes = count(replayed.changes, "transaction", "transactions");
                comparison
                    .compared
                    .push_str(&format!(", {changes} of the log replayed, each row found as it was logged"));
                if let Some(live) = live_of(tools, job.source, job.report, &logical, job.cancel)? {
                    let with_live = against(&live.tables, &after, "");
                    comparison.differences.extend(with_live.differences);
                    comparison.compared.push_str(", every row with the source");
                }
            }
            scratch.stop()?;
            Ok(comparison)
        }
    }
}

/// Loads the views. Those that read other databases cannot be made where these are not; that is no fault of the backup.
fn views(
    client: &Client,
    logical: &Logical,
    backup: &dyn BackupReader,
) -> Result<Option<String>, EngineError> {
    let Err(error) = replay::load_file(client, logical, backup, VIEWS) else { return Ok(None) };
    let EngineError::Failed { cause, .. } = &error else { return Err(error) };
    let lacks_something = matches!(failure::code(cause), Some(1049 | 1146 | 1305 | 1356));
    let lacks_own =
        cause.contains(&format!("'{}.", logical.name)) || cause.contains(&format!("`{}`.", logical.name));
    match lacks_something && !lacks_own {
        true => Ok(Some(" (but for the views, of which one reads another database)".to_owned())),
        false => Err(error),
    }
}

/// Adds up the rows of a copy as they were added up in the dump.
pub(super) fn sums(client: &Client, database: &str) -> Result<DumpSums, EngineError> {
    let inventory = Inventory::take(client, database)?;
    Dump::new(client, database, &inventory, false)?.sums()
}

fn tables(number: usize) -> String {
    count(number as u64, "table", "tables")
}

fn recorded(report: &BackupReport) -> BTreeMap<String, TableSum> {
    let tables = report.evidence.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix(TABLE)?.to_owned(), TableSum::from_text(value)?))
    });
    tables.collect()
}

fn against_evidence(report: &BackupReport, copy: &DumpSums) -> Comparison {
    if report.position.is_none() {
        return Comparison {
            compared: "nothing".to_owned(),
            differences: vec![
                "the backup has no evidence to compare with; it was not made by this engine".to_owned(),
            ],
            changed_since: 0,
        };
    }
    against(&recorded(report), copy, "every value and definition")
}

fn against(wanted: &BTreeMap<String, TableSum>, copy: &DumpSums, how: &str) -> Comparison {
    let mut differences = Vec::new();
    for (name, sum) in wanted {
        match copy.tables.get(name) {
            None => differences.push(format!("the table {name} is missing")),
            Some(is) => differences.extend(sum.difference(is).map(|what| format!("the table {name} {what}"))),
        }
    }
    let more = copy.tables.keys().filter(|name| !wanted.contains_key(*name));
    differences.extend(more.map(|name| format!("the table {name} is not in the backup")));
    let rows = wanted.values().map(|sum| sum.rows).sum();
    let compared = format!("{}, {}, {how}", tables(wanted.len()), count(rows, "row", "rows"));
    Comparison { compared, differences, changed_since: 0 }
}

fn live(tools: &Tools, job: &CompareJob<'_>, logical: &Logical) -> Result<Option<DumpSums>, EngineError> {
    live_of(tools, job.source, job.report, logical, job.cancel)
}

/// Adds up the rows of the source, where the log shows that nothing was written since the backup; neither before nor meanwhile.
fn live_of(
    tools: &Tools,
    source: Option<&larder_model::Source>,
    report: &BackupReport,
    logical: &Logical,
    cancel: &Cancel,
) -> Result<Option<DumpSums>, EngineError> {
    let position = report.position.as_deref().and_then(Position::from_text);
    let (Some(source), Some(log)) = (source, position.and_then(|position| position.log)) else {
        return Ok(None);
    };
    let Ok(client) = Client::new(tools, source, cancel) else { return Ok(None) };
    let is_still = || {
        Facts::ask(&client).is_ok_and(|facts| {
            facts.server == log.server && facts.log.as_ref() == Some(&(log.file.clone(), log.offset))
        })
    };
    let is_there = discover::names(&client).is_ok_and(|names| names.contains(&logical.name));
    if !(is_there && is_still()) {
        return Ok(None);
    }
    let live = sums(&client, &logical.name);
    cancel.check()?;
    match live {
        Ok(live) if is_still() => Ok(Some(live)),
        // It cannot be read, or was written to meanwhile: no fault of the copy.
        _ => Ok(None),
    }
}

//! Compares a restored database with the evidence of its backup, and with the live one where that did not change.

use super::failure::{explain, file, unless_canceled};
use super::inspect::{Depth, Found, Hashing, Sum, inspect, open_still, quoted, recorded_rows, tables};
use super::position::Position;
use crate::engine::{BackupReport, Comparison};
use crate::error::EngineError;
use crate::held::{CarefulFile, Hold};
use crate::words::{count, grouped};
use larder_model::Cancel;
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::path::Path;

pub(super) fn compare(
    live: &Path,
    report: &BackupReport,
    restored: &Path,
    cancel: &Cancel,
) -> Result<Comparison, EngineError> {
    let mut differences = Vec::new();
    match sum(report, restored, cancel)?.is_in(report) {
        Some(true) => {}
        Some(false) => differences.push("the restored file is not the one that was backed up".to_owned()),
        None => differences
            .push("the backup has no evidence to compare with; it was not made by this engine".to_owned()),
    }
    let found = match inspect(restored, restored, Depth::Indexes, cancel) {
        Ok(found) => found,
        Err(EngineError::Canceled(canceled)) => return Err(canceled.into()),
        Err(error) => {
            differences.push(error.to_string());
            return Ok(Comparison { compared: "nothing".to_owned(), differences, changed_since: 0 });
        }
    };
    compare_rows(report, &found, &mut differences);
    let mut compared = format!(
        "{}, {}, every byte, integrity check",
        count(found.tables.len() as u64, "table", "tables"),
        count(found.rows(), "row", "rows")
    );
    if let Some(orphans) = orphans(restored, cancel)? {
        compared.push_str(&orphans);
    }
    let changed_since = match compare_with_live(live, report, restored, cancel)? {
        Live::Equal => {
            compared.push_str(", every value with the source");
            0
        }
        Live::Differs(found) => {
            differences.extend(found);
            0
        }
        Live::Changed => 1,
    };
    Ok(Comparison { compared, differences, changed_since })
}

fn sum(report: &BackupReport, path: &Path, cancel: &Cancel) -> Result<Sum, EngineError> {
    let opened = CarefulFile::open(path).map_err(|error| file("reading", path, error))?;
    let mut hashing = Hashing::like(Some(report), io::BufReader::with_capacity(1 << 20, opened), cancel);
    let read = io::copy(&mut hashing, &mut io::sink());
    read.map_err(|error| unless_canceled(cancel, file("reading", path, error)))?;
    Ok(hashing.finish())
}

fn compare_rows(report: &BackupReport, found: &Found, differences: &mut Vec<String>) {
    let mut wanted = recorded_rows(report).collect::<Vec<_>>();
    wanted.sort_unstable();
    for (table, rows) in &wanted {
        match found.tables.iter().find(|(name, _)| name == table) {
            None => differences.push(format!("the table {table} is missing")),
            Some((_, is)) if is.to_string() != **rows => {
                differences.push(format!("the table {table} has {is} rows instead of {rows}"));
            }
            Some(_) => {}
        }
    }
    if found.tables.len() > wanted.len() {
        differences.push(format!("it has {} tables instead of {}", found.tables.len(), wanted.len()));
    }
}

/// Counts rows that point to rows that are not there; they were so in the source and are no fault of the backup.
fn orphans(path: &Path, cancel: &Cancel) -> Result<Option<String>, EngineError> {
    let connection = open_still(path, cancel);
    let counted = connection.and_then(|open| {
        open.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get::<_, i64>(0))
    });
    match counted {
        Ok(0) => Ok(None),
        Ok(rows) => {
            Ok(Some(format!(" (with {} rows whose foreign key leads nowhere)", grouped(rows.unsigned_abs()))))
        }
        // A schema that refers to a table it does not have cannot be asked.
        Err(_) if !cancel.is_canceled() => Ok(None),
        Err(error) => Err(unless_canceled(cancel, explain("checking", path, &error))),
    }
}

enum Live {
    Equal,
    Differs(Vec<String>),
    /// It changed since, is gone, or cannot be read without leaving something beside it.
    Changed,
}

fn compare_with_live(
    live: &Path,
    report: &BackupReport,
    restored: &Path,
    cancel: &Cancel,
) -> Result<Live, EngineError> {
    let is_unchanged = || {
        let before = report.position.as_deref().and_then(Position::from_text);
        let now = Position::look(live, None).ok().flatten();
        before.zip(now).filter(|(before, now)| before.is_alike(now)).map(|(before, _)| before)
    };
    let Some(position) = is_unchanged() else { return Ok(Live::Changed) };
    let in_use = super::header::beside(live, "-shm").exists() || position.has_journal();
    if position.has_wal() && !in_use {
        return Ok(Live::Changed);
    }
    let mut hold = Hold::default();
    hold.add(live);
    hold.add(&super::header::beside(live, "-shm"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = if in_use { Connection::open_with_flags(live, flags) } else { open_still(live, cancel) };
    let outcome = opened.and_then(|mut live| {
        super::failure::interruptible(&mut live, cancel)?;
        compare_contents(&live, &open_still(restored, cancel)?)
    });
    cancel.check()?;
    match outcome {
        _ if is_unchanged().is_none() => Ok(Live::Changed),
        Ok(differences) if differences.is_empty() => Ok(Live::Equal),
        Ok(differences) => Ok(Live::Differs(differences)),
        // Busy, or in need of a writer: the evidence was compared all the same.
        Err(_) => Ok(Live::Changed),
    }
}

fn compare_contents(live: &Connection, restored: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut differences = Vec::new();
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    if let Some(row) = first_difference(live, restored, schema)? {
        differences.push(format!("the schema differs from the source's in entry {}", grouped(row)));
        return Ok(differences);
    }
    for table in tables(restored)? {
        // Both give the rows in the order in which the table keeps them.
        if let Some(row) = first_difference(live, restored, &format!("SELECT * FROM {}", quoted(&table)))? {
            differences.push(format!("the table {table} differs from the source's in row {}", grouped(row)));
        }
    }
    Ok(differences)
}

/// Returns the first row, counted from 1, in which two answers differ.
fn first_difference(left: &Connection, right: &Connection, sql: &str) -> rusqlite::Result<Option<u64>> {
    let (mut left, mut right) = (left.prepare(sql)?, right.prepare(sql)?);
    if left.column_count() != right.column_count() {
        return Ok(Some(1));
    }
    let columns = left.column_count();
    let (mut left, mut right) = (left.query([])?, right.query([])?);
    let mut number = 0;
    loop {
        number += 1;
        match (left.next()?, right.next()?) {
            (None, None) => return Ok(None),
            (Some(a), Some(b)) => {
                for column in 0..columns {
                    if a.get_ref(column)? != b.get_ref(column)? {
                        return Ok(Some(number));
                    }
                }
            }
            _ => return Ok(Some(number)),
        }
    }
}

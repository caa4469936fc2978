//! Looks into a database file that nobody writes to: whether it is sound, and what is in it.

use super::failure::{damaged, explain, file, interruptible, unless_canceled};
use super::header::Header;
use crate::engine::BackupReport;
use crate::error::EngineError;
use crate::held::CarefulFile;
use crate::line_hash::LineHash;
use crate::words::hex;
use larder_model::Cancel;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

/// The names under which a report keeps its evidence; a table's rows come under [`ROWS`] and its name.
const SUM: &str = "Sum";
/// What older backups have instead.
const SHA256: &str = "Sha256";
const PAGES: &str = "Pages";
const PAGE_BYTES: &str = "PageBytes";
const ROWS: &str = "Rows of ";

/// How thoroughly a file is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Every page and every row (`PRAGMA quick_check`).
    Pages,
    /// That, and that each index agrees with its table (`PRAGMA integrity_check`).
    Indexes,
}

/// What was found in a sound file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) pages: u64,
    pub(super) page_bytes: u32,
    /// Each table with its number of rows, sorted by name.
    pub(super) tables: Vec<(String, u64)>,
    /// What could not be checked, and why.
    pub(super) remarks: Vec<String>,
}

/// Opens a file that nobody writes to, without locks and without making files beside it.
pub(super) fn open_still(path: &Path, cancel: &Cancel) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte))
            }
            other => {
                let _ = write!(uri, "%{other:02x}");
            }
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(uri, flags)?;
    interruptible(&mut connection, cancel)?;
    Ok(connection)
}

/// Checks a file and counts its rows. `shown` is the name used in messages.
pub(super) fn inspect(
    path: &Path,
    shown: &Path,
    depth: Depth,
    cancel: &Cancel,
) -> Result<Found, EngineError> {
    let header = CarefulFile::open(path).and_then(|file| Header::read(file.get()?));
    let Some(header) = header.map_err(|error| file("reading", path, error))? else {
        return Err(damaged(shown, "it does not begin as a SQLite database does"));
    };
    let failed = |error: rusqlite::Error| unless_canceled(cancel, explain("checking", shown, &error));
    let connection = open_still(path, cancel).map_err(failed)?;
    let mut found = Found { page_bytes: header.page_bytes, ..Found::default() };
    // Both walk through the whole file.
    let (checked, counted) = thread::scope(|scope| {
        let counted = scope.spawn(|| counts(path, cancel));
        let checked = check(&connection, shown, depth, cancel, &mut found);
        (checked, counted.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    // What is wrong with the file says more than that it could not be counted.
    checked?;
    found.tables = counted.map_err(failed)?;
    found.pages = connection
        .query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))
        .map_err(failed)?
        .unsigned_abs();
    Ok(found)
}

/// Counts the rows of each table.
fn counts(path: &Path, cancel: &Cancel) -> rusqlite::Result<Vec<(String, u64)>> {
    let connection = open_still(path, cancel)?;
    let count = |table: String| {
        let question = format!("SELECT count(*) FROM {}", quoted(&table));
        let rows = connection.query_row(&question, [], |row| row.get::<_, i64>(0))?;
        Ok((table, rows.unsigned_abs()))
    };
    tables(&connection)?.into_iter().map(count).collect()
}

fn check(
    connection: &Connection,
    shown: &Path,
    depth: Depth,
    cancel: &Cancel,
    found: &mut Found,
) -> Result<(), EngineError> {
    let pragma = match depth {
        Depth::Pages => "PRAGMA quick_check(1)",
        Depth::Indexes => "PRAGMA integrity_check(1)",
    };
    match connection.query_row(pragma, [], |row| row.get::<_, String>(0)) {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(damaged(shown, answer.trim_start_matches("*** in database main ***").trim())),
        Err(error) if needs_its_program(&error) => {
            found.remarks.push(format!("{} could not be checked in full: {error}", shown.display()));
            Ok(())
        }
        Err(error) => Err(unless_canceled(cancel, explain("checking", shown, &error))),
    }
}

/// Some databases use orderings or functions that only their own program brings; they are no less sound for that.
fn needs_its_program(error: &rusqlite::Error) -> bool {
    let words = error.to_string();
    ["no such collation", "no such function", "no such module"].iter().any(|missing| words.contains(missing))
}

/// Returns the names of all real tables, sorted; virtual ones keep their rows in others.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               AND upper(sql) NOT LIKE 'CREATE VIRTUAL%' ORDER BY name";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Writes a name as SQL wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Found {
    /// Writes everything down for a report.
    pub(super) fn evidence(&self, sum: Sum) -> Vec<(String, String)> {
        let mut evidence = vec![
            (sum.name.to_owned(), sum.value),
            (PAGES.to_owned(), self.pages.to_string()),
            (PAGE_BYTES.to_owned(), self.page_bytes.to_string()),
        ];
        let rows = |(table, rows): &(String, u64)| (format!("{ROWS}{table}"), rows.to_string());
        evidence.extend(self.tables.iter().map(rows));
        evidence
    }

    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Returns what a report says under a name.
fn recorded<'a>(report: &'a BackupReport, name: &str) -> Option<&'a str> {
    report.evidence.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Returns how many rows each table had, as a report says.
pub(super) fn recorded_rows(report: &BackupReport) -> impl Iterator<Item = (&str, &str)> {
    report.evidence.iter().filter_map(|(name, rows)| Some((name.strip_prefix(ROWS)?, rows.as_str())))
}

/// A sum of all bytes of a file, under the name that evidence keeps it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    name: &'static str,
    value: String,
}

impl Sum {
    /// Says whether a report has it so; nothing where it has none.
    pub(super) fn is_in(&self, report: &BackupReport) -> Option<bool> {
        recorded(report, self.name).map(|recorded| recorded == self.value)
    }
}

/// Sums up what is read through it, and stops when the work is cancelled.
///
/// Every piece that a repository gives back fits its SHA-256. What this finds is pieces in another order, or another file.
pub(super) struct Hashing<'a, R> {
    reader: R,
    cancel: &'a Cancel,
    hash: Hash,
}

enum Hash {
    Fast(LineHash),
    Sha256(Sha256),
}

impl<'a, R: Read> Hashing<'a, R> {
    pub(super) const fn new(reader: R, cancel: &'a Cancel) -> Self {
        Self { reader, cancel, hash: Hash::Fast(LineHash::NEW) }
    }

    /// Sums up as a report did.
    pub(super) fn like(report: Option<&BackupReport>, reader: R, cancel: &'a Cancel) -> Self {
        let is_older = report.is_some_and(|report| recorded(report, SHA256).is_some());
        let hash = if is_older { Hash::Sha256(Sha256::new()) } else { Hash::Fast(LineHash::NEW) };
        Self { reader, cancel, hash }
    }

    pub(super) fn finish(self) -> Sum {
        match self.hash {
            Hash::Fast(hash) => Sum { name: SUM, value: format!("{:016x}", hash.finish()) },
            Hash::Sha256(hash) => Sum { name: SHA256, value: hex(&hash.finalize()) },
        }
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let length = self.reader.read(buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        match &mut self.hash {
            Hash::Fast(hash) => hash.update(bytes),
            Hash::Sha256(hash) => hash.update(bytes),
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_believed_in_the_words_of_its_own_time() {
        let cancel = Cancel::new();
        let report = |evidence| BackupReport { evidence, ..BackupReport::default() };
        let older = report(vec![(SHA256.to_owned(), hex(&Sha256::digest(b"pages")))]);
        let sum = |report: Option<&BackupReport>, bytes: &[u8]| {
            let mut hashing = Hashing::like(report, bytes, &cancel);
            io::copy(&mut hashing, &mut io::sink()).unwrap();
            hashing.finish()
        };
        let newer = report(Found::default().evidence(sum(None, b"pages")));
        for report in [older, newer] {
            assert_eq!(sum(Some(&report), b"pages").is_in(&report), Some(true));
            assert_eq!(sum(Some(&report), b"pagse").is_in(&report), Some(false));
        }
        assert_eq!(sum(None, b"pages").is_in(&report(Vec::new())), None);
    }
}

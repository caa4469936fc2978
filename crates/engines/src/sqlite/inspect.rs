//! Looks into a database file that nobody writes to: whether it is sound, and what is in it.

use super::failure::{damaged, explain, file, interruptible, unless_canceled};
use super::header::Header;
use crate::engine::BackupReport;
use crate::error::EngineError;
use crate::held::CarefulFile;
use crate::words::hex;
use larder_model::Cancel;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The names under which a report keeps its evidence; a table's rows come under [`ROWS`] and its name.
pub(super) const SHA256: &str = "Sha256";
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
    check(&connection, shown, depth, cancel, &mut found)?;
    found.pages = connection
        .query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))
        .map_err(failed)?
        .unsigned_abs();
    for table in tables(&connection).map_err(failed)? {
        let count = format!("SELECT count(*) FROM {}", quoted(&table));
        let rows = connection.query_row(&count, [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        found.tables.push((table, rows.unsigned_abs()));
    }
    Ok(found)
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
    pub(super) fn evidence(&self, sha256: &str) -> Vec<(String, String)> {
        let mut evidence = vec![
            (SHA256.to_owned(), sha256.to_owned()),
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
pub(super) fn recorded<'a>(report: &'a BackupReport, name: &str) -> Option<&'a str> {
    report.evidence.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Returns how many rows each table had, as a report says.
pub(super) fn recorded_rows(report: &BackupReport) -> impl Iterator<Item = (&str, &str)> {
    report.evidence.iter().filter_map(|(name, rows)| Some((name.strip_prefix(ROWS)?, rows.as_str())))
}

/// Computes SHA-256 of what is read through it, and stops when the work is cancelled.
pub(super) struct Hashing<'a, R> {
    reader: R,
    cancel: &'a Cancel,
    hash: Sha256,
}

impl<'a, R: Read> Hashing<'a, R> {
    pub(super) fn new(reader: R, cancel: &'a Cancel) -> Self {
        Self { reader, cancel, hash: Sha256::new() }
    }

    /// Returns the hash in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        hex(&self.hash.finalize())
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let length = self.reader.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

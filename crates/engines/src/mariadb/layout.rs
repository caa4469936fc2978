//! What a backup of this engine consists of, read from its files alone.

use super::dump::{CODE, DATABASE, TABLES, VIEWS};
use super::failure::failed;
use super::quote;
use crate::error::EngineError;
use crate::sink::BackupReader;
use larder_model::EntryKind;
use std::io::Read;

/// The directory of the pieces of log.
pub(super) const LOG: &str = "log";
/// The accounts of a server.
pub(super) const ACCOUNTS: &str = "accounts.sql";
/// The directory of a server's files.
pub(super) const SERVER: &str = "server";

/// No statement that makes a database is longer.
const STATEMENT_BYTES: u64 = 4_096;

/// What kind of backup it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One database.
    Database(Logical),
    /// The accounts of a server.
    Accounts,
    /// A server as a whole: the streams, the full one first.
    Server(Vec<String>),
}

/// One database, dumped, and the pieces of log after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Logical {
    /// The name that it had.
    pub(super) name: String,
    /// What follows the name where it is made: its character set and collation.
    pub(super) attributes: String,
    /// The files, in the order in which they are loaded.
    pub(super) files: Vec<&'static str>,
    /// The paths of the pieces of log, in their order.
    pub(super) segments: Vec<String>,
}

impl Layout {
    /// Looks through a backup.
    pub(super) fn read(backup: &dyn BackupReader) -> Result<Self, EngineError> {
        let mut paths = Vec::new();
        backup.for_each(&mut |listed| {
            if listed.entry.kind == EntryKind::File {
                paths.push(String::from_utf8_lossy(&listed.path).into_owned());
            }
            Ok(())
        })?;
        paths.sort_unstable();
        let below = |directory: &str| {
            let inside =
                |path: &&String| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
            paths.iter().filter(inside).cloned().collect::<Vec<_>>()
        };
        let has = |name: &str| paths.iter().any(|path| path == name);
        if has(ACCOUNTS) {
            return Ok(Self::Accounts);
        }
        let streams = below(SERVER);
        if !streams.is_empty() {
            return Ok(Self::Server(streams));
        }
        if !(has(DATABASE) && has(TABLES) && has(CODE)) {
            return Err(failed(
                "reading the backup",
                "it does not hold what the engine mariadb writes",
                "choose a backup of a MariaDB database, or restore this one as files",
            ));
        }
        let mut text = String::new();
        let read = backup.open(DATABASE.as_bytes())?.take(STATEMENT_BYTES).read_to_string(&mut text);
        read.map_err(|error| failed("reading the backup", error.to_string(), "check the repository"))?;
        let (name, attributes) = made(&text).ok_or_else(|| {
            failed(
                "reading the backup",
                format!("{DATABASE} does not say the name"),
                "restore this backup as files",
            )
        })?;
        let files = [TABLES, CODE, VIEWS].into_iter().filter(|name| has(name)).collect();
        Ok(Self::Database(Logical { name, attributes, files, segments: below(LOG) }))
    }
}

/// Reads ``CREATE DATABASE `shop` /*!40100 DEFAULT CHARACTER SET … */;``.
fn made(text: &str) -> Option<(String, String)> {
    let (name, rest) = quote::unquoted(text.strip_prefix("CREATE DATABASE ")?)?;
    let (attributes, _) = rest.split_once(";\n")?;
    Some((name, attributes.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_statement_says_name_and_attributes() {
        let text = "CREATE DATABASE `a``b;` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\nUSE `a``b;`;\n";
        let made = super::made(text).unwrap();
        assert_eq!(made, ("a`b;".to_owned(), "/*!40100 DEFAULT CHARACTER SET utf8mb4 */".to_owned()));
        assert_eq!(super::made("DROP DATABASE `x`;\n"), None);
    }
}

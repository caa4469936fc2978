//! The accounts of a server: users, roles and what they may do, as a database of its own.

use super::client::Client;
use super::dump::{dump_run, dumper, entry};
use super::failure::{self, failed};
use super::layout::ACCOUNTS;
use super::load::Loader;
use super::quote;
use crate::engine::{BackupJob, BackupReport, Comparison, RestoreReport};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::{CheckedStream, Completeness};
use crate::words::{count, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;

const ENDS: Completeness =
    Completeness { closing_marker: Some(b"-- Dump completed"), opening_marker: None, least_bytes: 100 };

/// A role that the vendor's program makes for the time of loading.
const HELPER: &str = "mariadb_dump_import_role";

/// Accounts that a server cannot be without: one of its own, and those of whoever administers it.
const OWN: [&str; 2] = ["mariadb.sys", "root"];

/// A right that only those can give who have it to give.
const PROXY: &str = "GRANT PROXY ";

/// What stands before a statement in the evidence.
const STATEMENT: &str = "statement ";

/// What the number of statements is called in the evidence: a server may have none but its own accounts.
const STATEMENTS: &str = "Statements";

/// An account: a user with its host, or a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    name: String,
    /// `None` for a role.
    host: Option<String>,
}

pub(super) fn backup(
    client: &Client,
    job: &BackupJob<'_>,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let text = dump(client)?;
    job.counters.set_current("accounts");
    sink.stream(entry(ACCOUNTS), &mut text.as_bytes(), None)?;
    let accounts = statements(&text).filter(|line| line.starts_with("CREATE USER")).count() as u64;
    let mut evidence: Vec<_> =
        statements(&text).map(|line| (STATEMENT.to_owned() + &hash(line), String::new())).collect();
    evidence.push((STATEMENTS.to_owned(), evidence.len().to_string()));
    Ok(BackupReport {
        position: Some(fingerprint(&text)),
        evidence,
        messages: vec![format!("{} and their rights", count(accounts, "account", "accounts"))],
    })
}

/// Says what the accounts are now, in a form that is the same as long as they are.
pub(super) fn position(client: &Client) -> Result<String, EngineError> {
    Ok(fingerprint(&dump(client)?))
}

/// Brings accounts back. Those that the server has stay as they are unless they may be overwritten; the one that restores
/// always stays.
pub(super) fn restore(
    client: &Client,
    overwrite: bool,
    backup: &dyn BackupReader,
) -> Result<RestoreReport, EngineError> {
    let action = format!("restoring the accounts of {}", client.address.shown());
    let mut text = String::new();
    let read = backup.open(ACCOUNTS.as_bytes())?.read_to_string(&mut text);
    read.map_err(|error| failed(&action, error.to_string(), "check the repository"))?;
    let there = accounts_of(client, &action)?;
    let oneself = client.value(&action, "SELECT CURRENT_USER()")?;
    let oneself = oneself
        .rsplit_once('@')
        .map(|(name, host)| Account { name: name.to_owned(), host: Some(host.to_owned()) });
    let mut kept = BTreeSet::new();
    let mut made = BTreeSet::new();
    let mut messages = Vec::new();
    let mut loader = Loader::start(client, None, action)?;
    for line in text.lines() {
        if let Some(account) = subject(line) {
            let is_there = there.contains(&account);
            // A role made here needs those that may give it on, whoever they are.
            let is_new_role =
                role_given(line).is_some_and(|role| made.contains(&Account { name: role, host: None }));
            let is_own = Some(&account) == oneself.as_ref() || OWN.contains(&account.name.as_str());
            if !is_new_role && (is_own || (is_there && !overwrite)) {
                kept.insert(account);
                continue;
            }
            if line.starts_with(PROXY) {
                messages.push(format!("to be done by hand: {line}"));
                continue;
            }
            if !is_new_role {
                made.insert(account);
            }
        }
        let line = match overwrite {
            true => replacing(line),
            false => format!("{line}\n"),
        };
        loader.feed(line.as_bytes())?;
    }
    loader.finish()?;
    let made = count(made.len() as u64, "account was", "accounts were");
    messages.insert(0, format!("{made} restored"));
    if !kept.is_empty() {
        let kept = count(kept.len() as u64, "account was", "accounts were");
        messages.push(format!(
            "{kept} there already, or belong to the server or to this restore, and stayed as they are"
        ));
    }
    Ok(RestoreReport { files: 1, bytes: text.len() as u64, messages })
}

/// Says which accounts and rights of the backup a server does not have.
pub(super) fn compare(client: &Client, report: &BackupReport) -> Result<Comparison, EngineError> {
    let text = dump(client)?;
    let there: BTreeSet<String> = statements(&text).map(hash).collect();
    let wanted = report.evidence.iter().filter_map(|(name, _)| name.strip_prefix(STATEMENT));
    let (mut number, mut missing) = (0, 0_u64);
    for hash in wanted {
        number += 1;
        missing += u64::from(!there.contains(hash));
    }
    let differences = match missing {
        0 if number == 0 && !report.evidence.iter().any(|(name, _)| name == STATEMENTS) => {
            vec!["the backup has no evidence to compare with".to_owned()]
        }
        0 => Vec::new(),
        missing => vec![format!(
            "{} of the backup are not what the server has",
            count(missing, "statement", "statements")
        )],
    };
    let compared = format!("{} of accounts and rights", count(number, "statement", "statements"));
    Ok(Comparison { compared, differences, changed_since: 0 })
}

fn dump(client: &Client) -> Result<String, EngineError> {
    let action = format!("dumping the accounts of {}", client.address.shown());
    let tool = dumper(client)?;
    let explained = |failure| failure::explain(failure, &action, &client.address);
    let running = tool.start(dump_run(client).arg("--system=users")).map_err(explained)?;
    let mut stream = CheckedStream::new(running, ENDS);
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    if let Some(failure) = stream.into_failure() {
        return Err(explained(failure));
    }
    client.cancel.check()?;
    read.map_err(|error| failed(action, error.to_string(), "start again"))?;
    Ok(text)
}

/// Yields what makes accounts and gives rights; not what depends on who loads it.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| {
        let is_common = subject(line).is_some_and(|account| !OWN.contains(&account.name.as_str()));
        is_common && !line.contains(HELPER) && !line.starts_with(PROXY)
    })
}

fn hash(line: &str) -> String {
    hex(Sha256::digest(line.as_bytes()).get(..12).unwrap_or_default())
}

fn fingerprint(text: &str) -> String {
    let mut hashing = Sha256::new();
    for line in text.lines().filter(|line| subject(line).is_some()) {
        hashing.update(line.as_bytes());
        hashing.update(b"\n");
    }
    hex(&hashing.finalize())
}

fn accounts_of(client: &Client, action: &str) -> Result<BTreeSet<Account>, EngineError> {
    let rows = client.ask(action, "SELECT User, Host, is_role FROM mysql.user")?;
    let accounts = rows.into_iter().filter_map(|row| {
        let mut fields = row.into_iter();
        let (name, host, is_role) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Account { name, host: (is_role != "Y").then_some(host) })
    });
    Ok(accounts.collect())
}

/// Makes a statement that creates an account put it in the place of one that is there.
fn replacing(line: &str) -> String {
    for (begin, instead) in [
        ("CREATE USER ", "CREATE OR REPLACE USER "),
        ("/*M!100005 CREATE ROLE ", "/*M!100005 CREATE OR REPLACE ROLE "),
    ] {
        if let Some(rest) = line.strip_prefix(begin) {
            return format!("{instead}{rest}\n");
        }
    }
    format!("{line}\n")
}

/// Finds the role that a statement gives to somebody.
fn role_given(line: &str) -> Option<String> {
    let rest = line.strip_prefix("/*M!100005 ").unwrap_or(line).strip_prefix("GRANT ")?;
    let (name, rest) = quoted(rest)?;
    rest.starts_with(" TO ").then_some(name)
}

/// Finds whom a statement is about.
fn subject(line: &str) -> Option<Account> {
    let words = ["CREATE USER ", "ALTER USER ", "CREATE ROLE ", " FOR ", " TO "];
    let begins = ["CREATE USER ", "GRANT ", "/*!", "/*M!"];
    if !begins.iter().any(|begin| line.starts_with(begin)) {
        return None;
    }
    words.iter().find_map(|word| {
        let (_, rest) = line.rsplit_once(word)?;
        let (name, rest) = quoted(rest)?;
        let host = rest.strip_prefix('@').and_then(quoted).map(|(host, _)| host);
        Some(Account { name, host })
    })
}

/// Reads a name in backticks or quotes.
fn quoted(text: &str) -> Option<(String, &str)> {
    if text.starts_with('`') {
        return quote::unquoted(text);
    }
    let mut name = String::new();
    let mut rest = text.strip_prefix('\'')?.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\'' => return Some((name, text.get(at + 2..)?)),
            '\\' => name.push(rest.next()?.1),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_is_about_one_account() {
        for (line, name, host) in [
            ("CREATE USER `a'b`@`%` IDENTIFIED BY PASSWORD '*X';", "a'b", Some("%")),
            ("GRANT SELECT ON `lk`.* TO `r1`;", "r1", None),
            ("GRANT USAGE ON *.* TO `o`@`h` IDENTIFIED BY PASSWORD '*X' REQUIRE SSL;", "o", Some("h")),
            ("GRANT `r1` TO `root`@`localhost` WITH ADMIN OPTION;", "root", Some("localhost")),
            ("/*M!100005 SET DEFAULT ROLE 'r1' FOR 'o\\'q'@'%' */;", "o'q", Some("%")),
            ("/*M!100005 CREATE ROLE 'r1' WITH ADMIN mariadb_dump_import_role */;", "r1", None),
        ] {
            let account = Account { name: name.to_owned(), host: host.map(str::to_owned) };
            assert_eq!(subject(line), Some(account), "{line}");
        }
        for line in
            ["SET ROLE NONE;", "GRANT mariadb_dump_import_role TO CURRENT_USER();", "-- GRANT x TO `y`"]
        {
            assert_eq!(subject(line), None, "{line}");
        }
    }
}

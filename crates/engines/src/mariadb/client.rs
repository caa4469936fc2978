//! Asking a server through the vendor's own client.

use super::address::Address;
use super::failure;
use super::quote;
use crate::error::EngineError;
use crate::tool::{Tool, ToolFailure, ToolRun, Tools, Version, Wanted};
use crate::words::plain;
use larder_model::{Cancel, Secret, Source};
use rustix::fs::{MemfdFlags, Mode};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// The client, for questions and for what is loaded.
pub(super) const CLIENT: Wanted<'static> = Wanted {
    names: &["mariadb", "mysql"],
    package: "mariadb-client",
    at_least: None,
    because: "",
    read: distribution,
    question: "--version",
};

/// Reads the version of the server a program came with: `mariadb  Ver 15.1 Distrib 10.11.6-MariaDB` is 10.11.6.
pub(super) fn distribution(text: &str) -> Option<Version> {
    let after = ["Distrib ", "from "].iter().find_map(|word| text.split_once(word));
    Version::in_text(after.map_or(text, |(_, after)| after))
}

/// What the vendor's programs read their password from: memory of this process that looks like a file to its children.
///
/// It has no name in any file system, and only this user and root can open it.
#[derive(Debug)]
struct OptionFile {
    memory: File,
}

impl OptionFile {
    fn write(text: &str) -> io::Result<Self> {
        let memory = rustix::fs::memfd_create("larder-options", MemfdFlags::CLOEXEC)?;
        // The programs pass over option files that everybody may write.
        rustix::fs::fchmod(&memory, Mode::from_raw_mode(0o600))?;
        let mut memory = File::from(memory);
        memory.write_all(text.as_bytes())?;
        Ok(Self { memory })
    }

    fn argument(&self) -> String {
        format!("--defaults-file=/proc/{}/fd/{}", std::process::id(), self.memory.as_raw_fd())
    }
}

/// A way to one server for the vendor's programs.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) tools: Tools,
    pub(super) address: Address,
    options: Arc<OptionFile>,
    password: Option<Secret>,
    pub(super) cancel: Cancel,
    program: Tool,
}

impl Client {
    pub(super) fn new(tools: &Tools, source: &Source, cancel: &Cancel) -> Result<Self, EngineError> {
        let address = Address::of(source)?;
        Self::at(tools, address, source.password.clone(), cancel)
    }

    pub(super) fn at(
        tools: &Tools,
        address: Address,
        password: Option<Secret>,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let text = address.option_file(password.as_ref().map(Secret::expose));
        let options = OptionFile::write(&text).map_err(|error| EngineError::Failed {
            action: format!("preparing to ask {}", address.shown()),
            cause: plain(error),
            remedy: "see whether the host has memory and file descriptors left".to_owned(),
        })?;
        let program = tools.find(&CLIENT)?;
        let (tools, cancel) = (tools.clone(), cancel.clone());
        Ok(Self { tools, address, options: Arc::new(options), password, cancel, program })
    }

    /// Returns a way to the same server that an abort does not close, for what must be tidied up after it.
    pub(super) fn tidying(&self) -> Self {
        Self { cancel: Cancel::new(), ..self.clone() }
    }

    /// Prepares a run of one of the vendor's programs against this server.
    pub(super) fn run(&self) -> ToolRun {
        // Only as the first argument is it believed.
        let run = ToolRun::new(&self.cancel).arg(self.options.argument());
        match &self.password {
            Some(password) => run.masked(password),
            None => run,
        }
    }

    /// Prepares the client program itself, for statements that are fed to it.
    pub(super) fn loading(&self, database: Option<&str>) -> (Tool, ToolRun) {
        let run = self.run().args(["--batch", "--binary-mode", "--default-character-set=utf8mb4"]);
        let run = run.args(["--max-allowed-packet=1G", "--unbuffered"]).fed();
        let run = match database {
            Some(database) => run.arg(format!("--database={database}")),
            None => run,
        };
        (self.program.clone(), run)
    }

    /// Asks, and returns the rows.
    pub(super) fn ask(&self, action: &str, sql: &str) -> Result<Vec<Vec<String>>, EngineError> {
        self.try_ask(sql).map_err(|failure| failure::explain(failure, action, &self.address))
    }

    /// Asks, for those who know better what a refusal means.
    pub(super) fn try_ask(&self, sql: &str) -> Result<Vec<Vec<String>>, ToolFailure> {
        let run = self.run().args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        let printed = self.program.ask(run.arg("--connect-timeout=20").arg(format!("--execute={sql}")))?;
        let printed = String::from_utf8_lossy(&printed);
        Ok(printed.lines().map(|line| line.split('\t').map(unescaped).collect()).collect())
    }

    /// Asks for one value.
    pub(super) fn value(&self, action: &str, sql: &str) -> Result<String, EngineError> {
        let rows = self.ask(action, sql)?;
        rows.into_iter().next().and_then(|row| row.into_iter().next()).ok_or_else(|| EngineError::Failed {
            action: action.to_owned(),
            cause: format!("the server answered nothing to: {sql}"),
            remedy: "see whether the address leads to a MariaDB server".to_owned(),
        })
    }

    /// Says whether there is a database of this name.
    pub(super) fn has(&self, database: &str) -> Result<bool, EngineError> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            quote::text(database)
        );
        let action = format!("looking for the database {database} at {}", self.address.shown());
        Ok(self.value(&action, &sql)? != "0")
    }
}

/// Reads a field as `--batch` writes it.
fn unescaped(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut text = String::with_capacity(field.len());
    let mut rest = field.chars();
    while let Some(c) = rest.next() {
        match (c, c == '\\') {
            (_, true) => match rest.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            (other, false) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_client_writes_them() {
        assert_eq!(unescaped("a\\tb\\nc\\\\d\\0"), "a\tb\nc\\d\0");
        assert_eq!(unescaped("plain"), "plain");
    }

    #[test]
    fn the_version_is_the_servers_and_not_the_programs() {
        for (text, version) in [
            ("mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", "10.11.19"),
            ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)", "11.4.2"),
            ("mysql  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", "8.0.36"),
        ] {
            assert_eq!(distribution(text).map(|found| found.to_string()).as_deref(), Some(version));
        }
    }
}

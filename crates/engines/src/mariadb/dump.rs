//! The dump of one database: what is run, and what is kept of it.
//!
//! Three files, to be loaded in the order of their names after the database is made as `0-database.sql` says: the tables
//! with their rows, the code (triggers, routines, events), and the views, which may need both.

use super::client::{Client, distribution};
use super::digest::{DumpSums, SumReader};
use super::failure::{self, failed};
use super::inventory::Inventory;
use super::quote;
use crate::error::EngineError;
use crate::sink::Sink;
use crate::tool::{CheckedStream, Completeness, Tool, ToolRun, ToolTrouble, Version, Wanted};
use larder_model::{Counters, Entry, EntryKind, Metadata};
use std::io::{Cursor, Read};

/// The program that dumps.
const DUMPER: Wanted<'static> = Wanted {
    names: &["mariadb-dump", "mysqldump"],
    package: "mariadb-client",
    at_least: None,
    because: "",
    read: distribution,
    question: "--version",
};

/// What every whole dump ends with.
const DUMP_ENDS: Completeness =
    Completeness { closing_marker: Some(b"-- Dump completed"), opening_marker: None, least_bytes: 100 };

/// How the database itself is made.
pub(super) const DATABASE: &str = "0-database.sql";
/// Tables and rows.
pub(super) const TABLES: &str = "1-tables.sql";
/// Triggers, routines and events.
pub(super) const CODE: &str = "2-code.sql";
/// Views.
pub(super) const VIEWS: &str = "3-views.sql";

/// A dump about to be made.
pub(super) struct Dump<'a> {
    pub(super) client: &'a Client,
    pub(super) database: &'a str,
    pub(super) inventory: &'a Inventory,
    /// Whether the log's position is to be in it.
    pub(super) with_position: bool,
    tool: Tool,
}

impl<'a> Dump<'a> {
    /// Finds the program: one at least as new as the server, which alone knows all that the server has.
    pub(super) fn new(
        client: &'a Client,
        database: &'a str,
        inventory: &'a Inventory,
        with_position: bool,
    ) -> Result<Self, EngineError> {
        let tool = dumper(client)?;
        Ok(Self { client, database, inventory, with_position, tool })
    }

    fn action(&self) -> String {
        format!("dumping {} from {}", self.database, self.client.address.shown())
    }

    fn run(&self) -> ToolRun {
        dump_run(self.client)
    }

    /// Starts dumping the tables.
    pub(super) fn tables(&self) -> Result<CheckedStream, EngineError> {
        let not_still = self.inventory.not_transactional();
        let mut run =
            self.run().args(["--skip-triggers", "--order-by-primary", "--quick", "--skip-add-locks"]);
        run = match (not_still.is_empty(), self.with_position) {
            (true, _) => run.args(["--single-transaction", "--skip-lock-tables"]),
            // Only a lock keeps these still; with the log's position it must be one on everything.
            (false, true) => run.arg("--lock-all-tables"),
            (false, false) => run.arg("--lock-tables"),
        };
        if self.with_position {
            run = run.arg("--master-data=2");
        }
        if self.inventory.tables.iter().any(|table| table.is_versioned) {
            run = run.arg("--dump-history");
        }
        for view in &self.inventory.views {
            run = run.arg(format!("--ignore-table={}.{view}", self.database));
        }
        self.start(run.args(["--", self.database]))
    }

    /// Starts dumping triggers, routines and events.
    pub(super) fn code(&self) -> Result<CheckedStream, EngineError> {
        let run = self.run().args([
            "--no-data",
            "--no-create-info",
            "--skip-lock-tables",
            "--triggers",
            "--routines",
        ]);
        // The program asks wrongly for the events of a database with a quote in its name, and fails where there are none.
        let run = if self.inventory.events.is_empty() { run } else { run.arg("--events") };
        self.start(run.args(["--", self.database]))
    }

    /// Starts dumping the views; `None` where there are none.
    pub(super) fn views(&self) -> Result<Option<CheckedStream>, EngineError> {
        if self.inventory.views.is_empty() {
            return Ok(None);
        }
        let run =
            self.run().args(["--no-data", "--skip-triggers", "--skip-lock-tables", "--", self.database]);
        self.start(run.args(&self.inventory.views)).map(Some)
    }

    fn start(&self, run: ToolRun) -> Result<CheckedStream, EngineError> {
        let started = self.tool.start(run);
        let running =
            started.map_err(|failure| failure::explain(failure, &self.action(), &self.client.address))?;
        Ok(CheckedStream::new(running, DUMP_ENDS))
    }

    /// Writes the whole dump into a sink; returns what was seen in the tables, and a moment of the server's clock that is not
    /// before the one they were seen at.
    pub(super) fn write(
        &self,
        sink: &mut dyn Sink,
        counters: &Counters,
    ) -> Result<(DumpSums, i64), EngineError> {
        let statement = self
            .client
            .ask(&self.action(), &format!("SHOW CREATE DATABASE {}", quote::name(self.database)))?;
        let statement = statement.first().and_then(|row| row.get(1)).cloned().unwrap_or_default();
        let text = format!("{statement};\nUSE {};\n", quote::name(self.database));
        sink.stream(entry(DATABASE), &mut text.as_bytes(), None)?;
        counters.set_current(&format!("{}: tables", self.database));
        let mut tables = self.tables()?;
        let first = self.first_piece(&mut tables)?;
        // Its transaction has begun: before that the program prints nothing.
        let seen = self.client.value(&self.action(), "SELECT UNIX_TIMESTAMP()")?.parse().unwrap_or_default();
        let sums = self.stream(sink, TABLES, tables, first)?;
        counters.set_current(&format!("{}: code", self.database));
        self.stream(sink, CODE, self.code()?, Vec::new())?;
        if let Some(views) = self.views()? {
            counters.set_current(&format!("{}: views", self.database));
            self.stream(sink, VIEWS, views, Vec::new())?;
        }
        self.check(&sums)?;
        Ok((sums, seen))
    }

    fn first_piece(&self, stream: &mut CheckedStream) -> Result<Vec<u8>, EngineError> {
        let mut piece = vec![0; 4096];
        match stream.read(&mut piece) {
            Ok(length) => piece.truncate(length),
            // Reading on tells it again.
            Err(_) => piece.clear(),
        }
        self.client.cancel.check()?;
        Ok(piece)
    }

    /// Hands one stream on, what was read of it already first. The program's own words are better than what the sink made of
    /// its read error.
    fn stream(
        &self,
        sink: &mut dyn Sink,
        name: &str,
        stream: CheckedStream,
        first: Vec<u8>,
    ) -> Result<DumpSums, EngineError> {
        let mut reader = SumReader::new(Cursor::new(first).chain(stream));
        let taken = sink.stream(entry(name), &mut reader, None);
        let (chain, sums) = reader.finish();
        let (_, mut stream) = chain.into_inner();
        let bytes = stream.length();
        // Only at its end does the stream know how the program ended.
        let is_at_end = taken.is_ok() && matches!(stream.read(&mut [0]), Ok(0));
        if let Some(failure) = stream.into_failure() {
            return Err(self.explain(failure));
        }
        self.client.cancel.check()?;
        if taken? != bytes || !is_at_end {
            return Err(failed(
                self.action(),
                format!("not all of {name} was taken"),
                "start the backup again",
            ));
        }
        Ok(sums)
    }

    /// Reads a dump of the tables to its end for what is in it.
    pub(super) fn sums(&self) -> Result<DumpSums, EngineError> {
        let mut reader = SumReader::new(self.tables()?);
        let read = std::io::copy(&mut reader.by_ref(), &mut std::io::sink());
        let (stream, sums) = reader.finish();
        if let Some(failure) = stream.into_failure() {
            return Err(self.explain(failure));
        }
        self.client.cancel.check()?;
        read.map_err(|error| failed(self.action(), error.to_string(), "start again"))?;
        Ok(sums)
    }

    fn explain(&self, failure: crate::tool::ToolFailure) -> EngineError {
        if let ToolTrouble::Silent(seconds) = failure.trouble
            && let Some(waiting) = waiting_for_lock(self.client, self.database)
        {
            return failed(
                self.action(),
                format!(
                    "a table stayed locked by somebody else for {seconds} s, while the dump asked: {waiting}"
                ),
                "end the transaction or statement that keeps it locked (SHOW PROCESSLIST), or raise the source's option LockSeconds",
            );
        }
        failure::explain(failure, &self.action(), &self.client.address)
    }

    /// Every table that was there must be in the dump.
    fn check(&self, sums: &DumpSums) -> Result<(), EngineError> {
        let missing = self.inventory.tables.iter().find(|table| !sums.tables.contains_key(&table.name));
        match missing {
            Some(table) => Err(failed(
                self.action(),
                format!("the table {} is not in the dump", table.name),
                "start the backup again; if it stays so, look at that table with CHECK TABLE",
            )),
            None => Ok(()),
        }
    }
}

/// Finds the program that dumps this server.
pub(super) fn dumper(client: &Client) -> Result<Tool, EngineError> {
    let action = format!("asking {} for its version", client.address.shown());
    let server = client.value(&action, "SELECT VERSION()")?;
    let version = Version::in_text(&server).unwrap_or_default();
    let because = format!("the server is {server}");
    let at_least = Some(Version::new(&[version.part(0), version.part(1)]));
    client.tools.find(&Wanted { at_least, because: &because, ..DUMPER.clone() })
}

/// Prepares what every run of the program has in common.
pub(super) fn dump_run(client: &Client) -> ToolRun {
    client
        .run()
        .args(["--default-character-set=utf8mb4", "--hex-blob", "--skip-dump-date", "--no-tablespaces"])
        .args(["--max-allowed-packet=1G", "--tz-utc", "--comments"])
        .silent_for_at_most(client.address.lock_patience)
}

/// Says what a statement of ours waits for, and ends it: the server does not see that the one who asked is gone.
fn waiting_for_lock(client: &Client, database: &str) -> Option<String> {
    let sql = format!(
        "SELECT ID, LEFT(REPLACE(INFO, '\\n', ' '), 120) FROM information_schema.PROCESSLIST \
         WHERE USER = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND STATE LIKE 'Waiting for%lock%' AND DB = {}",
        quote::text(database)
    );
    let rows = client.try_ask(&sql).ok()?;
    let row = rows.first()?;
    let _ = row.first().map(|id| client.try_ask(&format!("KILL {id}")));
    row.get(1).cloned()
}

/// Makes the entry of a stream.
pub(super) fn entry(name: &str) -> Entry {
    let metadata = Metadata { mode: 0o600, links: 1, ..Metadata::default() };
    Entry { name: name.as_bytes().to_vec(), kind: EntryKind::File, metadata }
}

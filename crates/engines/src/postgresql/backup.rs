//! Makes a backup: one moment of a database, streamed.

use super::discover::name_of;
use super::failure::explained;
use super::login::Login;
use super::properties::Properties;
use super::session::Session;
use super::tally::{Rows, Tally};
use super::{CLIENT_PACKAGE, DUMP, GLOBALS, PROPERTIES, changed};
use crate::engine::{BackupJob, BackupReport};
use crate::error::EngineError;
use crate::sink::Sink;
use crate::tool::{CheckedStream, Completeness, Tool, ToolRun, Tools, Version, Wanted};
use crate::words::count;
use larder_model::task::BackupType;
use larder_model::{Cancel, Entry, EntryKind, Metadata, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::sync::atomic::Ordering::Relaxed;

/// What stands before the counts of objects in a backup's evidence.
pub(super) const OBJECTS: &str = "Objects: ";

/// A dump is complete when `pg_dump` says so, in words and by its exit status.
pub(super) const COMPLETE: Completeness = Completeness {
    closing_marker: Some(b"-- PostgreSQL database dump complete"),
    opening_marker: Some(b"--\n-- PostgreSQL database dump\n"),
    least_bytes: 100,
};

const GLOBALS_COMPLETE: Completeness = Completeness {
    closing_marker: Some(b"-- PostgreSQL database cluster dump complete"),
    opening_marker: Some(b"--\n-- PostgreSQL database cluster dump\n"),
    least_bytes: 100,
};

/// The tables whose rows a dump must hold, each as the dump spells it. Extensions say themselves what of their tables is dumped.
const TABLES: &str = "SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname)), '[]')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// How large the database is on its server's disk; the dump is seldom larger.
const SIZE: &str = "SELECT to_jsonb(pg_database_size(current_database()))";

pub(super) fn backup(
    tools: &Tools,
    job: &BackupJob<'_>,
    sink: &mut dyn Sink,
) -> Result<BackupReport, EngineError> {
    let login = Login::of(job.source)?;
    let name = name_of(&job.database.locator);
    let mut session = Session::open(tools, &login, name, job.cancel)?;
    let server = session.version()?;
    let dumper = tool_for(tools, "pg_dump", &server)?;
    // Everything that is asked and dumped from here on is of one moment.
    session.run(
        "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )?;
    let snapshot = session.ask("SELECT to_jsonb(pg_export_snapshot())")?;
    let snapshot = snapshot.as_str().unwrap_or_default().to_owned();
    let properties = Properties::ask(&mut session)?;
    let tables = session.ask(TABLES)?;
    let tables: BTreeSet<String> = serde_json::from_value(tables).unwrap_or_default();
    let position = changed::position(&mut session)?;
    let size = session.ask(SIZE).ok().and_then(|size| size.as_u64()).unwrap_or_default();
    job.counters.bytes_total.store(size, Relaxed);
    let mut messages = Vec::new();
    if job.backup_type == BackupType::Snapshot {
        messages.push(
            "a single database has no snapshot of its files, so it was dumped; the option WholeServer makes the server as a whole a database with snapshots".to_owned(),
        );
    }
    store_properties(&properties, sink)?;
    job.counters.set_current("roles and tablespaces");
    store_globals(tools, job, &login, &server, sink, &mut messages)?;
    job.counters.set_current(name);
    let run = dump_run(&login, name, job.cancel)
        .arg(format!("--snapshot={snapshot}"))
        .arg(format!("--lock-wait-timeout={}s", login.lock_seconds));
    let rows = stream_dump(&dumper, run, name, sink)?;
    session.close()?;
    let lost: Vec<&String> = tables.iter().filter(|table| !rows.contains_key(*table)).collect();
    if let Some(first) = lost.first() {
        return Err(EngineError::Failed {
            action: format!("backing up the database {name}"),
            cause: format!(
                "the dump lacks {}, the first is {first}",
                count(lost.len() as u64, "table", "tables")
            ),
            remedy: "start the backup again, and if it happens again report it".to_owned(),
        });
    }
    job.counters.items_total.store(job.counters.items_done.load(Relaxed), Relaxed);
    Ok(BackupReport { position: Some(position), evidence: evidence(&properties, &rows), messages })
}

/// Finds a program that can read a server of this version.
pub(super) fn tool_for(tools: &Tools, name: &str, server: &Version) -> Result<Tool, EngineError> {
    let because = format!("the server is PostgreSQL {server}, which an older program cannot dump");
    let names = [name];
    let wanted = Wanted {
        at_least: Some(Version::new(&[server.part(0)])),
        because: &because,
        ..Wanted::any(&names, CLIENT_PACKAGE)
    };
    tools.find(&wanted)
}

/// Makes the run that dumps a database; the same for a backup and for what it is compared with.
pub(super) fn dump_run(login: &Login, database: &str, cancel: &Cancel) -> ToolRun {
    login.run(database, cancel).args(["--format=plain", "--no-tablespaces"])
}

fn stream_dump(
    dumper: &Tool,
    run: ToolRun,
    name: &str,
    sink: &mut dyn Sink,
) -> Result<BTreeMap<String, Rows>, EngineError> {
    let action = format!("dumping the database {name}");
    let running = dumper.start(run).map_err(|failure| explained(failure, &action))?;
    let stream = BufReader::with_capacity(1 << 20, CheckedStream::new(running, COMPLETE));
    let mut tally = Tally::new(stream);
    let streamed = sink.stream(file(DUMP, 0), &mut tally, None);
    let (stream, rows) = tally.finish();
    // What the program says is nearer to the cause than what came of it.
    match (stream.into_inner().into_failure(), streamed) {
        (Some(failure), _) => Err(explained(failure, action)),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(_)) => Ok(rows),
    }
}

fn store_properties(properties: &Properties, sink: &mut dyn Sink) -> Result<(), EngineError> {
    let text = serde_json::to_string_pretty(properties).map_err(|error| EngineError::Failed {
        action: "describing the database".to_owned(),
        cause: error.to_string(),
        remedy: "report it".to_owned(),
    })?;
    sink.stream(file(PROPERTIES, text.len() as u64), &mut text.as_bytes(), None)?;
    Ok(())
}

/// Adds roles and tablespaces: with the roles' passwords where the user may read them.
fn store_globals(
    tools: &Tools,
    job: &BackupJob<'_>,
    login: &Login,
    server: &Version,
    sink: &mut dyn Sink,
    messages: &mut Vec<String>,
) -> Result<(), EngineError> {
    let dumper = tool_for(tools, "pg_dumpall", server)?;
    let action = "dumping the roles and tablespaces of the server";
    let mut session = Session::open(tools, login, login.maintenance(), job.cancel)?;
    let may = "SELECT to_jsonb(has_table_privilege('pg_catalog.pg_authid', 'SELECT'))";
    let with_passwords = session.ask(may)?.as_bool() == Some(true);
    session.close()?;
    let mut run = login
        .run(login.maintenance(), job.cancel)
        .args(["--globals-only", "--database"])
        .arg(login.maintenance());
    if !with_passwords {
        run = run.arg("--no-role-passwords");
        messages.push(
            "the roles are kept without their passwords, because the user may not read pg_catalog.pg_authid"
                .to_owned(),
        );
    }
    let running = dumper.start(run).map_err(|failure| explained(failure, action))?;
    let mut stream = CheckedStream::new(running, GLOBALS_COMPLETE);
    let streamed = sink.stream(file(GLOBALS, 0), &mut stream, None);
    match (stream.into_failure(), streamed) {
        (Some(failure), _) => Err(explained(failure, action)),
        (None, streamed) => Ok(streamed.map(|_| ())?),
    }
}

/// Reads a whole dump for what it holds.
pub(super) fn tallied(bytes: impl Read) -> (std::io::Result<u64>, BTreeMap<String, Rows>) {
    let mut tally = Tally::new(BufReader::with_capacity(1 << 20, bytes));
    let read = std::io::copy(&mut tally, &mut std::io::sink());
    (read, tally.finish().1)
}

pub(super) fn evidence(properties: &Properties, rows: &BTreeMap<String, Rows>) -> Vec<(String, String)> {
    let tables = rows.iter().map(|(name, rows)| (Rows::evidence_name(name), rows.to_text()));
    let objects =
        properties.objects.iter().map(|(kind, number)| (format!("{OBJECTS}{kind}"), number.to_string()));
    tables.chain(objects).collect()
}

/// Makes the entry of a file that nobody owns; its time says nothing, so that the same content is the same file.
pub(super) fn file(name: &str, size: u64) -> Entry {
    let modified = Timestamp { seconds: 0, nanoseconds: 0 };
    let metadata =
        Metadata { mode: 0o600, size, modified, changed: modified, links: 1, ..Metadata::default() };
    Entry { name: name.into(), kind: EntryKind::File, metadata }
}

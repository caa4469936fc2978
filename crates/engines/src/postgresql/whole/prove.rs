//! Proves a backup of a whole server: a private one is started on it, and everything in it is read.

use super::lsn::Lsn;
use super::position::ServerPosition;
use super::restore::description;
use super::until::choose;
use super::{DATABASE, LOG, failed, private};
use crate::engine::{Comparison, ProofJob};
use crate::error::EngineError;
use crate::postgresql::backup::{COMPLETE, dump_run, tallied, tool_for};
use crate::postgresql::failure::explained;
use crate::postgresql::login::Login;
use crate::postgresql::session::Session;
use crate::sink::BackupReader;
use crate::tool::{CheckedStream, Tools};
use crate::words::count;
use larder_model::Cancel;
use std::collections::BTreeSet;

/// Every database that can be looked into, the server's own among them.
const DATABASES: &str = "SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]') FROM pg_catalog.pg_database WHERE datallowconn";

/// What can check indexes, if it is installed.
const CHECKER: &str =
    "SELECT to_jsonb(count(*) > 0) FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'";

/// Makes it ready, also where the copy has it already.
const MAKE_CHECKER: &str = "DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'amcheck') THEN
        CREATE SCHEMA larder_proof; CREATE EXTENSION amcheck SCHEMA larder_proof; END IF; END $$";

const SCHEMA: &str = "SELECT to_jsonb(quote_ident(n.nspname)) FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'";

/// Everything that was read.
#[derive(Default)]
struct Read {
    tables: u64,
    rows: u64,
    indexes: u64,
}

pub(in crate::postgresql) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let position = description(backup)?;
    let mut differences = missing_log(backup, &position)?;
    let (base, end) = choose(&position, None)?;
    let scratch = private::start(tools, backup, &position, base, &end, job.scratch, job.cancel)?;
    let login = Login::of(&scratch.source)?;
    let mut session = Session::open(tools, &login, login.maintenance(), job.cancel)?;
    let replayed = session.ask("SELECT coalesce(to_jsonb(pg_last_wal_replay_lsn()::text), '\"\"')")?;
    let replayed: Option<Lsn> = replayed.as_str().and_then(|text| text.parse().ok());
    if replayed.is_none_or(|replayed| replayed < base.stop) {
        differences.push(format!("the log was not replayed to {}", base.stop));
    }
    let names: BTreeSet<String> = serde_json::from_value(session.ask(DATABASES)?).unwrap_or_default();
    session.close()?;
    let evidence = job.report.evidence.iter().filter_map(|(name, _)| name.strip_prefix(DATABASE));
    differences.extend(
        evidence.filter(|name| !names.contains(*name)).map(|name| format!("the database {name} is missing")),
    );
    let mut read = Read::default();
    for name in &names {
        if let Err(error) = read_all(tools, &login, name, &mut read, job.cancel) {
            job.cancel.check()?;
            differences.push(format!("the database {name} is not sound: {error}"));
        }
    }
    let Read { tables, rows, indexes } = read;
    let segments = (position.segments.1 + 1).saturating_sub(position.segments.0);
    let compared = format!(
        "{}, {}, {} read in a server started on the copy, {} checked, {} of log without a gap",
        count(names.len() as u64, "database", "databases"),
        count(tables, "table", "tables"),
        count(rows, "row", "rows"),
        count(indexes, "index", "indexes"),
        count(segments, "piece", "pieces"),
    );
    Ok(Comparison { compared, differences, changed_since: 0 })
}

/// Names the pieces of log that should be there and are not.
fn missing_log(backup: &dyn BackupReader, position: &ServerPosition) -> Result<Vec<String>, EngineError> {
    let mut there = BTreeSet::new();
    backup.for_each(&mut |listed| {
        let name = listed.path.strip_prefix(format!("{LOG}/").as_bytes());
        there.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
        Ok(())
    })?;
    let wanted = (position.segments.0..=position.segments.1).map(|number| position.segment_name(number));
    let missing = wanted.filter(|name| !there.contains(name));
    Ok(missing.map(|name| format!("the piece of log {name} is missing")).collect())
}

/// Reads every row of a database, and checks every index that can be checked.
fn read_all(
    tools: &Tools,
    login: &Login,
    name: &str,
    read: &mut Read,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut session = Session::open(tools, login, name, cancel)?;
    let dumper = tool_for(tools, "pg_dump", &session.version()?)?;
    if session.ask(CHECKER)?.as_bool() == Some(true) {
        session.run(MAKE_CHECKER)?;
        let schema = session.ask(SCHEMA)?;
        let schema = schema.as_str().unwrap_or("public").to_owned();
        let checked = session.ask(&format!(
            "SELECT to_jsonb(count({schema}.bt_index_check(c.oid)::text)) FROM pg_catalog.pg_index i
                JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
                WHERE m.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready"
        ))?;
        read.indexes += checked.as_u64().unwrap_or_default();
    }
    session.close()?;
    let action = format!("reading the database {name} of the copy");
    let running =
        dumper.start(dump_run(login, name, cancel)).map_err(|failure| explained(failure, &action))?;
    let mut stream = CheckedStream::new(running, COMPLETE);
    let (outcome, tables) = tallied(&mut stream);
    if let Some(failure) = stream.into_failure() {
        return Err(explained(failure, action));
    }
    outcome.map_err(|error| failed(action, error.to_string(), "verify it again"))?;
    let real = tables.iter().filter(|(name, _)| !name.starts_with("larder_proof."));
    for (_, rows) in real {
        read.tables += 1;
        read.rows += rows.count;
    }
    Ok(())
}

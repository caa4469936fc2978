//! MariaDB servers: the engine `mariadb`.
//!
//! Every database of the server is a database; so are its accounts, and, where the source says so, the server as a whole.

mod accounts;
mod address;
mod backup;
mod client;
mod compare;
mod digest;
mod discover;
mod dump;
mod facts;
mod failure;
mod inventory;
mod layout;
mod load;
mod log;
mod position;
mod quote;
mod replay;
mod restore;
mod rights;
mod scratch;
mod whole;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, SourceOption,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use client::Client;
use facts::Facts;
use inventory::Inventory;
use jiff::Timestamp;
use larder_model::{Cancel, Database, EngineKind, Source};
use position::Position;
use rights::{Needs, Rights};
use std::path::PathBuf;

/// Where the accounts are within a source; no database's locator is this.
const ACCOUNTS_LOCATOR: &str = ":accounts";

/// Where the server as a whole is.
const SERVER_LOCATOR: &str = ":server";

/// Backs up MariaDB servers through the vendor's own programs.
#[derive(Clone, Debug, Default)]
pub struct Mariadb {
    tools: Tools,
}

impl Mariadb {
    /// Makes the engine with the programs of a host.
    pub(crate) const fn new(tools: Tools) -> Self {
        Self { tools }
    }

    fn client(&self, source: &Source, cancel: &Cancel) -> Result<Client, EngineError> {
        Client::new(&self.tools, source, cancel)
    }
}

impl Engine for Mariadb {
    fn kind(&self) -> EngineKind {
        EngineKind::Mariadb
    }

    fn options(&self) -> &'static [SourceOption] {
        &address::OPTIONS
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            detects_unchanged: true,
            reads_incrementally: true,
            restores_into_server: true,
            point_in_time: true,
        }
    }

    fn recoverable(&self, report: &BackupReport) -> Option<(Timestamp, Timestamp)> {
        let position = Position::from_text(report.position.as_deref()?)?;
        // Without a log there is only the moment of the dump.
        position.log.as_ref().filter(|_| !position.segments.is_empty())?;
        let at = |second| Timestamp::from_second(second).ok();
        at(position.dumped).zip(at(position.known_until))
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        discover::discover(&self.client(source, &Cancel::new())?, source)
    }

    fn find(&self) -> Vec<FoundSource> {
        discover::find()
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        let client = self.client(source, &Cancel::new())?;
        let rights = Rights::ask(&client)?;
        let databases = discover::names(&client)?;
        let (mut locks, mut calling) = (false, Vec::new());
        for database in &databases {
            let inventory = Inventory::take(&client, database)?;
            locks |= !inventory.not_transactional().is_empty();
            if inventory.has_functions && !inventory.views.is_empty() {
                calling.push(database.clone());
            }
        }
        let action = format!("asking {} for its log", client.address.shown());
        let has_log = client.value(&action, "SELECT @@log_bin")? == "1";
        let whole_server = client.address.whole_server;
        let needs = Needs { databases: &databases, calling: &calling, has_log, locks, whole_server };
        Ok(rights.missing(&needs))
    }

    fn changed(
        &self,
        source: &Source,
        database: &Database,
        position: &str,
    ) -> Result<ChangeCheck, EngineError> {
        let client = self.client(source, &Cancel::new())?;
        match database.locator.as_str() {
            ACCOUNTS_LOCATOR if accounts::position(&client)? == position => Ok(ChangeCheck::Unchanged),
            ACCOUNTS_LOCATOR | SERVER_LOCATOR => Ok(ChangeCheck::MaybeChanged),
            locator => is_unchanged(&client, discover::name_of(locator), position),
        }
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let client = self.client(job.source, job.cancel)?;
        match job.database.locator.as_str() {
            ACCOUNTS_LOCATOR => accounts::backup(&client, job, sink),
            SERVER_LOCATOR => whole::backup(&client, job, sink),
            locator => backup::backup(&client, discover::name_of(locator), job, sink),
        }
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(&self.tools, job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        compare::compare(&self.tools, job, backup)
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        compare::prove(&self.tools, job, backup)
    }
}

/// Proves that nothing was written to a database.
///
/// The engine's own count of what it wrote is the same as before the backup began, for the whole server; so is the end of the
/// log; and so are the definitions, which lie elsewhere. Tables of other engines write past that count.
fn is_unchanged(client: &Client, database: &str, position: &str) -> Result<ChangeCheck, EngineError> {
    let Some(before) = Position::from_text(position) else { return Ok(ChangeCheck::MaybeChanged) };
    let now = Facts::ask(client)?;
    let is_same_log = match (&before.log, &now.log) {
        (Some(before), Some((file, offset))) => {
            before.file == *file && before.offset == *offset && before.server == now.server
        }
        (None, _) => true,
        _ => false,
    };
    if before.lsn.is_none() || before.lsn != now.lsn || !is_same_log {
        return Ok(ChangeCheck::MaybeChanged);
    }
    let inventory = Inventory::take(client, database)?;
    let is_kept = inventory.not_transactional().is_empty();
    Ok(if is_kept && inventory.digest == before.definitions {
        ChangeCheck::Unchanged
    } else {
        ChangeCheck::MaybeChanged
    })
}

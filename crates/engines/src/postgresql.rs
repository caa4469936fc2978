//! PostgreSQL servers: the engine `postgresql`.

mod backup;
mod changed;
mod compare;
mod discover;
mod failure;
mod find;
mod login;
mod properties;
mod prove;
mod restore;
mod rights;
mod scratch;
mod session;
mod tally;
mod whole;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, SourceOption,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use jiff::Timestamp;
use larder_model::{Database, EngineKind, Source};
use std::path::PathBuf;

/// The dump of a database within its backup: SQL, as `psql` takes it.
const DUMP: &str = "dump.sql";
/// The roles and tablespaces of the server within each backup: SQL, as `psql` takes it.
const GLOBALS: &str = "globals.sql";
/// What a database is besides what is in it: encoding, owner, settings.
const PROPERTIES: &str = "database.json";

/// Where the server as a whole is within a source; no database's locator is this.
const SERVER_LOCATOR: &str = ":server";

/// The package with the programs that ask, dump and restore.
const CLIENT_PACKAGE: &str = "postgresql-client";
/// The package with the programs that make a server.
const SERVER_PACKAGE: &str = "postgresql";

/// Backs up one database of a server as one database: a dump of one moment, read as it is made, with nothing put aside.
#[derive(Clone, Debug)]
pub struct Postgresql {
    tools: Tools,
}

impl Postgresql {
    /// Makes the engine; it finds the vendor's programs with these tools.
    pub(crate) const fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

impl Engine for Postgresql {
    fn kind(&self) -> EngineKind {
        EngineKind::Postgresql
    }

    fn options(&self) -> &'static [SourceOption] {
        &login::OPTIONS
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
        whole::recoverable(report)
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        discover::discover(&self.tools, source)
    }

    fn find(&self) -> Vec<FoundSource> {
        find::find()
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        rights::missing(&self.tools, source)
    }

    fn changed(
        &self,
        source: &Source,
        database: &Database,
        position: &str,
    ) -> Result<ChangeCheck, EngineError> {
        match database.locator.as_str() {
            // Its log goes on all the time.
            SERVER_LOCATOR => Ok(ChangeCheck::MaybeChanged),
            _ => changed::check(&self.tools, source, database, position),
        }
    }

    fn keeps_for_chains(&self, database: &Database) -> bool {
        database.locator == SERVER_LOCATOR
    }

    fn release(&self, source: &Source, database: &Database, chain: &str) -> Result<(), EngineError> {
        match database.locator.as_str() {
            SERVER_LOCATOR => whole::release(&self.tools, source, chain),
            _ => Ok(()),
        }
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        match job.database.locator.as_str() {
            SERVER_LOCATOR => whole::backup(&self.tools, job, sink),
            _ => backup::backup(&self.tools, job, sink),
        }
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        match whole::is_whole(backup)? {
            true => whole::restore(job, backup),
            false => restore::restore(&self.tools, job, backup),
        }
    }

    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        match whole::is_whole(backup)? {
            true => Err(EngineError::Failed {
                action: "comparing a whole server".to_owned(),
                cause: "only a server can read its files, and one that runs changes them".to_owned(),
                remedy: "have the backup verified".to_owned(),
            }),
            false => compare::compare(&self.tools, job),
        }
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        match whole::is_whole(backup)? {
            true => whole::prove(&self.tools, job, backup),
            false => prove::prove(&self.tools, job, backup),
        }
    }
}

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

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, SourceOption,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use larder_model::{Database, EngineKind, Source};
use std::path::PathBuf;

/// The dump of a database within its backup: SQL, as `psql` takes it.
const DUMP: &str = "dump.sql";
/// The roles and tablespaces of the server within each backup: SQL, as `psql` takes it.
const GLOBALS: &str = "globals.sql";
/// What a database is besides what is in it: encoding, owner, settings.
const PROPERTIES: &str = "database.json";

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
            restores_into_server: true,
            ..EngineCapabilities::default()
        }
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
        changed::check(&self.tools, source, database, position)
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        backup::backup(&self.tools, job, sink)
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(&self.tools, job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        compare::compare(&self.tools, job)
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        prove::prove(&self.tools, job, backup)
    }
}

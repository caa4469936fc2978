//! Servers that speak CouchDB's protocol: the engine `couchdb`.
//!
//! Documents come by the changes feed, with all their unresolved conflicts, deletions and histories, and attachments
//! as files of their own. An incremental reads what the feed tells behind the last sequence, and takes over the rest.

mod backup;
mod body;
mod prove;
mod raw;
mod restore;
mod segment;
mod server;

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    FoundSource, MissingRight, ProofJob, RestoreJob, RestoreReport, SourceOption,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use backup::Position;
use larder_model::{Database, DatabaseName, EngineKind, Source};
use serde_json::Value;
use server::Server;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Backs up each database of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Couchdb;

impl Engine for Couchdb {
    fn kind(&self) -> EngineKind {
        EngineKind::Couchdb
    }

    fn options(&self) -> &'static [SourceOption] {
        &crate::remote::TLS_MEANINGS
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities {
            detects_unchanged: true,
            reads_incrementally: true,
            restores_into_server: true,
            ..EngineCapabilities::default()
        }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        let names = Server::of(source)?.databases()?;
        let found = |name: String| FoundDatabase {
            suggested_name: DatabaseName::from_lossy(&name).as_str().to_owned(),
            locator: name,
        };
        Ok(names.into_iter().map(found).collect())
    }

    fn find(&self) -> Vec<FoundSource> {
        let told = crate::remote::quick_get("127.0.0.1:5984", "/");
        let is_one = |told: &Value| told.get("couchdb").is_some() || told.get("express-pouchdb").is_some();
        if !told.as_ref().is_some_and(is_one) {
            return Vec::new();
        }
        let source = Source {
            name: DatabaseName::from_lossy("couchdb"),
            engine: EngineKind::Couchdb,
            address: "http://127.0.0.1:5984".to_owned(),
            password: None,
            options: BTreeMap::new(),
            exclude: Vec::new(),
            default_excludes: true,
            one_file_system: false,
        };
        vec![FoundSource { source, reason: "a CouchDB server answers on 127.0.0.1:5984".to_owned() }]
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        let server = Server::of(source)?;
        if server.roles()?.iter().any(|role| role == "_admin") {
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        for database in server.databases()? {
            if !server.may_read(&database)? {
                missing.push(MissingRight {
                    what: format!("reading the database {database}"),
                    grant: format!(
                        "make the user an administrator of the server, or a member in {}/{database}/_security",
                        server.shown()
                    ),
                });
            }
        }
        Ok(missing)
    }

    fn changed(
        &self,
        source: &Source,
        database: &Database,
        position: &str,
    ) -> Result<ChangeCheck, EngineError> {
        let server = Server::of(source)?;
        let name = database.locator.as_str();
        let about = server.about(name)?.ok_or_else(|| gone(name, &server))?;
        let Some(position) = Position::from_text(position) else { return Ok(ChangeCheck::MaybeChanged) };
        if !position.is_of(&about) || position.settings != about.settings() {
            return Ok(ChangeCheck::MaybeChanged);
        }
        // A cluster can write the same sequence in several ways; the feed itself says whether anything follows.
        let page = server.changes(name, &position.sequence, 1)?;
        Ok(if page.changes.is_empty() { ChangeCheck::Unchanged } else { ChangeCheck::MaybeChanged })
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        backup::backup(job, sink)
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        restore::restore(job, backup)
    }

    fn compare(&self, job: &CompareJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        prove::compare(job, backup)
    }

    fn prove(&self, job: &ProofJob<'_>, backup: &dyn BackupReader) -> Result<Comparison, EngineError> {
        prove::prove(job.report, backup, job.cancel)
    }
}

fn gone(database: &str, server: &Server) -> EngineError {
    EngineError::Missing {
        what: format!("the database {database} at {}", server.shown()),
        remedy: "its backups stay; remove it from the task if it is gone for good".to_owned(),
    }
}

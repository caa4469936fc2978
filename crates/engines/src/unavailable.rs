//! Stands in for engines that this version does not have.

use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    RestoreJob, RestoreReport,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use larder_model::{Database, EngineKind, Source};
use std::path::PathBuf;

/// Refuses everything: a source of another version's engine is named in an error, and never passed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unavailable(pub(crate) EngineKind);

impl Unavailable {
    fn refuse<T>(self) -> Result<T, EngineError> {
        Err(EngineError::Failed {
            action: format!("using the engine {}", self.0),
            cause: "this version of Larder does not have it".to_owned(),
            remedy: "use a newer version".to_owned(),
        })
    }
}

impl Engine for Unavailable {
    fn kind(&self) -> EngineKind {
        self.0
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities::default()
    }

    fn discover(&self, _: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        self.refuse()
    }

    fn changed(&self, _: &Source, _: &Database, _: &str) -> Result<ChangeCheck, EngineError> {
        self.refuse()
    }

    fn backup(&self, _: &BackupJob<'_>, _: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        self.refuse()
    }

    fn restore(&self, _: &RestoreJob<'_>, _: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        self.refuse()
    }

    fn compare(&self, _: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        self.refuse()
    }
}

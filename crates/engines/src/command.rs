//! Programs whose standard output is the backup: the engine `command`.
//!
//! For everything that no engine knows. The program runs anew each time; what it prints is chunked, so that only what is
//! new is stored.

mod permitted;
mod plan;
mod run;
mod words;

use crate::dump::{self, compare_file};
use crate::engine::{
    BackupJob, BackupReport, ChangeCheck, CompareJob, Comparison, Engine, EngineCapabilities, FoundDatabase,
    MissingRight, RestoreJob, RestoreReport, RestoreTarget, SourceOption,
};
use crate::error::EngineError;
use crate::sink::{BackupReader, Sink};
use crate::tool::Tools;
use larder_model::{Cancel, Database, DatabaseName, EngineKind, Source};
use plan::Plan;
pub(crate) use plan::{Invocation, invocation};
pub(crate) use run::Limit;
use run::Printed;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a program prints is one whole.
const OUTPUT: &str = "output";

/// Backs up what a program prints as one database.
#[derive(Clone, Debug, Default)]
pub struct Command {
    tools: Tools,
    directories: Arc<[PathBuf]>,
}

impl Command {
    /// Takes the directories in which programs must lie.
    pub(crate) fn new(tools: Tools, directories: &[PathBuf]) -> Self {
        Self { tools, directories: directories.into() }
    }

    fn plan(&self, source: &Source) -> Result<Plan, EngineError> {
        Plan::of(source, &self.directories)
    }

    fn limit(plan: &Plan, cancel: &Cancel, action: &str) -> Result<Limit, EngineError> {
        Limit::start(plan.timeout, cancel).map_err(|error| EngineError::Failed {
            action: action.to_owned(),
            cause: crate::words::plain(error),
            remedy: "raise the limit of threads".to_owned(),
        })
    }
}

impl Engine for Command {
    fn kind(&self) -> EngineKind {
        EngineKind::Command
    }

    fn options(&self) -> &'static [SourceOption] {
        &plan::MEANINGS
    }

    fn capabilities(&self) -> EngineCapabilities {
        EngineCapabilities { restores_into_server: true, ..EngineCapabilities::default() }
    }

    fn discover(&self, source: &Source, _: &[PathBuf]) -> Result<Vec<FoundDatabase>, EngineError> {
        let plan = self.plan(source)?;
        let named = if plan.file == OUTPUT { source.name.as_str() } else { plan.file.as_str() };
        let stem = Path::new(named).file_stem().unwrap_or_default().to_string_lossy();
        let suggested_name = DatabaseName::from_lossy(&stem).as_str().to_owned();
        Ok(vec![FoundDatabase { suggested_name, locator: OUTPUT.to_owned() }])
    }

    fn missing_rights(&self, source: &Source) -> Result<Vec<MissingRight>, EngineError> {
        match self.plan(source) {
            Ok(_) => Ok(Vec::new()),
            Err(EngineError::Failed { action, cause, remedy }) => {
                Ok(vec![MissingRight { what: format!("{action} ({cause})"), grant: remedy }])
            }
            Err(error) => Err(error),
        }
    }

    fn changed(&self, _: &Source, _: &Database, _: &str) -> Result<ChangeCheck, EngineError> {
        Ok(ChangeCheck::MaybeChanged)
    }

    fn backup(&self, job: &BackupJob<'_>, sink: &mut dyn Sink) -> Result<BackupReport, EngineError> {
        let plan = self.plan(job.source)?;
        job.counters.set_current(&plan.file);
        let action = format!("running {}", plan.dump.program.display());
        let limit = Self::limit(&plan, job.cancel, &action)?;
        let running = match run::start(&self.tools, &plan, &plan.dump, &limit, &[], false) {
            Ok(running) => running,
            Err(failure) => return Err(limit.into_error(failure, &action, job.cancel)),
        };
        let mut printed =
            Printed { running, limit: &limit, plan: &plan, tail: Vec::new(), bytes: 0, is_done: false };
        let carried = dump::stream_with(job, &plan.file, sink, &mut printed, &action, run::REMEDY)?;
        let mut messages = Vec::new();
        if plan.marker.is_none() && plan.minimum <= 1 {
            messages.push(
                "only the exit status says that the output is complete; set CompletenessMarker or MinimumBytes".to_owned(),
            );
        }
        Ok(BackupReport { position: None, evidence: carried.evidence(), messages })
    }

    fn restore(&self, job: &RestoreJob<'_>, backup: &dyn BackupReader) -> Result<RestoreReport, EngineError> {
        let (source, name) = match job.target {
            RestoreTarget::Path(path) => {
                let carried = dump::restore_file(job, path, backup, &|_| Ok(()))?;
                return Ok(RestoreReport { files: 1, bytes: carried.bytes, messages: Vec::new() });
            }
            RestoreTarget::Server { source, name } => (source, name),
        };
        let plan = self.plan(source)?;
        let action = format!("restoring {name} by the RestoreCommand of {}", source.name);
        let Some(restore) = &plan.restore else {
            return Err(EngineError::Failed {
                action,
                cause: "the source has none".to_owned(),
                remedy: "set the option RestoreCommand, or restore to a file".to_owned(),
            });
        };
        let listed = dump::only_file(backup)?;
        let limit = Self::limit(&plan, job.cancel, &action)?;
        let more = [("LARDER_NAME", name), ("LARDER_OVERWRITE", if job.overwrite { "yes" } else { "no" })];
        let mut running = match run::start(&self.tools, &plan, restore, &limit, &more, true) {
            Ok(running) => running,
            Err(failure) => return Err(limit.into_error(failure, &action, job.cancel)),
        };
        let mut broken = None;
        let fed = dump::copy_out(job.report, job.cancel, backup, &listed.path, &mut |bytes| {
            running.feed(bytes).map_err(|failure| {
                broken = Some(failure);
                EngineError::Canceled(larder_model::Canceled)
            })
        });
        if let Some(failure) = broken {
            return Err(limit.into_error(failure, &action, job.cancel));
        }
        let carried = fed?;
        match running.finish() {
            Ok(()) => Ok(RestoreReport { files: 1, bytes: carried.bytes, messages: Vec::new() }),
            Err(failure) => Err(limit.into_error(failure, &action, job.cancel)),
        }
    }

    fn compare(&self, job: &CompareJob<'_>, _: &dyn BackupReader) -> Result<Comparison, EngineError> {
        let path = job.restored.path(self.kind())?;
        let differences = compare_file(path, job.report, job.cancel)?;
        Ok(Comparison { compared: "SHA-256".to_owned(), differences, changed_since: 0 })
    }
}

//! Programs that run before a tree is read and after it: what stops an application, or has it write its files, and what
//! lets it go on.

use crate::command::{Invocation, Limit, invocation};
use crate::engine::BackupJob;
use crate::error::EngineError;
use crate::remote::Options;
use crate::tool::{ToolRun, Tools};
use crate::walk::CLOUD_MOUNTS;
use larder_model::{Cancel, Source};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options, by the names on the engine's page.
const BEFORE: &str = "BeforeBackup";
const AFTER: &str = "AfterBackup";
const TIMEOUT: &str = "HookTimeoutSeconds";

/// How long a hook may take where nothing is said, in seconds.
const DEFAULT_TIMEOUT: u64 = 600;

/// As much of what a hook printed is told, in bytes.
const TOLD: usize = 800;

/// What helps when a hook fails.
const REMEDY: &str = "run it by hand as the user that Larder runs as, and see what it says";

/// The hooks of a source, permitted to run.
#[derive(Debug)]
pub(super) struct Hooks {
    before: Option<Invocation>,
    after: Option<Invocation>,
    timeout: Duration,
}

impl Hooks {
    /// Reads what a source says of its hooks, and sees to it that they may run.
    pub(super) fn of(source: &Source, directories: &[PathBuf]) -> Result<Self, EngineError> {
        let options = Options::of(source, &[BEFORE, AFTER, TIMEOUT, CLOUD_MOUNTS])?;
        let read = |name| options.get(name).map(|line| invocation(name, line, directories)).transpose();
        let seconds = options.number(TIMEOUT)?.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT);
        Ok(Self { before: read(BEFORE)?, after: read(AFTER)?, timeout: Duration::from_secs(seconds) })
    }

    /// Does the work between the hooks. Once the first hook was started, the last one runs, whatever happened in between: it
    /// must not be left out only because somebody aborted the backup.
    pub(super) fn around<T>(
        &self,
        tools: &Tools,
        job: &BackupJob<'_>,
        work: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let begun = match &self.before {
            Some(hook) => self.run(tools, job, hook, BEFORE, "", job.cancel),
            None => Ok(()),
        };
        let done = begun.and_then(|()| work());
        let Some(hook) = &self.after else { return done };
        let outcome = match &done {
            Ok(_) => "done",
            Err(EngineError::Canceled(_)) => "canceled",
            Err(_) => "failed",
        };
        let ended = self.run(tools, job, hook, AFTER, outcome, &Cancel::new());
        match (done, ended) {
            (done, Ok(())) => done,
            (Ok(_), Err(error)) => Err(error),
            // Both are to be known: something may stand still on account of the second.
            (Err(EngineError::Failed { action, cause, remedy }), Err(error)) => {
                Err(EngineError::Failed { action, cause, remedy: format!("{remedy}; besides, {error}") })
            }
            (Err(first), Err(error)) => {
                job.counters.set_current(&format!("{AFTER} failed"));
                Err(match first {
                    EngineError::Canceled(_) => error,
                    first => first,
                })
            }
        }
    }

    fn run(
        &self,
        tools: &Tools,
        job: &BackupJob<'_>,
        hook: &Invocation,
        name: &str,
        outcome: &str,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        job.counters.set_current(&format!("{name}: {}", hook.program.display()));
        let action = format!("running {name} ({}) of the source {}", hook.program.display(), job.source.name);
        let limit = Limit::start(Some(self.timeout), cancel).map_err(|error| EngineError::Failed {
            action: action.clone(),
            cause: crate::words::plain(error),
            remedy: "raise the limit of threads".to_owned(),
        })?;
        let mut run = ToolRun::new(limit.cancel())
            .args(hook.arguments.iter())
            .env("LARDER_DATABASE", job.database.name.as_str())
            .env("LARDER_PATH", &job.database.locator)
            .env("LARDER_OUTCOME", outcome)
            .within(hook.program.parent().unwrap_or(Path::new("/")));
        if let Some(password) = &job.source.password {
            run = run.secret_env("LARDER_PASSWORD", password);
        }
        let mut printed = Vec::new();
        let ended = tools.at(&hook.program).start(run).and_then(|mut running| {
            let mut buffer = [0; 4096];
            loop {
                match running.read(&mut buffer) {
                    Ok(0) => return running.finish(),
                    Ok(length) => {
                        printed.extend_from_slice(buffer.get(..length).unwrap_or_default());
                        let excess = printed.len().saturating_sub(2 * TOLD);
                        printed.drain(..excess);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(running.broken(error)),
                }
            }
        });
        let Err(failure) = ended else { return Ok(()) };
        let secrets: Vec<_> = job.source.password.iter().cloned().collect();
        let told = crate::tool::told(&printed, &secrets);
        Err(match limit.into_error(failure, &action, cancel) {
            EngineError::Failed { action, cause, .. } if !told.is_empty() => EngineError::Failed {
                action,
                cause: format!("{cause}, and printed: {told}"),
                remedy: REMEDY.to_owned(),
            },
            error => error,
        })
    }
}

//! Proves a backup: restores it into a private server of the vendor's own, and compares it there.

use super::compare::compare;
use super::restore::{properties, restore};
use super::scratch::Scratch;
use crate::engine::{CompareJob, Comparison, ProofJob, RestoreJob, RestoreTarget};
use crate::error::EngineError;
use crate::sink::BackupReader;
use crate::tool::Tools;

pub(super) fn prove(
    tools: &Tools,
    job: &ProofJob<'_>,
    backup: &dyn BackupReader,
) -> Result<Comparison, EngineError> {
    let properties = properties(backup)?;
    let scratch = Scratch::start(tools, job.scratch, properties.major(), &properties.first_role, job.cancel)?;
    // The server's own databases are there already.
    let name = format!("proof of {}", job.database.name);
    let target = RestoreTarget::Server { source: &scratch.source, name: &name };
    let (report, cancel) = (job.report, job.cancel);
    let restored = RestoreJob {
        target,
        overwrite: false,
        until: None,
        staging: job.scratch,
        report: Some(report),
        cancel,
    };
    restore(tools, &restored, backup)?;
    let compared =
        CompareJob { source: job.source, database: job.database, report, restored: target, cancel };
    compare(tools, &compared)
}

//! Proof: a backup restored into scratch and compared.

use crate::job::{Done, Verdict};
use crate::request::BackupChoice;
use crate::staging::Staging;
use crate::view::Verification;
use crate::work::restore::{Chosen, find};
use crate::work::{Order, Place};
use larder_engines::{Comparison, ProofJob};
use larder_model::{Database, Source};
use std::sync::Arc;

/// How many differences are named.
const NAMED: usize = 5;

/// How many differences the evidence keeps.
const KEPT: usize = 100;

/// A backup to be proved.
#[derive(Debug)]
pub(crate) struct Verify {
    pub(crate) database: Arc<Database>,
    pub(crate) backup: BackupChoice,
    /// The source, where it is still there.
    pub(crate) source: Option<Source>,
    pub(crate) places: Vec<Place>,
}

impl Verify {
    pub(crate) fn run(&self, order: &Order) -> Done {
        let failed = |cause: String| {
            Done::faulted(format!("the verification of {} failed: {cause}", self.database.name))
        };
        let mut notes = Vec::new();
        let chosen = match find(order, &self.places, &self.database, &self.backup, &mut notes) {
            Ok(chosen) => chosen.alone(),
            Err(error) => return Done { messages: notes, ..failed(error.to_string()) },
        };
        let mut done = match self.compare(order, &chosen) {
            Ok(comparison) => self.judge(order, &chosen, &comparison),
            Err(_) if order.live.cancel.is_canceled() => Done::default(),
            Err(cause) => failed(cause),
        };
        done.messages.extend(notes);
        done.destinations = vec![chosen.outcome()];
        done
    }

    fn compare(&self, order: &Order, chosen: &Chosen) -> Result<Comparison, String> {
        let scratch = Staging::create(&order.site.staging, order.id).map_err(|error| error.to_string())?;
        let report = chosen.found.note().report;
        let job = ProofJob {
            source: self.source.as_ref(),
            database: &self.database,
            report: &report,
            scratch: scratch.path(),
            cancel: &order.live.cancel,
        };
        let engine = order.site.engines.get(chosen.engine(&self.database));
        engine.prove(&job, &chosen.reader(order)).map_err(|error| error.to_string())
    }

    fn judge(&self, order: &Order, chosen: &Chosen, comparison: &Comparison) -> Done {
        let differences = &comparison.differences;
        let verdict = if differences.is_empty() {
            Verdict::Completed
        } else {
            let named = differences.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
            let count = differences.len();
            Verdict::Faulted(format!(
                "the backup {} of {} differs from what was restored from it ({count} differences, the first: {named}); check the repository, and make a full backup",
                chosen.found.snapshot.id.short(),
                self.database.name
            ))
        };
        let mut messages = vec![format!("compared: {}", comparison.compared)];
        if comparison.changed_since > 0 {
            messages.push(format!(
                "{} changed in the source since the backup and were compared with the backup alone",
                comparison.changed_since
            ));
        }
        let verification = Verification {
            backup: chosen.found.snapshot.id.clone(),
            time: order.site.clock.now(),
            compared: comparison.compared.clone(),
            changed_since: comparison.changed_since,
            differences: differences.iter().take(KEPT).cloned().collect(),
            operation: order.id,
        };
        Done { verdict, messages, verification: Some(verification), ..Done::default() }
    }
}

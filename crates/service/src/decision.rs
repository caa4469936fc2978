//! The decision log: for each task, why it ran or did not, the last few times that it was a question.
//!
//! It lies in the state, one record a task, written together with what was decided; nothing of it is kept in memory.

use crate::core::Core;
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::record;
use jiff::Timestamp;
use larder_model::OperationId;
use larder_state::Write;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many decisions are kept of each task; a task that runs every hour tells of its last night.
pub const DECISIONS_KEPT: usize = 48;

/// What was decided about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verdict {
    /// It was due, or somebody asked, and its run entered the queue.
    Due,
    /// Its run began.
    Started,
    /// It has to wait.
    Waits,
    /// What was missed is not made up for.
    Skipped,
    /// Somebody put it off.
    Delayed,
    /// Its run ended well.
    Completed,
    /// Its run failed.
    Failed,
    /// Its run was aborted.
    Aborted,
}

/// One decision about a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Decision {
    /// When it was made.
    pub at: Timestamp,
    /// What was decided.
    pub decision: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// The operation it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
}

/// Decisions that are to be stored together with something else.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    new: BTreeMap<TaskKey, Vec<Decision>>,
}

impl Decisions {
    /// Notes a decision.
    pub(crate) fn note(&mut self, key: &TaskKey, decision: Decision) {
        self.new.entry(key.clone()).or_default().push(decision);
    }

    /// Says whether there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        self.new.is_empty()
    }
}

impl Core {
    /// Stores decisions together with other writes, the oldest decisions making room; returns the state's revision.
    pub(crate) async fn store_with(
        &self,
        decisions: Decisions,
        mut writes: Vec<Write>,
    ) -> Result<u64, ServiceError> {
        if decisions.new.is_empty() {
            return self.store(writes).await;
        }
        // Two who add to one log at once would lose what one of them added.
        let _log = self.log.lock().await;
        for (key, new) in decisions.new {
            let mut all = self.stored_decisions(&key).await;
            all.extend(new);
            let surplus = all.len().saturating_sub(DECISIONS_KEPT);
            all.drain(..surplus);
            writes.push(record::put(record::decisions(&key), &all)?);
        }
        self.store(writes).await
    }

    /// Reads what was decided about a task, the oldest first; what cannot be read any more makes room for what can.
    pub(crate) async fn stored_decisions(&self, key: &TaskKey) -> Vec<Decision> {
        record::get(&*self.state, &record::decisions(key)).await.ok().flatten().unwrap_or_default()
    }
}

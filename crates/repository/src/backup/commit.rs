//! The end of a backup: on each destination by itself, packs durable, then index, then snapshot,
//! and each proved to be there before the next relies on it.

use super::pack_pool::LOOK;
use super::session::Signals;
use super::target::TargetSet;
use crate::error::RepositoryError;
use crate::layout::ObjectKind;
use larder_model::{BackupId, Canceled};
use std::sync::{Arc, Mutex, PoisonError};

/// Lets snapshots be written until somebody aborts; from the first one on, an abort comes too late for those begun.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    passed: usize,
}

impl Gate {
    fn pass(&self) -> Result<(), RepositoryError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Canceled.into());
        }
        state.passed += 1;
        Ok(())
    }

    /// Lets no more snapshots be written; returns how many were begun.
    fn close(&self) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.passed
    }
}

/// Commits every live destination, each as soon as it is ready, and waits for all. `snapshots` holds the JSON for each.
pub(super) fn commit(
    targets: &Arc<TargetSet>,
    snapshots: Vec<Vec<u8>>,
    signals: &Signals,
) -> Result<(), RepositoryError> {
    let gate = Arc::new(Gate::default());
    for (number, json) in snapshots.into_iter().enumerate() {
        if targets.live() & (1 << number) == 0 {
            continue;
        }
        let (set, gate) = (targets.clone(), gate.clone());
        let task = targets.targets[number].repository.handle().spawn(async move {
            match commit_one(&set, number, json, &gate).await {
                Ok(id) => {
                    if let Some(state) = set.lock().get_mut(number) {
                        state.snapshot = Some(id);
                        state.committed = true;
                    }
                    set.changed.notify_all();
                }
                Err(error) => set.drop_target(number, error),
            }
        });
        targets.commit_begins(number, task.abort_handle());
    }
    let mut states = targets.lock();
    while states
        .iter()
        .enumerate()
        .any(|(number, state)| !state.committed && targets.live() & (1 << number) != 0)
    {
        states = targets.changed.wait_timeout(states, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        drop(states);
        targets.drop_stalled();
        if let Err(stop) = signals.check()
            && gate.close() == 0
        {
            targets.abort();
            return Err(stop);
        }
        states = targets.lock();
    }
    Ok(())
}

async fn commit_one(
    targets: &Arc<TargetSet>,
    number: usize,
    json: Vec<u8>,
    gate: &Gate,
) -> Result<BackupId, RepositoryError> {
    targets.settle(number).await;
    if targets.live() & (1 << number) == 0 {
        return Err(Canceled.into());
    }
    targets.prove(number).await?;
    targets.write_index(number).await?;
    targets.prove(number).await?;
    let (id, bytes) = targets.targets[number].repository.seal_object(&json)?;
    gate.pass()?;
    targets.put(number, &ObjectKind::Snapshot.path(&id), bytes).await?;
    targets.prove(number).await?;
    Ok(BackupId(id.to_hex()))
}

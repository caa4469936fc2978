//! The loop that looks how far operations have come.

use crate::core::Core;
use std::sync::Arc;
use std::time::Duration;

/// How often whoever listens hears of progress.
const INTERVAL: Duration = Duration::from_millis(250);

/// Samples the counters of what runs until the service stops; costs nothing while nothing runs.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stopping = core.stopping.subscribe();
    let mut changes = core.operations.subscribe();
    while !*stopping.borrow_and_update() {
        if core.operations.is_idle() {
            // Wakes when an operation is added; a lag only means that there was much to hear.
            tokio::select! {
                _ = changes.recv() => {}
                _ = stopping.changed() => {}
            }
            continue;
        }
        core.operations.sample_progress();
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = stopping.changed() => {}
        }
    }
}

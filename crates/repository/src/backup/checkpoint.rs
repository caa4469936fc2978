//! What is left of a backup that ends early: packs that are durable already are named in the index, so that the next
//! run knows their blobs and sends nothing twice. Nothing refers to them until then, and prune may take them.

use super::target::TargetSet;
use crate::lock::Lock;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long whoever aborts waits for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Names what was stored at each destination whose lock still holds, then gives the locks back.
///
/// Where a destination does not answer in time, its lock is kept in the background until it does: an index object that
/// appears after a prune could name packs that are gone.
pub(super) fn name_what_is_stored(targets: &Arc<TargetSet>, locks: Vec<Option<Lock>>) {
    let (done, all_done) = channel::<()>();
    let mut waited_for = false;
    for (number, lock) in locks.iter().enumerate() {
        let holds = lock.as_ref().is_some_and(|lock| lock.check().is_ok());
        if !holds || !targets.has_unindexed(number) {
            continue;
        }
        waited_for = true;
        let (set, done) = (targets.clone(), done.clone());
        targets.targets[number].repository.handle().spawn(async move {
            // A failure loses only the chance to send less next time.
            let _ = set.write_index(number).await;
            drop(done);
        });
    }
    drop(done);
    if waited_for && all_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        let keeper = std::thread::Builder::new().name("backup-end".to_owned());
        // Without a thread to keep them, the locks go now, and stay behind as those of a run that was killed would.
        let _ = keeper.spawn(move || {
            let _ = all_done.recv();
            give_back(locks);
        });
    } else {
        give_back(locks);
    }
}

/// Gives back all locks at the same time.
fn give_back(locks: Vec<Option<Lock>>) {
    locks.iter().flatten().for_each(Lock::begin_release);
    drop(locks);
}

//! Tells sources that a chain of backups has ended: what they keep for the next one is of no use any more, and may fill a disk.

use crate::core::Core;
use crate::identity::{TaskKey, chain};
use crate::plan::Plan;
use std::sync::Arc;

/// Has each source forget what it keeps for a task that is gone. A source that cannot be reached is only told of in the log:
/// the task is gone all the same.
pub(crate) fn chains(core: &Arc<Core>, plan: &Plan, ended: &[TaskKey]) {
    let own = plan.periodic().backup.identifier.as_deref().filter(|name| !name.is_empty());
    let identifier = own.unwrap_or(&core.settings.identifier);
    let mut ending = Vec::new();
    {
        let catalog = core.catalog();
        for key in ended {
            let Some(database) = catalog.databases.get(&key.database) else { continue };
            let Some(source) = catalog.sources.get(&database.source) else { continue };
            ending.push((source.clone(), Arc::clone(database), chain(identifier, key.task, &key.database)));
        }
    }
    if ending.is_empty() {
        return;
    }
    let engines = Arc::clone(&core.engines);
    core.runtime.spawn_blocking(move || {
        for (source, database, chain) in ending {
            if let Err(error) = engines.get(database.engine).release(&source, &database, &chain) {
                tracing::warn!(
                    database = %database.name, %error,
                    "the source could not be told that a task is gone; what it keeps for it must be removed by hand"
                );
            }
        }
    });
}

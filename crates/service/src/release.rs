//! Tells sources that a chain of backups has ended: what they keep for the next one is of no use any more, and may fill a disk.

use crate::core::Core;
use crate::identity::{TaskKey, chain};
use crate::plan::Plan;
use larder_model::DatabaseName;
use std::sync::Arc;

/// Has each source forget what it keeps for tasks that are gone. A source that cannot be reached is only told of in the log:
/// the task is gone all the same.
pub(crate) fn chains(core: &Arc<Core>, ended: impl IntoIterator<Item = (Arc<Plan>, TaskKey)>) {
    let mut ending = Vec::new();
    {
        let catalog = core.catalog();
        for (plan, key) in ended {
            let Some(database) = catalog.databases.get(&key.database) else { continue };
            let Some(source) = catalog.sources.get(&database.source) else { continue };
            let own = plan.periodic().backup.identifier.as_deref().filter(|name| !name.is_empty());
            let identifier = own.unwrap_or(&core.settings.identifier);
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

/// Does the same for every task of a source that goes, which must still be known.
pub(crate) fn source(core: &Arc<Core>, name: &DatabaseName) {
    let ended: Vec<(Arc<Plan>, TaskKey)> = {
        let catalog = core.catalog();
        let of_it = |key: &&TaskKey| {
            catalog.databases.get(&key.database).is_some_and(|database| database.source == *name)
        };
        let keys = catalog.statuses.keys().filter(of_it);
        keys.filter_map(|key| Some((Arc::clone(catalog.plan(key.task)?), key.clone()))).collect()
    };
    chains(core, ended);
}

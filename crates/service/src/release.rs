//! Tells sources that a chain of backups has ended: what they keep for the next one is of no use any more, and may fill a disk.
//!
//! A chain lives as long as its task runs for its database. Whatever ends that (a task deleted, put to rest, given another
//! identifier or other databases; a source removed or pointed elsewhere; a database gone) puts the pair on the agenda anew, and
//! there it is seen.

use crate::catalog::Catalog;
use crate::core::Core;
use crate::identity::{TaskKey, chain};
use crate::plan::Plan;
use larder_model::{Database, Source};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// When a source is told: at once, and where it cannot be reached, after each of these once more.
const TOLD_AFTER: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
];

/// What a source keeps for the next backup of a task of a database.
#[derive(Clone, Debug)]
struct Chain {
    name: String,
    source: Source,
    database: Arc<Database>,
}

impl Chain {
    /// Says whether the same server keeps the same thing; who asks it, and with which password, is no matter.
    fn is_kept_as(&self, other: &Self) -> bool {
        let place = |chain: &Self| chain.source.address.rsplit('@').next().unwrap_or_default().to_owned();
        self.name == other.name && place(self) == place(other)
    }
}

/// The chains that live.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    chains: HashMap<TaskKey, Chain>,
    /// Those that a backup is just going on: they live until it has ended.
    running: HashSet<TaskKey>,
}

impl Kept {
    /// Enters what lives under a key now; returns what lived there before and has ended.
    fn settle(&mut self, key: &TaskKey, now: Option<Chain>) -> Option<Chain> {
        if self.running.contains(key) {
            return None;
        }
        let before = match &now {
            Some(chain) => self.chains.insert(key.clone(), chain.clone()),
            None => self.chains.remove(key),
        };
        before.filter(|before| now.is_none_or(|now| !before.is_kept_as(&now)))
    }

    fn has(&self, key: &TaskKey, chain: &Chain) -> bool {
        self.chains.get(key).is_some_and(|kept| kept.is_kept_as(chain))
    }
}

/// Chains that have ended, each with the task it was of.
#[derive(Debug, Default)]
pub(crate) struct Ended(Vec<(TaskKey, Chain)>);

impl Core {
    /// Looks at what lives under a key now, and notes what has ended.
    pub(crate) fn note_chain(&self, catalog: &Catalog, key: &TaskKey, ended: &mut Ended) {
        let runs = |(database, plan): &(&Arc<Database>, &Arc<Plan>)| catalog.runs(database, plan);
        let now = catalog.task(key).filter(runs).and_then(|(database, plan)| {
            if !self.engines.get(database.engine).keeps_for_chains(database) {
                return None;
            }
            let source = catalog.sources.get(&database.source)?.clone();
            let own = plan.periodic().backup.identifier.as_deref().filter(|name| !name.is_empty());
            let name = chain(own.unwrap_or(&self.settings.identifier), key.task, &key.database);
            Some(Chain { name, source, database: Arc::clone(database) })
        });
        let before = self.kept().settle(key, now);
        ended.0.extend(before.map(|before| (key.clone(), before)));
    }

    /// Does so for every key under which something lived: a key that is gone altogether is on nobody's list.
    pub(crate) fn note_chains(&self, catalog: &Catalog, ended: &mut Ended) {
        let keys: Vec<TaskKey> = self.kept().chains.keys().cloned().collect();
        for key in keys {
            self.note_chain(catalog, &key, ended);
        }
    }

    /// Notes that a backup is about to have its source keep something, though its task may rest, or be gone before it ends.
    pub(crate) fn chain_begins(
        &self,
        key: &TaskKey,
        identifier: &str,
        source: &Source,
        database: &Arc<Database>,
    ) {
        let name = chain(identifier, key.task, &key.database);
        if name.is_empty() || !self.engines.get(database.engine).keeps_for_chains(database) {
            return;
        }
        let chain = Chain { name, source: source.clone(), database: Arc::clone(database) };
        let mut kept = self.kept();
        kept.chains.insert(key.clone(), chain);
        kept.running.insert(key.clone());
    }

    /// Notes that the backup has ended; whether its chain lives on is seen when the task is put on the agenda again.
    pub(crate) fn chain_rests(&self, key: &TaskKey) {
        self.kept().running.remove(key);
    }

    /// Has each source forget what it keeps for chains that have ended. One that cannot be reached is told again later, and the
    /// log says what to do: the task is gone all the same.
    pub(crate) fn release(self: &Arc<Self>, ended: Ended) {
        for (key, chain) in ended.0 {
            let core = Arc::clone(self);
            self.runtime.spawn(async move { release(core, key, chain).await });
        }
    }
}

async fn release(core: Arc<Core>, key: TaskKey, chain: Chain) {
    let mut stopping = core.stopping.subscribe();
    for pause in TOLD_AFTER {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => {}
        }
        // Or it was begun again meanwhile.
        if core.is_stopping() || core.kept().has(&key, &chain) {
            return;
        }
        let (engines, it) = (Arc::clone(&core.engines), chain.clone());
        let told = tokio::task::spawn_blocking(move || {
            engines.get(it.database.engine).release(&it.source, &it.database, &it.name)
        });
        match told.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(
                database = %key.database, %error,
                "the source keeps something for a task that does not run any more, and could not be told to forget it"
            ),
            Err(error) => tracing::error!(database = %key.database, %error, "a fault of the program"),
        }
    }
}

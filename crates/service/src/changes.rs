//! Tasks that run after changes: which databases are watched, what changed, and what happens where watching fails.

use crate::core::Core;
use crate::identity::TaskKey;
use jiff::Timestamp;
use larder_engines::{Watch, WatchEvent};
use larder_model::{Database, DatabaseName, Source};
use larder_schedule::Changes;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// What is known of changes.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    tasks: HashMap<TaskKey, Changes>,
    watched: HashMap<DatabaseName, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// What was watched: a database that moved, or a source whose exclusions changed, is watched anew.
    source: Source,
    locator: String,
    /// The tasks that want to know.
    tasks: Vec<TaskKey>,
    /// `None` where watching failed: then the time is what makes a run due.
    watch: Option<Watch>,
    /// Why it failed.
    lost: Option<String>,
}

impl ChangeLog {
    /// Returns what changed since a task's last run began.
    pub(crate) fn of(&self, key: &TaskKey) -> Option<Changes> {
        self.tasks.get(key).copied()
    }

    /// Says whether a database is watched for a task.
    pub(crate) fn is_watched_for(&self, key: &TaskKey) -> bool {
        self.watched.get(&key.database).is_some_and(|watched| watched.tasks.contains(key))
    }

    /// Says why the changes of a database cannot be watched; `None` where they are, or need not be.
    pub(crate) fn lost(&self, database: &DatabaseName) -> Option<&str> {
        self.watched.get(database)?.lost.as_deref()
    }

    /// Notes a change that a task has not seen.
    pub(crate) fn note(&mut self, key: &TaskKey, now: Timestamp) {
        let changes = self.tasks.entry(key.clone()).or_insert(Changes { first: now, last: now });
        changes.last = changes.last.max(now);
    }

    /// Forgets what changed before a run began: that run sees it.
    pub(crate) fn run_begins(&mut self, key: &TaskKey) {
        self.tasks.remove(key);
    }

    fn note_all(&mut self, database: &DatabaseName, now: Timestamp) -> Vec<TaskKey> {
        let keys = self.watched.get(database).map(|watched| watched.tasks.clone()).unwrap_or_default();
        for key in &keys {
            self.note(key, now);
        }
        keys
    }
}

impl Core {
    /// Watches a database for a task, or no longer; costs nothing where it is as it should be.
    pub(crate) fn watch_for(self: &Arc<Self>, key: &TaskKey, wanted: Option<(&Database, &Source)>) {
        let mut log = self.changes();
        let Some((database, source)) = wanted else {
            if let Some(watched) = log.watched.get_mut(&key.database) {
                watched.tasks.retain(|other| other != key);
                if watched.tasks.is_empty() {
                    log.watched.remove(&key.database);
                }
                log.tasks.remove(key);
            }
            return;
        };
        if let Some(watched) = log.watched.get_mut(&database.name)
            && watched.locator == database.locator
            && watched.source == *source
        {
            if !watched.tasks.contains(key) {
                watched.tasks.push(key.clone());
                log.note(key, self.now());
            }
            return;
        }
        let mut tasks = log.watched.remove(&database.name).map(|old| old.tasks).unwrap_or_default();
        if !tasks.contains(key) {
            tasks.push(key.clone());
        }
        let (locator, source) = (database.locator.clone(), source.clone());
        let watched = Watched { source, locator, tasks, watch: None, lost: None };
        log.watched.insert(database.name.clone(), watched);
        drop(log);
        self.begin_watch(database);
    }

    fn begin_watch(self: &Arc<Self>, database: &Database) {
        let (core, name) = (Arc::downgrade(self), database.name.clone());
        let tell = Arc::new(move |event| heard(&core, &name, event));
        let Some(source) = self.changes().watched.get(&database.name).map(|watched| watched.source.clone())
        else {
            return;
        };
        let begun = Watch::start(&source, database, &self.own_directories(), tell);
        match begun {
            Ok(watch) => {
                if let Some(watched) = self.changes().watched.get_mut(&database.name) {
                    watched.watch = Some(watch);
                }
            }
            Err(error) => lose(self, &database.name, error.to_string()),
        }
    }

    /// After a run that made no backup: what changed before it began is still not in any.
    pub(crate) fn changes_unseen(&self, key: &TaskKey, began: Timestamp) {
        let mut log = self.changes();
        if log.is_watched_for(key) {
            log.note(key, began);
        }
    }

    /// After a run of a task whose database cannot be watched: it is taken as changed, so that it runs again at its
    /// distance, and watching is tried once more.
    pub(crate) fn poll_after_run(self: &Arc<Self>, key: &TaskKey) {
        let database = self.catalog().databases.get(&key.database).cloned();
        let lost = {
            let mut log = self.changes();
            let lost = log.lost(&key.database).is_some();
            if lost {
                log.note(key, self.now());
            }
            lost
        };
        if let Some(database) = database.filter(|_| lost) {
            self.begin_watch(&database);
        }
    }
}

/// Takes in what a watch tells.
fn heard(core: &Weak<Core>, database: &DatabaseName, event: WatchEvent) {
    let Some(core) = core.upgrade() else { return };
    match event {
        // What changed while nobody watched is not known, so a first run looks.
        WatchEvent::Watching | WatchEvent::Changed => {
            let keys = {
                let mut log = core.changes();
                if let Some(watched) = log.watched.get_mut(database) {
                    watched.lost = None;
                }
                log.note_all(database, core.now())
            };
            core.reschedule(keys.iter());
        }
        WatchEvent::Lost { cause } => lose(&core, database, cause),
    }
}

/// Goes over to running by the time.
fn lose(core: &Arc<Core>, database: &DatabaseName, cause: String) {
    tracing::warn!(%database, %cause, "changes are not watched; its tasks run at their shortest distance instead");
    let keys = {
        let mut log = core.changes();
        if let Some(watched) = log.watched.get_mut(database) {
            watched.watch = None;
            watched.lost = Some(cause);
        }
        log.note_all(database, core.now())
    };
    core.reschedule(keys.iter());
}

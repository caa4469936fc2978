//! What the service knows, in memory: the state's content in a form that answers quickly.

use crate::agenda::TaskKey;
use crate::derivation::{applies, derived_name, same_name};
use crate::destination;
use crate::error::ServiceError;
use crate::record::{self, StoredPlace, StoredTask};
use crate::view::{TaskStatus, Verification};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::{BackupId, Database, DatabaseName, ServerWideBackupConfiguration, Source};
use larder_schedule::{Attempts, Run, Schedule};
use larder_state::State;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A server-wide task with its schedule read.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// As it is stored.
    pub(crate) stored: StoredTask,
    /// Its name, shared by all keys.
    pub(crate) name: Arc<str>,
    /// When it runs.
    pub(crate) schedule: Schedule,
}

impl Template {
    pub(crate) fn new(stored: StoredTask, schedule: Schedule) -> Self {
        Self { name: stored.task.periodic.name.as_str().into(), stored, schedule }
    }

    pub(crate) const fn task(&self) -> &ServerWideBackupConfiguration {
        &self.stored.task
    }
}

/// Everything the state holds but operations.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) sources: BTreeMap<DatabaseName, Source>,
    pub(crate) source_errors: BTreeMap<DatabaseName, String>,
    pub(crate) databases: BTreeMap<DatabaseName, Arc<Database>>,
    pub(crate) templates: BTreeMap<String, Arc<Template>>,
    pub(crate) statuses: HashMap<TaskKey, TaskStatus>,
    pub(crate) places: BTreeMap<DatabaseName, BTreeSet<String>>,
    /// Whether a backup was found equal when it was restored and compared.
    pub(crate) verified: HashMap<BackupId, bool>,
}

impl Catalog {
    /// Reads the state.
    pub(crate) async fn load(state: &dyn State, default_zone: &TimeZone) -> Result<Self, ServiceError> {
        let mut catalog = Self::default();
        for (_, source) in record::all::<Source>(state, record::SOURCES).await? {
            catalog.sources.insert(source.name.clone(), source);
        }
        for (_, database) in record::all::<Database>(state, record::DATABASES).await? {
            catalog.databases.insert(database.name.clone(), Arc::new(database));
        }
        for (key, stored) in record::all::<StoredTask>(state, record::TASKS).await? {
            let schedule = Schedule::of(&stored.task.periodic, default_zone).map_err(|error| {
                ServiceError::Record { key: record::task(&key), cause: error.to_string() }
            })?;
            catalog.templates.insert(key, Arc::new(Template::new(stored, schedule)));
        }
        for (key, status) in record::all::<TaskStatus>(state, record::STATUSES).await? {
            let Some((database, task)) = key.split_once('/') else { continue };
            if let (Ok(database), Some(template)) = (database.parse(), catalog.templates.get(task)) {
                let task = Arc::clone(&template.name);
                catalog.statuses.insert(TaskKey { database, task }, status);
            }
        }
        for (_, place) in record::all::<StoredPlace>(state, record::PLACES).await? {
            catalog.places.entry(place.database).or_default().insert(place.root);
        }
        for (_, verification) in record::all::<Verification>(state, record::VERIFICATIONS).await? {
            catalog.verified.insert(verification.backup, verification.differences.is_empty());
        }
        Ok(catalog)
    }

    /// Finds a database; upper and lower case count as the same where the exact name is not there.
    pub(crate) fn database(&self, name: &str) -> Result<&Arc<Database>, ServiceError> {
        let exact = name.parse::<DatabaseName>().ok().and_then(|name| self.databases.get(&name));
        exact
            .or_else(|| self.databases.values().find(|database| same_name(database.name.as_str(), name)))
            .ok_or_else(|| {
                ServiceError::not_found(
                    "database",
                    name,
                    "list the databases to see their names, or add its source",
                )
            })
    }

    /// Finds a server-wide task by its own name or by that of what it derives.
    pub(crate) fn template(&self, name: &str) -> Result<&Arc<Template>, ServiceError> {
        let called = |template: &&Arc<Template>| {
            same_name(&template.name, name) || same_name(&derived_name(&template.name), name)
        };
        self.templates
            .get(name)
            .or_else(|| self.templates.values().find(called))
            .ok_or_else(|| ServiceError::not_found("task", name, "list the tasks to see their names"))
    }

    /// Finds a source.
    pub(crate) fn source(&self, name: &str) -> Result<&Source, ServiceError> {
        self.sources
            .values()
            .find(|source| same_name(source.name.as_str(), name))
            .ok_or_else(|| ServiceError::not_found("source", name, "list the sources to see their names"))
    }

    /// Lists the server-wide tasks that are for a database.
    pub(crate) fn templates_of<'a>(
        &'a self,
        database: &'a Database,
    ) -> impl Iterator<Item = &'a Arc<Template>> {
        self.templates.values().filter(|template| applies(template.task(), database))
    }

    /// Returns what is remembered of a task of a database.
    pub(crate) fn status(&self, key: &TaskKey) -> TaskStatus {
        self.statuses.get(key).cloned().unwrap_or_default()
    }

    /// Returns the moments that decide when a task of a database runs next.
    pub(crate) fn attempts(
        &self,
        database: &Database,
        template: &Template,
        awake_since: Timestamp,
    ) -> Attempts {
        let key = TaskKey { database: database.name.clone(), task: Arc::clone(&template.name) };
        let status = self.statuses.get(&key);
        Attempts {
            full: status.and_then(|status| status.last_full_attempt),
            incremental: status.and_then(|status| status.last_incremental_attempt),
            since: database.discovered.max(template.stored.scheduled),
            awake_since,
        }
    }

    /// Returns a task's next run for a database; `None` where it rests.
    pub(crate) fn next_run(
        &self,
        database: &Database,
        template: &Template,
        awake_since: Timestamp,
        now: Timestamp,
    ) -> Option<Run> {
        let rests = template.task().periodic.disabled || !applies(template.task(), database);
        if rests {
            None
        } else {
            template.schedule.next(&self.attempts(database, template, awake_since), now)
        }
    }

    /// Returns the roots that hold, or will hold, a database's backups.
    pub(crate) fn roots(&self, database: &Database) -> BTreeSet<String> {
        let mut roots = self.places.get(&database.name).cloned().unwrap_or_default();
        roots.extend(self.templates_of(database).flat_map(|template| destination::of_task(template.task())));
        roots
    }

    /// Returns every root that any task or database has.
    pub(crate) fn all_roots(&self) -> HashSet<String> {
        let tasks = self.templates.values().flat_map(|template| destination::of_task(template.task()));
        tasks.chain(self.places.values().flatten().cloned()).collect()
    }
}

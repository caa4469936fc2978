//! What the service knows, in memory: the state's content in a form that answers quickly.

use crate::derivation::same_name;
use crate::destination::Spots;
use crate::error::ServiceError;
use crate::identity::{TaskKey, TaskUid};
use crate::plan::Plan;
use crate::record::{self, Exception, StoredPlace};
use crate::remembered;
use crate::seal::Sealer;
use crate::spot::{self, NamedSpot, Spot};
use crate::stored;
use crate::stored_source;
use crate::view::{TaskStatus, Verification};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::{BackupId, Database, DatabaseName, Source};
use larder_schedule::Attempts;
use larder_state::State;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything the state holds but operations.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) sources: BTreeMap<DatabaseName, Source>,
    pub(crate) source_errors: BTreeMap<DatabaseName, String>,
    pub(crate) databases: BTreeMap<DatabaseName, Arc<Database>>,
    /// Every task by its number for life.
    plans: HashMap<TaskUid, Arc<Plan>>,
    /// The server-wide ones, in the order in which they were made.
    server_wide: BTreeSet<TaskUid>,
    /// Those of single databases.
    own: HashMap<DatabaseName, BTreeSet<TaskUid>>,
    /// Where a derived task differs from what its parent says.
    pub(crate) exceptions: HashMap<TaskKey, Exception>,
    pub(crate) statuses: HashMap<TaskKey, TaskStatus>,
    /// Where each task is known to write to, with the names it gives.
    aims: HashMap<TaskUid, Vec<NamedSpot>>,
    /// The addresses that each database's backups were written to.
    pub(crate) places: BTreeMap<DatabaseName, BTreeSet<String>>,
    /// Every address of any place; few, however many databases there are.
    known_roots: HashSet<String>,
    /// What opens each address, as it was said last.
    spots: HashMap<String, Arc<Spot>>,
    /// What the state says opens each address.
    stored_spots: HashMap<String, Arc<Spot>>,
    /// Whether a backup was found equal when it was restored and compared.
    pub(crate) verified: HashMap<BackupId, bool>,
}

impl Catalog {
    /// Reads the state.
    pub(crate) async fn load(
        state: &dyn State,
        sealer: &Sealer,
        default_zone: &TimeZone,
    ) -> Result<Self, ServiceError> {
        let mut catalog = Self::default();
        for source in stored_source::load(state, sealer).await? {
            catalog.sources.insert(source.name.clone(), source);
        }
        for (_, database) in record::all::<Database>(state, record::DATABASES).await? {
            catalog.databases.insert(database.name.clone(), Arc::new(database));
        }
        // Before the tasks, which know better.
        for spot in remembered::load(state, sealer).await? {
            catalog.remember_spot(Arc::new(spot));
        }
        for plan in stored::load(state, sealer, default_zone).await? {
            catalog.enter(Arc::new(plan));
        }
        for (key, exception) in record::all::<Exception>(state, record::EXCEPTIONS).await? {
            if let Some(key) = catalog.known_key(&key) {
                catalog.exceptions.insert(key, exception);
            }
        }
        for (key, status) in record::all::<TaskStatus>(state, record::STATUSES).await? {
            if let Some(key) = catalog.known_key(&key) {
                catalog.statuses.insert(key, status);
            }
        }
        for (_, place) in record::all::<StoredPlace>(state, record::PLACES).await? {
            catalog.add_places(&place.database, [place.root]);
        }
        for (_, verification) in record::all::<Verification>(state, record::VERIFICATIONS).await? {
            catalog.verified.insert(verification.backup, verification.differences.is_empty());
        }
        Ok(catalog)
    }

    /// Reads a key whose database is known; the name is shared with the database's own.
    fn known_key(&self, text: &str) -> Option<TaskKey> {
        let (database, task) = text.split_once('/')?;
        let (database, _) = self.databases.get_key_value(&database.parse::<DatabaseName>().ok()?)?;
        Some(TaskKey { database: database.clone(), task: task.parse().ok()? })
    }

    /// Enters a task, new or changed.
    pub(crate) fn enter(&mut self, plan: Arc<Plan>) {
        match &plan.written {
            crate::plan::Written::ServerWide(_) => {
                self.server_wide.insert(plan.uid);
            }
            crate::plan::Written::Own(database, _) => {
                self.own.entry(database.clone()).or_default().insert(plan.uid);
            }
        }
        let aims = spot::known(&plan.periodic().backup);
        aims.iter().for_each(|(_, spot)| self.know(Arc::clone(spot)));
        self.aims.insert(plan.uid, aims);
        self.plans.insert(plan.uid, plan);
    }

    /// Notes what opens an address.
    pub(crate) fn know(&mut self, spot: Arc<Spot>) {
        self.spots.insert(spot.address.clone(), spot);
    }

    /// Says whether the state holds what opens an address, as it is.
    pub(crate) fn remembers_spot(&self, spot: &Spot) -> bool {
        self.stored_spots.get(&spot.address).is_some_and(|stored| **stored == *spot)
    }

    /// Notes what opens an address, and that the state holds it.
    pub(crate) fn remember_spot(&mut self, spot: Arc<Spot>) {
        self.stored_spots.insert(spot.address.clone(), Arc::clone(&spot));
        self.know(spot);
    }

    /// Returns what opens an address; a directory opens itself.
    pub(crate) fn spot(&self, address: &str) -> Option<Arc<Spot>> {
        let known = self.spots.get(address).cloned();
        known.or_else(|| address.starts_with('/').then(|| Arc::new(Spot::local(address))))
    }

    /// Lists the addresses that are remembered and that no backup of any database lies at.
    pub(crate) fn forgotten_spots(&self) -> Vec<String> {
        let aimed: HashSet<&str> =
            self.aims.values().flatten().map(|(_, spot)| spot.address.as_str()).collect();
        let is_forgotten =
            |address: &&String| !self.known_roots.contains(*address) && !aimed.contains(address.as_str());
        self.stored_spots.keys().filter(is_forgotten).cloned().collect()
    }

    /// Strikes a task off.
    pub(crate) fn remove(&mut self, uid: TaskUid) {
        self.server_wide.remove(&uid);
        self.aims.remove(&uid);
        if let Some(plan) = self.plans.remove(&uid)
            && let crate::plan::Written::Own(database, _) = &plan.written
            && let Some(own) = self.own.get_mut(database)
        {
            own.remove(&uid);
            if own.is_empty() {
                self.own.remove(database);
            }
        }
    }

    /// Returns a task by its number for life.
    pub(crate) fn plan(&self, uid: TaskUid) -> Option<&Arc<Plan>> {
        self.plans.get(&uid)
    }

    /// Lists every task.
    pub(crate) fn all_plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.plans.values()
    }

    /// Lists the server-wide tasks in the order in which they were made.
    pub(crate) fn server_wide(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.server_wide.iter().filter_map(|uid| self.plans.get(uid))
    }

    /// Lists a database's own tasks.
    pub(crate) fn own_tasks(&self, database: &DatabaseName) -> impl Iterator<Item = &Arc<Plan>> {
        self.own.get(database).into_iter().flatten().filter_map(|uid| self.plans.get(uid))
    }

    /// Lists the tasks that are for a database, the derived ones first.
    pub(crate) fn plans_of<'a>(&'a self, database: &'a Database) -> impl Iterator<Item = &'a Arc<Plan>> {
        self.server_wide()
            .filter(|plan| plan.applies(database))
            .chain(self.own_tasks(&database.name).filter(|plan| plan.applies(database)))
    }

    /// Finds a database; upper and lower case count as the same where the exact name is not there.
    pub(crate) fn database(&self, name: &str) -> Result<&Arc<Database>, ServiceError> {
        let exact = name.parse::<DatabaseName>().ok().and_then(|name| self.databases.get(&name));
        exact
            .or_else(|| self.databases.values().find(|database| same_name(database.name.as_str(), name)))
            .ok_or_else(|| ServiceError::database_missing(name))
    }

    /// Finds a server-wide task by its own name or by that of what it derives.
    pub(crate) fn template(&self, name: &str) -> Result<&Arc<Plan>, ServiceError> {
        let called = |plan: &&Arc<Plan>| same_name(plan.name(), name) || same_name(&plan.shown_name(), name);
        self.template_exactly(name)
            .or_else(|| self.server_wide().find(called))
            .ok_or_else(|| ServiceError::not_found("task", name, "list the tasks to see their names"))
    }

    /// Finds a database and its task.
    pub(crate) fn task(&self, key: &TaskKey) -> Option<(&Arc<Database>, &Arc<Plan>)> {
        Some((self.databases.get(&key.database)?, self.plan(key.task)?))
    }

    /// Says whether a task runs for a database: neither resting nor for others only.
    pub(crate) fn runs(&self, database: &Database, plan: &Plan) -> bool {
        plan.applies(database) && !self.rests(&database.name, plan)
    }

    /// Finds a server-wide task by its exact name.
    pub(crate) fn template_exactly(&self, name: &str) -> Option<&Arc<Plan>> {
        self.server_wide().find(|plan| plan.name() == name)
    }

    /// Finds a source.
    pub(crate) fn source(&self, name: &str) -> Result<&Source, ServiceError> {
        self.sources
            .values()
            .find(|source| same_name(source.name.as_str(), name))
            .ok_or_else(|| ServiceError::not_found("source", name, "list the sources to see their names"))
    }

    /// Returns the number by which a database knows a task: that of the template when the database got it, or that of
    /// its own task.
    pub(crate) fn task_id(&self, database: &DatabaseName, plan: &Plan) -> u64 {
        let key = TaskKey { database: database.clone(), task: plan.uid };
        self.exceptions.get(&key).and_then(|exception| exception.task_id).unwrap_or(plan.uid)
    }

    /// Says whether a task rests: everywhere, or for this database alone.
    pub(crate) fn rests(&self, database: &DatabaseName, plan: &Plan) -> bool {
        let key = TaskKey { database: database.clone(), task: plan.uid };
        plan.periodic().disabled || self.exceptions.get(&key).is_some_and(|exception| exception.disabled_here)
    }

    /// Returns what is remembered of a task of a database.
    pub(crate) fn status(&self, key: &TaskKey) -> TaskStatus {
        self.statuses.get(key).cloned().unwrap_or_default()
    }

    /// Returns the moments that decide when a task of a database runs next.
    pub(crate) fn attempts(&self, database: &Database, plan: &Plan, awake_since: Timestamp) -> Attempts {
        let key = TaskKey { database: database.name.clone(), task: plan.uid };
        let status = self.statuses.get(&key);
        let since = database.discovered.max(plan.scheduled);
        let exception = self.exceptions.get(&key).and_then(|exception| exception.since);
        Attempts {
            full: status.and_then(|status| status.last_full_attempt),
            incremental: status.and_then(|status| status.last_incremental_attempt),
            since: exception.map_or(since, |exception| exception.max(since)),
            awake_since,
            changes: None,
        }
    }

    /// Says whether anything may be remembered under a key: the database is known, and the task is there or was a
    /// one-time backup.
    pub(crate) fn remembers(&self, key: &TaskKey) -> bool {
        self.databases.get(&key.database).is_some_and(|database| {
            key.task == 0 || self.plans.get(&key.task).is_some_and(|plan| plan.covers(database))
        })
    }

    /// Returns the spots that hold, or will hold, a database's backups, each with the name that a task gives it.
    pub(crate) fn spots_of(&self, database: &Database) -> Spots {
        let places = self.places.get(&database.name).into_iter().flatten();
        let mut spots: Spots =
            places.filter_map(|address| Some((address.clone(), (None, self.spot(address)?)))).collect();
        for plan in self.plans_of(database) {
            for (name, spot) in self.aims_of(plan) {
                let known = spots.entry(spot.address.clone()).or_insert_with(|| (None, Arc::clone(spot)));
                known.0 = known.0.take().or_else(|| name.clone());
                known.1 = Arc::clone(spot);
            }
        }
        spots
    }

    /// Returns where a task is known to write to.
    pub(crate) fn aims_of(&self, plan: &Plan) -> &[NamedSpot] {
        self.aims.get(&plan.uid).map_or(&[], Vec::as_slice)
    }

    /// Notes that backups of a database lie at some addresses.
    pub(crate) fn add_places(&mut self, database: &DatabaseName, roots: impl IntoIterator<Item = String>) {
        let places = self.places.entry(database.clone()).or_default();
        for root in roots {
            if !self.known_roots.contains(&root) {
                self.known_roots.insert(root.clone());
            }
            places.insert(root);
        }
    }

    /// Returns every address that backups of any database were written to.
    pub(crate) const fn known_roots(&self) -> &HashSet<String> {
        &self.known_roots
    }

    /// Returns every directory that any task or database writes to.
    pub(crate) fn all_directories(&self) -> HashSet<PathBuf> {
        let tasks = self.aims.values().flatten().filter_map(|(_, spot)| spot.directory());
        let known = self.known_roots.iter().filter(|address| address.starts_with('/')).map(Path::new);
        tasks.chain(known).map(Path::to_owned).collect()
    }

    /// Lists every spot that a task writes to or that holds backups, by its address.
    pub(crate) fn all_spots(&self) -> BTreeMap<String, Arc<Spot>> {
        let known =
            self.known_roots.iter().filter_map(|address| Some((address.clone(), self.spot(address)?)));
        let aims = self.aims.values().flatten().map(|(_, spot)| (spot.address.clone(), Arc::clone(spot)));
        known.chain(aims).collect()
    }
}

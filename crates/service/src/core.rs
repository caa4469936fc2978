//! What all parts of the service share.

use crate::agenda::Agenda;
use crate::catalog::Catalog;
use crate::catalog_lock::{CatalogLock, Reading};
use crate::changes::ChangeLog;
use crate::connections::Connections;
use crate::error::ServiceError;
use crate::identity::TaskKey;
use crate::job::Job;
use crate::operations::Operations;
use crate::queue::Queue;
use crate::release::Kept;
use crate::seal::Sealer;
use crate::service::contents::LOOKS;
use crate::settings::Settings;
use crate::upkeep::Rota;
use crate::work::sightings::Sightings;
use jiff::Timestamp;
use larder_engines::Engines;
use larder_model::{Clock, OperationId, Secret};
use larder_repository::KeyRing;
use larder_state::{Commit, State, Transaction, Write};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLockWriteGuard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

/// The service's memory and its tools. Locks are taken in the order of the fields and never held across an await.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) engines: Arc<Engines>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: Secret,
    /// What was derived from the key, so that opening a repository costs no derivation.
    pub(crate) ring: KeyRing,
    /// Seals what tasks know of secrets before it is stored.
    pub(crate) sealer: Sealer,
    /// Open destinations.
    pub(crate) connections: Connections,
    /// What lists have seen of backups.
    pub(crate) sightings: Sightings,
    pub(crate) runtime: Handle,
    /// Held while something is decided from the catalog, stored, and entered into it.
    pub(crate) writer: tokio::sync::Mutex<()>,
    /// Held while a decision log is read, added to and stored.
    pub(crate) log: tokio::sync::Mutex<()>,
    catalog: CatalogLock,
    board: Mutex<Board>,
    changes: Mutex<ChangeLog>,
    /// What sources keep for the next backups.
    kept: Mutex<Kept>,
    pub(crate) operations: Operations,
    /// Places for those who look into backups.
    pub(crate) looks: Arc<Semaphore>,
    /// Places for those who download from backups.
    pub(crate) downloads: Arc<Semaphore>,
    /// The tasks that see operations through, for the stop to wait for.
    pub(crate) runners: Mutex<Vec<JoinHandle<()>>>,
    /// Wakes the scheduler when the agenda changed.
    pub(crate) wake: Notify,
    /// Becomes true once, when the service stops.
    pub(crate) stopping: watch::Sender<bool>,
}

/// What is to be done, and when.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) agenda: Agenda,
    pub(crate) queue: Queue<Job>,
    /// What is done for repositories that lie still.
    pub(crate) rota: Rota,
    /// Tasks whose scheduled run waits or runs; they come back on the agenda when it has ended.
    pub(crate) pending: HashSet<TaskKey>,
    /// Operations that end because somebody put them off.
    pub(crate) delayed: HashSet<OperationId>,
    /// Since when ticks came without a long gap.
    pub(crate) awake_since: Timestamp,
    /// The last tick.
    pub(crate) last_tick: Timestamp,
    /// Whether what was missed before `awake_since` has still to be told of.
    pub(crate) just_woke: bool,
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        key: Secret,
        catalog: Catalog,
        operations: Operations,
        connections: Connections,
    ) -> Self {
        let now = clock.now();
        let board = Board {
            agenda: Agenda::default(),
            queue: Queue::new(settings.max_concurrent_backups),
            rota: Rota::new(settings.check_days.is_some()),
            pending: HashSet::new(),
            delayed: HashSet::new(),
            awake_since: now,
            last_tick: now,
            just_woke: true,
        };
        Self {
            engines: Arc::new(Engines::new(&settings.host)),
            settings,
            state,
            clock,
            sealer: Sealer::new(&key),
            key,
            ring: KeyRing::new(),
            connections,
            sightings: Sightings::default(),
            runtime: Handle::current(),
            writer: tokio::sync::Mutex::new(()),
            log: tokio::sync::Mutex::new(()),
            catalog: CatalogLock::new(catalog),
            board: Mutex::new(board),
            changes: Mutex::default(),
            kept: Mutex::default(),
            operations,
            looks: Arc::new(Semaphore::new(LOOKS)),
            downloads: Arc::new(Semaphore::new(LOOKS)),
            runners: Mutex::default(),
            wake: Notify::new(),
            stopping: watch::Sender::new(false),
        }
    }

    #[track_caller]
    pub(crate) fn catalog(&self) -> Reading<'_> {
        self.catalog.read()
    }

    #[track_caller]
    pub(crate) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write()
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changes(&self) -> MutexGuard<'_, ChangeLog> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Stores some writes together; returns the state's revision.
    pub(crate) async fn store(&self, writes: Vec<Write>) -> Result<u64, ServiceError> {
        match self.state.commit(Transaction { conditions: Vec::new(), writes }).await? {
            Commit::Done(revision) => Ok(revision),
            Commit::Conflict => Err(ServiceError::conflict(
                "somebody else changed the same thing at the same moment; look at it again and repeat the change",
            )),
        }
    }

    /// Lists Larder's own directories, which engines leave out of backups.
    pub(crate) fn own_directories(&self) -> Vec<PathBuf> {
        let directories = self.catalog().all_directories();
        let own = [self.settings.data_directory.clone(), self.settings.staging_directory.clone()];
        own.into_iter().chain(directories).collect()
    }
}

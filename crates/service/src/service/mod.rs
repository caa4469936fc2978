//! The service's front: everything that pages, commands and the API ask for.

mod backups;
pub(crate) mod contents;
mod databases;
mod destinations;
mod operations;
mod sources;
mod tasks;
pub(crate) mod work;

use crate::catalog::Catalog;
use crate::connections::Connections;
use crate::core::Core;
use crate::destination::{self, Destination};
use crate::error::ServiceError;
use crate::operations::Operations;
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::view::Overview;
use crate::{discovery, progress, remembered, scheduler, staging};
use larder_model::{Clock, Database, Secret};
use larder_state::{State, Write};
use larder_storage::{Connector, PatienceSettings};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Makes, keeps and gives back backups: the one object that the outer rooms talk to. Clones share it.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) core: Arc<Core>,
    loops: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Service {
    /// Starts the service on the current tokio runtime: reads the state, ends what a crash left open, and begins to
    /// search sources and to run what is due.
    ///
    /// `key` is the text of the key file; it is the password of every repository.
    ///
    /// # Errors
    /// The state cannot be read, or a directory of Larder's own cannot be made.
    pub async fn start(
        settings: Settings,
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        key: Secret,
    ) -> Result<Self, ServiceError> {
        staging::empty(&settings.staging_directory).await?;
        let catalog = Catalog::load(&*state, &Sealer::new(&key), &settings.time_zone).await?;
        let (operations, ended) = Operations::load(&*state, clock.now()).await?;
        let forgotten: Vec<Write> =
            catalog.forgotten_spots().iter().flat_map(|address| remembered::removal(address)).collect();
        let patience = PatienceSettings {
            upload: settings.upload_limit.clone(),
            download: settings.download_limit.clone(),
            zone: settings.time_zone.clone(),
            ..PatienceSettings::default()
        };
        let mut host = settings.connector.clone();
        host.vault_directory.get_or_insert_with(|| settings.data_directory.join("vaults"));
        let connector = Connector::new(host)?;
        let connections = Connections::new(connector, patience, Arc::clone(&clock));
        let core = Arc::new(Core::new(settings, state, clock, key, catalog, operations, connections));
        if !forgotten.is_empty() {
            core.store(forgotten).await?;
        }
        if !ended.is_empty() {
            tracing::warn!(count = ended.len(), "the last server stopped while operations ran or waited");
            core.store(ended).await?;
        }
        let begun = core.load_upkeep(&*core.state).await?;
        if !begun.is_empty() {
            core.store(begun).await?;
        }
        core.reschedule_all();
        let loops = vec![
            tokio::spawn(discovery::run(Arc::clone(&core))),
            tokio::spawn(scheduler::run(Arc::clone(&core))),
            tokio::spawn(progress::run(Arc::clone(&core))),
        ];
        Ok(Self { core, loops: Arc::new(Mutex::new(loops)) })
    }

    /// Stops: takes no new work, aborts what runs, and waits until it has ended.
    ///
    /// A scheduled run that is aborted so is still owed, and is caught up at the next start.
    pub async fn stop(&self) {
        self.core.stopping.send_replace(true);
        for operation in self.core.operations.unfinished() {
            // One that has ended in the meantime needs no abort.
            let _ = self.core.abort(operation.id).await;
        }
        self.core.operations.wait_for_all().await;
        let runners = std::mem::take(&mut *self.core.runners.lock().unwrap_or_else(PoisonError::into_inner));
        let loops = std::mem::take(&mut *self.loops.lock().unwrap_or_else(PoisonError::into_inner));
        for one in runners.into_iter().chain(loops) {
            let _ = one.await;
        }
    }

    /// Starts what is due now, without waiting for the scheduler to wake; returns how many runs began or wait.
    ///
    /// For whoever moves the clock by hand.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn tick(&self) -> Result<usize, ServiceError> {
        scheduler::tick(&self.core).await
    }

    /// Returns the revision of the server's memory: it grows with every change, as RavenDB's `RaftCommandIndex` does.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn revision(&self) -> Result<u64, ServiceError> {
        Ok(self.core.state.revision().await?)
    }

    /// Returns what the administrator decided at start.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// Shows everything at a glance.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.core.show_overview()
    }

    /// Finds a database and the destinations that are meant.
    pub(crate) fn meant(
        &self,
        database: &str,
        destination: Option<&str>,
    ) -> Result<(Arc<Database>, Vec<Destination>), ServiceError> {
        let catalog = self.core.catalog();
        let database = Arc::clone(catalog.database(database)?);
        let all = destination::named(&catalog.spots_of(&database));
        let destinations = destination::select(all, destination, &database.name)?;
        Ok((database, destinations))
    }
}

//! Sources and the databases in them.

use super::Service;
use crate::error::ServiceError;
use crate::view::DatabaseView;
use crate::{discovery, sources};
use larder_engines::{FoundSource, MissingRight, SourceOption};
use larder_model::{DatabaseName, EngineKind, Source};

impl Service {
    /// Adds a source and searches it at once; returns the databases found.
    ///
    /// # Errors
    /// The path does not exist or is not absolute, the name is taken, or the source cannot be searched.
    pub async fn add_source(&self, source: Source) -> Result<Vec<DatabaseName>, ServiceError> {
        sources::add(&self.core, source).await
    }

    /// Changes a source and searches it at once; returns its databases. A password of `****` stays as it is.
    ///
    /// # Errors
    /// There is no such source, its name or engine would change, or it cannot be searched as it would be.
    pub async fn change_source(&self, name: &str, source: Source) -> Result<Vec<DatabaseName>, ServiceError> {
        sources::change(&self.core, name, source).await
    }

    /// Lists the rights that a source's user lacks for complete backups, each with what grants it.
    ///
    /// # Errors
    /// There is no such source, or it cannot be asked.
    pub async fn missing_rights(&self, source: &str) -> Result<Vec<MissingRight>, ServiceError> {
        sources::missing_rights(&self.core, source).await
    }

    /// Lists what a source of an engine may say besides its address and password.
    #[must_use]
    pub fn source_options(&self, engine: EngineKind) -> &'static [SourceOption] {
        self.core.engines.get(engine).options()
    }

    /// Looks for sources on this host that are not added yet; adds none.
    ///
    /// # Errors
    /// The search ended by a fault of the program.
    pub async fn find_sources(&self) -> Result<Vec<FoundSource>, ServiceError> {
        sources::find(&self.core).await
    }

    /// Lists the sources, in the order of names.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.core.catalog().sources.values().cloned().collect()
    }

    /// Removes a source; its databases are no longer backed up, their backups stay.
    ///
    /// # Errors
    /// There is no such source, or the state cannot be written.
    pub async fn remove_source(&self, name: &str) -> Result<(), ServiceError> {
        sources::remove(&self.core, name).await
    }

    /// Searches every source now, instead of at the next interval; returns the databases that are new.
    ///
    /// # Errors
    /// The state cannot be written. A source that cannot be searched is no error; [`Overview`](crate::Overview) names it.
    pub async fn discover(&self) -> Result<Vec<DatabaseName>, ServiceError> {
        discovery::search_all(&self.core).await
    }

    /// Returns a database's name as it is written here, upper and lower case counting as the same; cheaper than showing it.
    ///
    /// # Errors
    /// There is no such database.
    pub fn database_name(&self, name: &str) -> Result<DatabaseName, ServiceError> {
        Ok(self.core.catalog().database(name)?.name.clone())
    }

    /// Shows every database, in the order of names.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseView> {
        self.core.show_databases()
    }

    /// Shows `count` databases after the first `start`, in the order of names, and says how many there are: the whole
    /// list of very many is not small.
    #[must_use]
    pub fn databases_page(&self, start: usize, count: usize) -> (Vec<DatabaseView>, usize) {
        self.core.show_databases_page(start, count)
    }

    /// Lists the names of `count` databases after the first `start`, in their order.
    #[must_use]
    pub fn database_names(&self, start: usize, count: usize) -> Vec<DatabaseName> {
        self.core.database_names(start, count)
    }

    /// Shows one database.
    ///
    /// # Errors
    /// There is no such database.
    pub fn database(&self, name: &str) -> Result<DatabaseView, ServiceError> {
        self.core.show_database(name)
    }

    /// Strikes a database that discovery no longer finds from the list; its backups stay where they are.
    ///
    /// # Errors
    /// There is no such database, or it is still found.
    pub async fn forget_database(&self, name: &str) -> Result<(), ServiceError> {
        sources::forget(&self.core, name).await
    }
}

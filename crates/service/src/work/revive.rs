//! Opening a repository that lacks what it takes: its configuration and key file are made anew.

use crate::credentials;
use crate::error::ServiceError;
use crate::work::vault::{Vault, folder};
use crate::work::{Place, Site};
use larder_model::{Cancel, Database, Secret};
use larder_repository::{Repaired, Repository, staged};
use larder_storage::Storage;
use std::sync::Arc;

impl Site {
    /// Opens a database's repository; where its configuration or key file is damaged or gone, makes that anew first, with the
    /// master key of one of the others where need be. Returns it and what was made. With a scratch directory nothing is
    /// changed at the destination: what would be written goes there.
    pub(crate) fn open_or_revive(
        &self,
        place: &Place,
        database: &Database,
        others: &[&Vault],
        scratch: Option<Arc<dyn Storage>>,
        cancel: &Cancel,
    ) -> Result<(Vault, Vec<Repaired>), ServiceError> {
        let storage = folder(database, self.connections.open(&place.destination.spot)?);
        let opened = self.open_with_any(place, &storage);
        let is_shut = match &opened {
            Ok(repository) => repository.keys(cancel).is_err_and(|error| error.bars_the_way()),
            Err(error) => error.bars_the_way(),
        };
        if !is_shut {
            return Ok((Vault::of(place, opened?), Vec::new()));
        }
        let storage = match scratch {
            Some(scratch) => staged(storage, scratch),
            None => storage,
        };
        // A new key file gets the password of another destination, where one opened.
        let of_others = others.iter().filter_map(|other| self.password_of(other, database));
        let credentials: Vec<_> = of_others.chain(&place.passwords).map(credentials::of).collect();
        let twins: Vec<Repository> = others.iter().map(|other| other.repository.clone()).collect();
        let (clock, at) = (Arc::clone(&self.clock), (&self.handle, storage));
        let (repository, made) = Repository::revive(at, &credentials, &self.ring, clock, &twins, cancel)?;
        Ok((Vault::of(place, repository), made))
    }

    /// Finds the password that opens a repository.
    fn password_of<'a>(&self, vault: &'a Vault, database: &Database) -> Option<&'a Secret> {
        let storage = folder(database, self.connections.open(&vault.place.destination.spot).ok()?);
        vault.place.passwords.iter().find(|password| {
            let (credentials, clock) = (credentials::of(password), Arc::clone(&self.clock));
            let storage = Arc::clone(&storage);
            Repository::open_with(&self.handle, storage, &credentials, &self.ring, clock).is_ok()
        })
    }
}

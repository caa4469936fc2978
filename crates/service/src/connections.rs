//! Open destinations, shared by all work: what one run learns of a server, the next one knows.

use crate::spot::Spot;
use larder_model::Clock;
use larder_model::task::DestinationSettings;
use larder_storage::{Connector, Patience, PatienceSettings, Storage, StorageError};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Opens destinations, keeps those at other hosts open, and remembers how each behaved. Clones share that.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    connector: Connector,
    patience: PatienceSettings,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// A destination that was opened.
#[derive(Debug)]
struct Known {
    /// How it behaved, whatever it was opened with.
    patience: Arc<Patience>,
    /// What it was opened with last; other keys mean another connection.
    settings: DestinationSettings,
    storage: Arc<dyn Storage>,
}

impl Connections {
    pub(crate) fn new(connector: Connector, patience: PatienceSettings, clock: Arc<dyn Clock>) -> Self {
        Self { connector, patience, clock, known: Arc::default() }
    }

    /// Returns how many attempts in a row a destination has not answered until now, and why not the last one.
    pub(crate) fn unanswered(&self, spot: &Spot) -> (u32, String) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = known.get(&spot.address).map(|known| Arc::clone(&known.patience));
        drop(known);
        patience.map(|patience| patience.unanswered()).unwrap_or_default()
    }

    /// Opens a destination without patience, for somebody who waits for the first answer.
    pub(crate) fn open_impatiently(&self, spot: &Spot) -> Result<Arc<dyn Storage>, StorageError> {
        self.connector.connect(spot.settings.block())
    }

    /// Opens a destination, or returns it where it is open already.
    ///
    /// A directory is opened anew each time: it would otherwise be taken for the one it was, though another disk is
    /// mounted there meanwhile.
    pub(crate) fn open(&self, spot: &Spot) -> Result<Arc<dyn Storage>, StorageError> {
        // Before anything is locked: a disk that does not answer must not hold up the others.
        let directory = match spot.directory() {
            Some(_) => Some(self.connector.connect(spot.settings.block())?),
            None => None,
        };
        let is_directory = directory.is_some();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&spot.address);
        if let Some(same) = before.filter(|before| !is_directory && before.settings == spot.settings) {
            return Ok(Arc::clone(&same.storage));
        }
        let connection = match directory {
            Some(directory) => directory,
            None => self.connector.connect(spot.settings.block())?,
        };
        let settings = || match is_directory {
            true => {
                PatienceSettings { zone: self.patience.zone.clone(), ..PatienceSettings::for_directory() }
            }
            false => self.patience.clone(),
        };
        let patience = before.map_or_else(
            || Patience::new(settings(), Arc::clone(&self.clock), random()),
            |before| Arc::clone(&before.patience),
        );
        let storage: Arc<dyn Storage> = Arc::new(patience.around(connection));
        let settings = spot.settings.clone();
        known.insert(spot.address.clone(), Known { patience, settings, storage: Arc::clone(&storage) });
        Ok(storage)
    }
}

/// Returns a number that nobody can foresee, for what must only be different each time.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

//! Open destinations, shared by all work: what one run learns of a server, the next one knows.

use crate::spot::Spot;
use larder_model::task::DestinationSettings;
use larder_storage::{Connector, Storage, StorageError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Opens destinations, and keeps those at other hosts open. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    connector: Connector,
    open: Arc<Mutex<HashMap<String, Open>>>,
}

#[derive(Debug)]
struct Open {
    /// What it was opened with; other keys mean another connection.
    settings: DestinationSettings,
    storage: Arc<dyn Storage>,
}

impl Connections {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, open: Arc::default() }
    }

    /// Returns what opens destinations, for whoever wants one of its own.
    pub(crate) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Opens a destination, or returns it where it is open already.
    ///
    /// A directory is opened anew each time: it would otherwise be taken for the one it was, though another disk is
    /// mounted there meanwhile.
    pub(crate) fn open(&self, spot: &Spot) -> Result<Arc<dyn Storage>, StorageError> {
        if spot.directory().is_some() {
            return self.connector.connect(spot.settings.block());
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&spot.address).filter(|known| known.settings == spot.settings) {
            return Ok(Arc::clone(&known.storage));
        }
        let storage = self.connector.connect(spot.settings.block())?;
        let new = Open { settings: spot.settings.clone(), storage: Arc::clone(&storage) };
        open.insert(spot.address.clone(), new);
        Ok(storage)
    }
}

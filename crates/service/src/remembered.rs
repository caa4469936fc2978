//! What opens the places that backups were written to, remembered beside the tasks.
//!
//! A task that was deleted or sent elsewhere leaves its backups behind, and they must be listed and restored still; and what
//! a script said is known to the run alone. So each place keeps the settings it was last written to with, its secrets
//! sealed as those of tasks are. A task that names the same address later knows better, and wins.

use crate::error::ServiceError;
use crate::record;
use crate::seal::Sealer;
use crate::spot::Spot;
use larder_model::task::{BackupConfiguration, DestinationKind, DestinationSettings, read};
use larder_state::{State, Write};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Makes the writes that remember a spot; none for a directory, whose address says all.
pub(crate) fn writes(spot: &Spot, sealer: &Sealer) -> Result<Vec<Write>, ServiceError> {
    if spot.kind() == DestinationKind::Local {
        return Ok(Vec::new());
    }
    let key = record::spot(&spot.address);
    let mut bare: BackupConfiguration = spot.settings.clone().into();
    let secrets = bare.take_secrets();
    let beside = record::spot_secrets(&spot.address);
    let sealed = match secrets.is_empty() {
        true => Write::Delete(beside),
        false => Write::Put(beside, sealer.seal(&key, &secrets)?),
    };
    Ok(vec![record::put(key, &bare)?, sealed])
}

/// Makes the writes that forget a spot.
pub(crate) fn removal(address: &str) -> Vec<Write> {
    vec![Write::Delete(record::spot(address)), Write::Delete(record::spot_secrets(address))]
}

/// Reads every spot.
pub(crate) async fn load(state: &dyn State, sealer: &Sealer) -> Result<Vec<Spot>, ServiceError> {
    let mut sealed: HashMap<String, Vec<u8>> =
        state.range(record::SPOT_SECRETS).await?.into_iter().map(|(key, found)| (key, found.value)).collect();
    let mut spots = Vec::new();
    for (address, stored) in record::all::<Map<String, Value>>(state, record::SPOTS).await? {
        let key = record::spot(&address);
        let wrong = |cause: String| ServiceError::Record { key: key.clone(), cause };
        let mut alone: BackupConfiguration = read(&stored).map_err(|error| wrong(error.to_string()))?;
        if let Some(sealed) = sealed.remove(&record::spot_secrets(&address)) {
            alone.put_secrets(sealer.open(&key, &sealed)?);
        }
        let settings =
            DestinationSettings::only(&alone).ok_or_else(|| wrong("it names no destination".to_owned()))?;
        // By the address under which its backups are remembered, whatever a later version would call it.
        spots.push(Spot { address, settings });
    }
    Ok(spots)
}

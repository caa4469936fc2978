//! The last backups of every database, gathered in one walk over the history.

use crate::Studio;
use larder_model::{DatabaseName, Operation, OperationKind};
use larder_service::OperationFilter;
use std::collections::HashMap;

/// The ended backups of each database, the oldest first, at most `most` of each.
pub(crate) fn last_backups(studio: &Studio, most: usize) -> HashMap<DatabaseName, Vec<Operation>> {
    let filter = OperationFilter { kind: Some(OperationKind::Backup), ..OperationFilter::default() };
    let mut all: HashMap<DatabaseName, Vec<Operation>> = HashMap::new();
    // The newest come first.
    for operation in studio.service.operations(&filter) {
        if operation.status.is_final() {
            let its = all.entry(operation.database.clone()).or_default();
            if its.len() < most {
                its.push(operation);
            }
        }
    }
    for its in all.values_mut() {
        its.reverse();
    }
    all
}

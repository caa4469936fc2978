//! A destination that takes part in a backup, and what lay there before.

use crate::work::Order;
use crate::work::vault::{Found, Vault};
use larder_engines::BackupReport;
use larder_model::OperationId;

/// A destination that takes part.
pub(crate) struct Part {
    pub(crate) vault: Vault,
    /// What lay there before, the newest first.
    pub(crate) before: Vec<Found>,
}

impl Part {
    /// Lists the good backups that this installation made there, the newest first.
    fn good<'a>(&'a self, order: &'a Order) -> impl Iterator<Item = &'a Found> {
        self.before.iter().filter(|found| found.quality.is_good() && order.site.is_ours(found))
    }

    /// Returns the newest good backup that this installation made there.
    pub(crate) fn last_good<'a>(&'a self, order: &'a Order) -> Option<&'a Found> {
        self.good(order).next()
    }
}

/// Returns the good backup that an incremental goes on from, and its operation: the newest that every destination has.
pub(crate) fn previous(order: &Order, parts: &[Part]) -> Option<(OperationId, BackupReport)> {
    let (first, others) = parts.split_first()?;
    let everywhere = |operation: OperationId| {
        others.iter().all(|part| part.good(order).any(|found| found.mark.operation == Some(operation)))
    };
    first.good(order).find_map(|found| {
        let operation = found.mark.operation.filter(|operation| everywhere(*operation))?;
        Some((operation, found.note().report))
    })
}

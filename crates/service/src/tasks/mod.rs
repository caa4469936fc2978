//! Changing tasks: server-wide ones, those of single databases, and what is different for one database.

pub(crate) mod derived;
pub(crate) mod draft;
pub(crate) mod naming;
pub(crate) mod own;
pub(crate) mod server_wide;

use larder_model::task::Selector;
use larder_model::{PeriodicBackupConfiguration, ServerWideBackupConfiguration};
use serde::{Deserialize, Serialize};

/// What was stored, or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Stored {
    /// The task's name, made by the server where none was given.
    pub name: String,
    /// The revision of the state that holds the change.
    pub revision: u64,
    /// The task's number.
    pub task_id: u64,
}

/// Which task of a database is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSelector<'a> {
    /// The one with this number, as the database knows it.
    Id(u64),
    /// The one of this name: `Server Wide Backup, Nightly` for a derived one.
    Name(&'a str),
}

/// Says whether two versions of a task run at the same moments.
pub(crate) fn same_moments(a: &PeriodicBackupConfiguration, b: &PeriodicBackupConfiguration) -> bool {
    a.full_backup_frequency == b.full_backup_frequency
        && a.incremental_backup_frequency == b.incremental_backup_frequency
        && a.schedules == b.schedules
        && a.time_zone == b.time_zone
        && a.backup_window == b.backup_window
        && a.disabled == b.disabled
}

/// Says whether two versions of a server-wide task are for the same databases, whatever databases there are.
pub(crate) fn same_reach(a: &ServerWideBackupConfiguration, b: &ServerWideBackupConfiguration) -> bool {
    fn said(selector: &Option<Selector>) -> Option<&Selector> {
        selector.as_ref().filter(|selector| **selector != Selector::default())
    }
    a.excluded_databases == b.excluded_databases && said(&a.selector) == said(&b.selector)
}

//! A task with its schedule read: one for all databases, or one of a single database.

use crate::derivation::{covers, derived_name};
use crate::identity::TaskUid;
use jiff::Timestamp;
use larder_model::{Database, DatabaseName, PeriodicBackupConfiguration, ServerWideBackupConfiguration};
use larder_schedule::Schedule;

/// What a task is, as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// For every database but some.
    ServerWide(ServerWideBackupConfiguration),
    /// For one database.
    Own(DatabaseName, PeriodicBackupConfiguration),
}

impl Written {
    /// Returns what both have in common.
    pub(crate) const fn periodic(&self) -> &PeriodicBackupConfiguration {
        match self {
            Self::ServerWide(task) => &task.periodic,
            Self::Own(_, task) => task,
        }
    }

    /// Returns what both have in common, to be changed.
    pub(crate) const fn periodic_mut(&mut self) -> &mut PeriodicBackupConfiguration {
        match self {
            Self::ServerWide(task) => &mut task.periodic,
            Self::Own(_, task) => task,
        }
    }
}

/// A task that is stored, ready to be asked when it runs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Its number for life.
    pub(crate) uid: TaskUid,
    /// As it is stored, secrets included.
    pub(crate) written: Written,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When its schedule last changed, or it was woken: nothing before counts as missed.
    pub(crate) scheduled: Timestamp,
    /// The revision that last put it: RavenDB moves a task to the end of a database's list with every change.
    pub(crate) put: u64,
    /// When it runs.
    pub(crate) schedule: Schedule,
}

impl Plan {
    /// Returns the settings that both kinds have.
    pub(crate) const fn periodic(&self) -> &PeriodicBackupConfiguration {
        self.written.periodic()
    }

    /// Returns the task as it was written, where it is server-wide.
    pub(crate) const fn server_wide(&self) -> Option<&ServerWideBackupConfiguration> {
        match &self.written {
            Written::ServerWide(task) => Some(task),
            Written::Own(..) => None,
        }
    }

    /// Returns the name it was given.
    pub(crate) fn name(&self) -> &str {
        &self.periodic().name
    }

    /// Returns the name that its databases know it by.
    pub(crate) fn shown_name(&self) -> String {
        match &self.written {
            Written::ServerWide(task) => derived_name(&task.periodic.name),
            Written::Own(_, task) => task.name.clone(),
        }
    }

    /// Says whether the task is for a database, be it there or not.
    pub(crate) fn covers(&self, database: &Database) -> bool {
        match &self.written {
            Written::ServerWide(task) => covers(task, database),
            Written::Own(name, _) => *name == database.name,
        }
    }

    /// Says whether the task is for a database that is there.
    pub(crate) fn applies(&self, database: &Database) -> bool {
        database.missing_since.is_none() && self.covers(database)
    }
}

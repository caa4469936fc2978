//! Which task of which database.

use larder_model::DatabaseName;
use std::fmt;

/// Names a task for as long as it exists, whatever it is called: the revision of the state that first stored it.
///
/// Server-wide tasks and those of one database are counted together, so that no two have the same; 0 stands for
/// one-time backups.
pub(crate) type TaskUid = u64;

/// Names one task of one database, a derived one or its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    /// The database.
    pub(crate) database: DatabaseName,
    /// The server-wide task it comes from, or the database's own task.
    pub(crate) task: TaskUid,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            0 => write!(f, "{}", self.database),
            task => write!(f, "{} by task {task}", self.database),
        }
    }
}

/// Names the backups of one task of one database of one installation, for what a source keeps between them. Empty for one-time
/// backups, which nothing goes on from.
pub(crate) fn chain(identifier: &str, task: TaskUid, database: &DatabaseName) -> String {
    match task {
        0 => String::new(),
        task => format!("{identifier}/{task}/{database}"),
    }
}

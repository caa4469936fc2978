//! What an operation does, and what came of it.

use crate::destination::Destination;
use crate::identity::TaskKey;
use crate::location::Located;
use crate::record::StoredPlace;
use crate::request::{BackupChoice, CheckDepth, RepairRequest, RestoreRequest};
use crate::spot::Spot;
use crate::view::{FailureCause, Verification};
use jiff::Timestamp;
use larder_model::operation::DestinationOutcome;
use larder_model::task::{BackupConfiguration, Periodicity};
use larder_model::{BackupId, BackupKind, Database};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Makes a backup.
    Backup {
        /// The task of the database.
        key: TaskKey,
        /// What is asked for; it becomes full by itself where there is nothing to go on from.
        kind: BackupKind,
        /// Why it is made.
        cause: Cause,
        /// What is backed up where, for a backup that no task is behind.
        once: Option<Arc<BackupConfiguration>>,
    },
    /// Gets data back.
    Restore {
        /// The database.
        database: Arc<Database>,
        /// What, from where, to where.
        request: RestoreRequest,
        /// The destinations to look at.
        destinations: Vec<Destination>,
    },
    /// Makes a backup into a new database of Larder's own.
    Adopt {
        /// What it becomes.
        database: Arc<Database>,
        /// Where the backup lies.
        from: Located,
        /// Which one.
        backup: BackupChoice,
    },
    /// Restores into scratch and compares.
    Verify {
        /// The database.
        database: Arc<Database>,
        /// Which backup.
        backup: BackupChoice,
        /// The destinations to look at.
        destinations: Vec<Destination>,
    },
    /// Checks repositories.
    Check {
        /// The database.
        database: Arc<Database>,
        /// The destinations to check.
        destinations: Vec<Destination>,
        /// How much is read.
        depth: CheckDepth,
        /// The place that it is upkeep of, where the server makes it by itself.
        upkeep: Option<StoredPlace>,
    },
    /// Frees the space of what no backup needs.
    Prune {
        /// The database.
        database: Arc<Database>,
        /// The destinations to free space at.
        destinations: Vec<Destination>,
        /// Whether it only says what it would do.
        dry_run: bool,
        /// The place that it is upkeep of, where the server makes it by itself.
        upkeep: Option<StoredPlace>,
    },
    /// Mends repositories.
    Repair {
        /// The database.
        database: Arc<Database>,
        /// The destinations to mend.
        destinations: Vec<Destination>,
        /// Every destination of the database: what is damaged at one may be intact at another.
        all: Vec<Destination>,
        /// How.
        request: RepairRequest,
    },
    /// Brings to destinations what they lack.
    Heal {
        /// The database.
        database: Arc<Database>,
        /// The only destination that is to get something, by its name in the task; all where nothing is said.
        destination: Option<String>,
    },
}

/// Why a backup is made.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// Whether the schedule asked for it, and not a person.
    pub(crate) scheduled: bool,
    /// When it should have begun.
    pub(crate) due: Timestamp,
    /// Why, in words that follow "it was started, because".
    pub(crate) why: String,
    /// What it is kept as.
    pub(crate) periodicities: BTreeSet<Periodicity>,
}

impl Cause {
    /// Somebody asked for it.
    pub(crate) fn asked(now: Timestamp, periodicity: Periodicity) -> Self {
        let why = match periodicity {
            Periodicity::Shutdown => "the host is going down",
            _ => "somebody asked for it",
        };
        Self { scheduled: false, due: now, why: why.to_owned(), periodicities: BTreeSet::from([periodicity]) }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Well, and somebody positively said so.
    Completed,
    /// With an error: what, where, what to do.
    Faulted(String),
    /// Somebody aborted it.
    #[default]
    Canceled,
}

/// What came of an operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What a person should be told.
    pub(crate) messages: Vec<String>,
    /// Which part failed, where one did.
    pub(crate) cause: FailureCause,
    /// How it went at each destination.
    pub(crate) destinations: Vec<DestinationOutcome>,
    /// What was really done, where that differs from what was asked for.
    pub(crate) kind: Option<BackupKind>,
    /// Whether it is proved that nothing changed since the last backup.
    pub(crate) unchanged: bool,
    /// The good backup that was made, or found still to hold.
    pub(crate) good: Option<GoodBackup>,
    /// The spots that hold a repository of the database now.
    pub(crate) spots: Vec<Arc<Spot>>,
    /// Whether what was made is protected by a key that not everybody knows.
    pub(crate) encrypted: bool,
    /// Backups that were removed by the policy.
    pub(crate) removed: Vec<BackupId>,
    /// Addresses at which another prune must come, because packs stay for the grace period.
    pub(crate) retired: Vec<String>,
    /// Addresses at which nothing is damaged any more.
    pub(crate) mended: Vec<String>,
    /// Whether a check that failed could be made, so that what it says is about what lies there.
    pub(crate) judged: bool,
    /// What a comparison said.
    pub(crate) verification: Option<Verification>,
}

/// A good backup.
#[derive(Clone, Debug)]
pub(crate) struct GoodBackup {
    /// Its name at the first destination that has it.
    pub(crate) id: BackupId,
    /// When it was begun, or proved to hold still.
    pub(crate) time: Timestamp,
    /// Where the next incremental goes on.
    pub(crate) position: Option<String>,
}

impl Done {
    /// Ends with an error.
    pub(crate) fn faulted(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Faulted(message.into()), ..Self::default() }
    }
}

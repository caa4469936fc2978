//! What can go wrong with a repository.

use crate::crypto::NoRandomness;
use crate::layout::CONFIG_PATH;
use larder_model::Canceled;
use larder_storage::{StorageError, StorageErrorKind};

/// What the key file of a repository is called that has none.
pub(crate) const KEY_FILE: &str = "its key file, which belongs below 'keys',";

/// A failed piece of work on a repository: what it was about, where, why it failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The work was stopped because somebody asked for it.
    #[error(transparent)]
    Canceled(#[from] Canceled),
    /// The destination failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no repository to open.
    #[error("there is no repository at {destination}; check the address, or make a backup there first")]
    NotARepository {
        /// Where it was looked for.
        destination: String,
    },
    /// A repository is to be made where one already is.
    #[error("there is a repository at {destination} already, so none was made; open it with its key")]
    Exists {
        /// Where it is.
        destination: String,
    },
    /// Somebody else's files are where the repository should be made.
    #[error("{destination} holds files that are not a repository ('{example}'); name an empty folder")]
    Foreign {
        /// Where they are.
        destination: String,
        /// One of them.
        example: String,
    },
    /// No key file opens with the given key.
    #[error("the key does not open the repository at {destination}; give the key it was made with")]
    WrongKey {
        /// The repository.
        destination: String,
    },
    /// The repository has a format that is not supported.
    #[error(
        "the repository at {destination} has format version {version}, and version 2 is needed; \
         `restic migrate upgrade_repo_v2` brings version 1 up to date"
    )]
    Unsupported {
        /// The repository.
        destination: String,
        /// The version in its configuration.
        version: u32,
    },
    /// An object does not hold what it must.
    #[error("{object} at {destination} is damaged: {cause}; {}", remedy_of(object))]
    Damaged {
        /// The object, such as `index/0a1b…` or `the tree 0a1b… in data/0a/0a1b…`.
        object: String,
        /// The repository.
        destination: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No destination can give something that is needed.
    #[error("{cause}")]
    Unreadable {
        /// What it is and why, in a whole sentence.
        cause: String,
    },
    /// Something that is asked for, or that a backup refers to, is not in the repository.
    #[error("{object} is not in the repository at {destination}; {remedy}")]
    Missing {
        /// What is not there.
        object: String,
        /// The repository.
        destination: String,
        /// What the reader can do.
        remedy: String,
    },
    /// A stream that is to be backed up broke off: half a dump is no backup.
    #[error("reading {path} failed: {cause}; nothing was kept of this backup, start it again")]
    Source {
        /// The stream.
        path: String,
        /// Why, in the source's own words.
        cause: String,
    },
    /// Something of the backup before cannot be taken over into this one.
    #[error("taking {name} over from the backup before failed: {cause}; make a full backup")]
    NotCarried {
        /// The entry.
        name: String,
        /// Why, in the middle of a sentence.
        cause: String,
    },
    /// A file or directory of this machine could not be used.
    #[error("could not {action} '{path}': {cause}; {remedy}")]
    Local {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// Why it failed, in the system's own words.
        cause: String,
        /// What the reader can do.
        remedy: &'static str,
    },
    /// Somebody else works on the repository in a way that excludes this.
    #[error("the repository at {destination} is locked by {holder}; wait until that is done")]
    Locked {
        /// The repository.
        destination: String,
        /// Who holds the lock: process, host and since when.
        holder: String,
    },
    /// The key that opens the repository is to be removed.
    #[error(
        "the key that opened the repository at {destination} stays, so that the last never goes; change it instead, \
         or open the repository with another key to remove this one"
    )]
    KeyInUse {
        /// The repository.
        destination: String,
    },
    /// Objects are to be copied between repositories that do not share their master key.
    #[error(
        "{other} does not share the master key of {destination}, so nothing can be copied between them; only repositories \
         that were made as destinations of the same backups do"
    )]
    NotTwins {
        /// Where to.
        destination: String,
        /// Where from.
        other: String,
    },
    /// The own lock could not be renewed, so that others may work on what it protected.
    #[error(
        "the lock on the repository at {destination} could not be renewed in time, so the work was stopped; \
         check the connection and start again"
    )]
    LockLost {
        /// The repository.
        destination: String,
    },
    /// What a destination says cannot be trusted enough to delete anything on the strength of it.
    #[error("nothing more was removed from the repository at {destination}, for {cause}; run a check")]
    Doubtful {
        /// The repository.
        destination: String,
        /// What does not fit.
        cause: String,
    },
    /// A restore ended, but not everything is as in the backup.
    #[error(
        "{failed} of the files could not be restored below '{target}', the first is {first}; all others are complete"
    )]
    Incomplete {
        /// How many files and directories are not as in the backup.
        failed: u64,
        /// Where to.
        target: String,
        /// The first of them, and why.
        first: String,
        /// What was done, with all failures.
        summary: Box<crate::restore::RestoreSummary>,
    },
    /// A destination was left out of a run because it took nothing more for too long.
    #[error(
        "{destination} took no data for {waited_seconds} s and was left out of this backup; check its connection"
    )]
    Stalled {
        /// The destination.
        destination: String,
        /// How long it was waited for.
        waited_seconds: u64,
    },
    /// The caller broke the order of calls, or this program is wrong.
    #[error("{what}; this is a fault of the program, please report it")]
    Internal {
        /// What happened.
        what: String,
    },
}

impl RepositoryError {
    /// Says whether the work ended because it was aborted.
    #[must_use]
    pub const fn is_canceled(&self) -> bool {
        matches!(self, Self::Canceled(_))
    }

    /// Says whether a repository that is there could not be opened because its configuration or a key file is damaged or gone;
    /// [`Repository::revive`](crate::Repository::revive) may help.
    #[must_use]
    pub fn bars_the_way(&self) -> bool {
        let (Self::Damaged { object, .. } | Self::Missing { object, .. }) = self else { return false };
        object == CONFIG_PATH || object.starts_with(KEY_FILE) || object.starts_with("keys/")
    }

    /// Says whether the failure proves that an object is gone or does not hold what it must. A destination that is out of
    /// reach, refuses, or fails for whatever other reason proves nothing.
    pub(crate) const fn proves_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Missing { .. } => true,
            Self::Storage(error) => {
                matches!(error.kind, StorageErrorKind::NotFound | StorageErrorKind::Damaged)
            }
            _ => false,
        }
    }
}

/// Says what to do about a damaged object; `object` begins with its path, where it has one of its own.
fn remedy_of(object: &str) -> &'static str {
    match object.split_once('/').map_or(object, |(folder, _)| folder) {
        "config" => "no data is lost with it: repair the repository, which makes it anew",
        "keys" => {
            "open it with another of its keys, or repair it together with another destination of the same backups"
        }
        "index" => "no data is lost with it: repair the index, then start again",
        "snapshots" => "the other backups are not affected: fetch it from another destination, or remove it",
        _ => "run a check to see which backups need it",
    }
}

impl From<NoRandomness> for RepositoryError {
    fn from(error: NoRandomness) -> Self {
        Self::Local {
            action: "read",
            path: "/dev/urandom".to_owned(),
            cause: error.to_string(),
            remedy: "nothing was encrypted; repair the system's random number generator",
        }
    }
}

//! What can go wrong when the service is asked for something.

use larder_engines::EngineError;
use larder_state::StateError;
use larder_storage::StorageError;

/// A request that the service could not carry out; each says in one sentence why and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing.
    #[error("there is no {what} '{name}'; {remedy}")]
    NotFound {
        /// What was looked for: `database`, `task`, `source`, `operation`, `backup`, `destination`.
        what: &'static str,
        /// The name or number as it was given.
        name: String,
        /// What the reader can do.
        remedy: String,
    },
    /// A value makes no sense.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as the configuration spells it: `FullBackupFrequency`.
        field: &'static str,
        /// One sentence that says what is wrong and what is right.
        message: String,
    },
    /// It is refused as things stand now.
    #[error("{message}")]
    Conflict {
        /// One sentence that says what stands in the way and what to do.
        message: String,
    },
    /// The server's memory failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record in the server's memory is not what Larder wrote.
    #[error(
        "the state holds a record '{key}' that cannot be read: {cause}; restore the state file from a backup of it"
    )]
    Record {
        /// The record's key.
        key: String,
        /// Why it cannot be read.
        cause: String,
    },
    /// A source could not be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A destination could not be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A repository could not be used.
    #[error("{message}")]
    Repository {
        /// The repository's own sentence.
        message: String,
    },
    /// A directory of Larder's own could not be used.
    #[error(
        "could not {action} '{path}': {cause}; check the permissions and the space of the disk it lies on"
    )]
    Directory {
        /// What was attempted: `create`, `empty`.
        action: &'static str,
        /// The directory.
        path: String,
        /// Why it failed.
        cause: String,
    },
    /// The service was stopped.
    #[error("the server is stopping, so it takes no new work; ask again once it runs")]
    Stopped,
}

impl ServiceError {
    pub(crate) fn not_found(what: &'static str, name: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into(), remedy: remedy.into() }
    }

    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into() }
    }
}

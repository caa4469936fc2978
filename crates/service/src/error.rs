//! What can go wrong when the service is asked for something.

use larder_engines::EngineError;
use larder_model::task::WrongValue;
use larder_state::StateError;
use larder_storage::StorageError;

/// What kind of thing went wrong, for callers that answer machines.
///
/// The kinds follow RavenDB's exceptions, so that its clients get the `Type` they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// It is refused as things stand: `System.InvalidOperationException`.
    InvalidOperation,
    /// A value makes no sense: `System.ArgumentException`.
    Argument,
    /// A value lies outside of what makes sense: `System.ArgumentOutOfRangeException`.
    ArgumentOutOfRange,
    /// A combination that does not exist: `System.NotSupportedException`.
    NotSupported,
    /// A cron expression makes no sense: `NCrontab.Advanced.Exceptions.CrontabException`.
    Crontab,
    /// A value cannot be what its key asks for: `System.FormatException`.
    Format,
    /// The stored configuration does not allow it: `Raven.Server.Rachis.RachisApplyException`.
    ApplyRefused,
    /// A task is meant that is not there: `Raven.Server.Rachis.RachisInvalidOperationException`.
    UnknownTask,
    /// There is no such database: `Raven.Client.Exceptions.Database.DatabaseDoesNotExistException`.
    DatabaseMissing,
    /// There is such a database already: `Raven.Client.Exceptions.ConcurrencyException`.
    DatabaseExists,
    /// A name that no database may have: `Raven.Client.Exceptions.BadRequestException`.
    BadName,
    /// There is no such thing.
    NotFound,
    /// It is refused as things stand now; another try later may do.
    Conflict,
    /// A source could not be used.
    Source,
    /// A destination or a repository could not be used.
    Destination,
    /// The server is stopping.
    Stopped,
    /// The server's own memory or disk failed.
    Server,
}

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
        /// What kind of thing is wrong.
        kind: ErrorKind,
        /// The field, as the configuration spells it: `FullBackupFrequency`.
        field: &'static str,
        /// One sentence that says what is wrong and what is right.
        message: String,
    },
    /// A value cannot be what its key asks for.
    #[error(transparent)]
    WrongValue(#[from] WrongValue),
    /// It is refused for a reason that has a name.
    #[error("{message}")]
    Refused {
        /// What kind of reason.
        kind: ErrorKind,
        /// One sentence that says what stands in the way and what to do.
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

    /// The error of a database that is not there.
    pub(crate) fn database_missing(name: &str) -> Self {
        Self::not_found("database", name, "list the databases to see their names, or add its source")
    }

    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::invalid_as(ErrorKind::Argument, field, message)
    }

    pub(crate) fn invalid_as(kind: ErrorKind, field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { kind, field, message: message.into() }
    }

    pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Refused { kind, message: message.into() }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into() }
    }

    /// Says what kind of thing went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { what, .. } if matches!(what.as_bytes(), b"database") => {
                ErrorKind::DatabaseMissing
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Invalid { kind, .. } | Self::Refused { kind, .. } => *kind,
            Self::WrongValue(_) => ErrorKind::Format,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Engine(_) => ErrorKind::Source,
            Self::Storage(_) | Self::Repository { .. } => ErrorKind::Destination,
            Self::Stopped => ErrorKind::Stopped,
            Self::State(_) | Self::Record { .. } | Self::Directory { .. } => ErrorKind::Server,
        }
    }
}

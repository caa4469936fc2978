//! What can go wrong in an engine.

use larder_model::Canceled;

/// A place that takes entries, or gives them back, failed.
///
/// Engines pass it on as it is; they do not look inside.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SinkError(pub Box<dyn std::error::Error + Send + Sync>);

/// A failed call to an engine: what was attempted, on which thing, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The work was stopped because somebody asked for it.
    #[error(transparent)]
    Canceled(#[from] Canceled),
    /// The repository or destination failed; nothing is wrong with the source.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The thing to back up is not there.
    #[error("{what} does not exist; {remedy}")]
    Missing {
        /// The thing, with its path or address.
        what: String,
        /// What the reader can do.
        remedy: String,
    },
    /// The source, or the target of a restore, could not be used.
    #[error("{action} failed: {cause}; {remedy}")]
    Failed {
        /// What was attempted on what: `reading /srv/www`, `opening /srv/shop.db`.
        action: String,
        /// Why it failed, in the source's own words.
        cause: String,
        /// What the reader can do.
        remedy: String,
    },
    /// The target of a restore holds something, and nobody said that it may be overwritten.
    #[error(
        "{target} is not empty, so nothing was restored; name an empty place, or say that it may be overwritten"
    )]
    TargetNotEmpty {
        /// The target, with its path.
        target: String,
    },
}

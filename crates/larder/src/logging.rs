//! The log, on standard error.

use tracing_subscriber::EnvFilter;

/// Starts the log; `RUST_LOG` wins over `--verbose`, and that over the level given.
pub(crate) fn start(verbose: bool, level: &str) {
    let level = if verbose { "debug" } else { level };
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "the log was started before");
    }
}

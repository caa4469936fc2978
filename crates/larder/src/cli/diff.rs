//! The command that compares two backups.

use super::Connection;
use clap::Args;
use larder_service::ChangeKind;

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The database
    pub(crate) database: String,
    /// The first backup: an id or its first characters, or a moment such as 2026-03-01T12:00:00Z
    pub(crate) before: String,
    /// The second
    #[arg(default_value = "latest")]
    pub(crate) after: String,
    /// Only what differs so: added, removed, changed or metadata
    #[arg(long, value_name = "WORD", value_parser = kind)]
    pub(crate) only: Option<ChangeKind>,
    /// At most so many entries
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: usize,
    /// Pass over so many entries
    #[arg(long, default_value_t = 0)]
    pub(crate) start: usize,
    /// The destination, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn kind(word: &str) -> Result<ChangeKind, String> {
    super::find(word, &ChangeKind::ALL)
}

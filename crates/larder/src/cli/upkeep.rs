//! Commands that mend repositories and free their space, and the one that shows what the server does by itself.

use super::Connection;
use clap::{Args, ValueEnum};
use larder_service::DamagedBackups;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct RepairArguments {
    /// The database
    pub(crate) database: String,
    /// Only at this destination; what is damaged there is taken from any other. With --key-file: the directory that holds a folder for each database, or a task file with one destination; given several times, each is mended with the help of the others
    #[arg(long, value_name = "NAME|DIR|FILE")]
    pub(crate) destination: Vec<String>,
    /// The key of the repositories: works without a server
    #[arg(long, value_name = "FILE", requires = "destination")]
    pub(crate) key_file: Option<PathBuf>,
    /// Read every byte, to find damage that sizes do not show
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What is done with backups of which something is lost for good
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    pub(crate) damaged_backups: Damaged,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is done with backups of which something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Damaged {
    /// They stay as they are
    Keep,
    /// What is left of each is written as a second backup, marked incomplete
    Supplement,
    /// And then the damaged one is removed
    Replace,
}

impl From<Damaged> for DamagedBackups {
    fn from(word: Damaged) -> Self {
        match word {
            Damaged::Keep => Self::Keep,
            Damaged::Supplement => Self::Supplement,
            Damaged::Replace => Self::Replace,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    /// The database
    pub(crate) database: String,
    /// Only at this destination
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
    /// Only say what would be freed
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct UpkeepArguments {
    /// The database
    pub(crate) database: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

//! The arguments of `larder source`.

use super::Connection;
use clap::Subcommand;
use larder_model::EngineKind;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Add a source and search it at once
    Add {
        /// A directory, a SQLite file, or a server: postgresql://USER@HOST:PORT
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// What reads it [default: files for a path, and what the address begins with for a server]
        #[arg(long)]
        engine: Option<EngineKind>,
        /// Its name [default: made from the address]
        #[arg(long)]
        name: Option<String>,
        /// A file that holds the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// What else the engine wants to know; may be given several times
        #[arg(long, value_name = "NAME=VALUE")]
        option: Vec<String>,
        /// A pattern to leave out, in gitignore syntax; may be given several times
        #[arg(long, value_name = "PATTERN")]
        exclude: Vec<String>,
        /// Take logs and caches too, which are left out otherwise
        #[arg(long)]
        no_default_excludes: bool,
        /// Stay on the file system that the path lies on
        #[arg(long)]
        one_file_system: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the sources
    List(Connection),
    /// Say which rights a source's user lacks, and what grants them
    Check {
        /// The source
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Look for sources on the server's host that are not added yet
    Find {
        /// Add them all
        #[arg(long)]
        accept: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Change a source's address, password or options; the rest stays
    Change {
        /// The source
        name: String,
        /// Its new address
        #[arg(long)]
        address: Option<String>,
        /// A file that holds the new password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// An option to set, or with nothing after the sign to remove; may be given several times
        #[arg(long, value_name = "NAME=VALUE")]
        option: Vec<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove a source; its backups stay
    Remove {
        /// The source
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

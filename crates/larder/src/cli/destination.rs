//! Commands about destinations, and about what other programs were told of them.

use super::Connection;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum DestinationCommand {
    /// List the destinations that tasks write to or that hold backups
    List {
        /// Those of this database alone, with their names
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Try a task's destinations: write, list, read and delete a small object at each
    Test {
        /// The task, or a file that holds one which is not stored yet
        task: String,
        /// Only this destination
        destination: Option<String>,
        /// The task is one of this database alone
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Say what each destination of a database lacks of what the others have
    Compare {
        /// The database
        database: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Bring to a database's destinations what they lack, out of the others
    Heal {
        /// The database
        database: String,
        /// Only to this destination
        destination: Option<String>,
        /// Wait until it has ended, and show how far it is
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Make a task of the setup document of RavenDB 2 and 3: Raven/Backup/Periodic/Setup
    RavenSetup {
        /// The document, as JSON
        file: PathBuf,
        /// The settings of its database, as JSON: holds Raven/AWSAccessKey, Raven/AWSSecretKey, Raven/AzureStorageAccount and Raven/AzureStorageKey
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
        /// The task's name
        #[arg(long, default_value = "Imported")]
        name: String,
        /// Make it a task of this database alone
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        /// Only print the task; store nothing
        #[arg(long)]
        print: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

//! The command line: every command, argument and sentence of help.

mod destination;
mod diff;
mod source;
mod upkeep;

pub(crate) use destination::{DestinationCommand, ImportCommand};
pub(crate) use diff::DiffArguments;

use crate::exit::EXIT_CODES;
use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use larder_model::task::Periodicity;
use larder_model::{OperationKind, OperationStatus, TimeSpan};
use larder_service::CheckPart;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use source::SourceCommand;
pub(crate) use upkeep::{PruneArguments, RepairArguments, UpkeepArguments};

/// Where the server listens unless told otherwise.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8600";

/// Larder backs up databases and file trees on schedule, and proves that they can be got back.
#[derive(Debug, Parser)]
#[command(name = "larder", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Print one JSON value on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log what happens in detail, on standard error
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: schedules, API and studio, until Ctrl-C
    Serve(HostArguments),
    /// Back up paths now, prove it by restoring, and go on as a server
    Quickstart(QuickstartArguments),
    /// Say what is to be backed up: places that hold databases and trees
    #[command(subcommand)]
    Source(SourceCommand),
    /// Look at databases and trees, make and delete databases
    #[command(subcommand)]
    Database(DatabaseCommand),
    /// Say how backups are made: server-wide tasks, and tasks of one database
    #[command(subcommand)]
    Task(TaskCommand),
    /// Look at destinations, try them, compare and heal them
    #[command(subcommand)]
    Destination(DestinationCommand),
    /// Make and list backups
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Look at what runs and ran, and stop it
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Get a backup's data back
    Restore(RestoreArguments),
    /// Say what differs between two backups of a database
    Diff(DiffArguments),
    /// Check a repository: its structure, or every byte
    Check(CheckArguments),
    /// Restore a backup into scratch and compare it
    Verify(VerifyArguments),
    /// Mend a repository: from other destinations, and by an index made anew
    Repair(RepairArguments),
    /// Free the space that no backup needs
    Prune(PruneArguments),
    /// Show what the server does by itself for a database's repositories
    Upkeep(UpkeepArguments),
    /// Show what waits, and why
    Queue(Connection),
    /// Show why a database's tasks ran or did not, newest first
    Decisions(DecisionsArguments),
    /// See what retention would remove
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Take over what another program was told
    #[command(subcommand)]
    Import(ImportCommand),
    /// Show how everything stands
    Status(Connection),
    /// Print the lines with which stock restic opens a repository
    #[command(after_help = "Example:\n  eval \"$(larder restic-env Products)\"; restic snapshots")]
    ResticEnv(ResticEnvArguments),
}

/// Where the server answers.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The server's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
    /// A file that holds the server's token
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// What a server on this host needs to know.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostArguments {
    /// Larder's own directory: state, key, configuration; made where there is none
    #[arg(long, value_name = "DIR", default_value = "./larder-data")]
    pub(crate) data: PathBuf,
    /// Where to listen; anything but loopback needs --token-file [default: 127.0.0.1:8600]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) bind: Option<SocketAddr>,
    /// The configuration [default: larder.toml in the data directory, written at the first start]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file that holds the token every caller must show
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArguments {
    /// Directories to back up, with every SQLite file below them, or SQLite files
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// End after the table instead of going on as a server
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatabaseCommand {
    /// List the databases and how each stands
    List(Connection),
    /// Make a SQLite database in Larder's own source
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Strike databases off the list; backups stay
    Delete {
        /// The databases
        #[arg(required = true)]
        names: Vec<String>,
        /// Delete the databases' files too; only those of Larder's own source
        #[arg(long)]
        hard: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Store a task from a TOML or JSON file, new or changed
    #[command(after_help = "Ready files: see examples/ in Larder's source.")]
    Put {
        /// The file; - reads JSON from standard input
        file: PathBuf,
        /// Make it a task of this database alone
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the tasks
    List {
        /// Those that apply to this database, its own and the derived ones
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one task and its next runs
    Show(TaskArguments),
    /// Show a task's next runs
    Next {
        /// The task, or a file that holds one which is not stored yet
        task: String,
        /// How many
        #[arg(long, default_value_t = 5)]
        count: usize,
        #[command(flatten)]
        connection: Connection,
    },
    /// Wake a task that rests
    Enable(TaskArguments),
    /// Let a task rest: it makes no backups until it is enabled
    Disable(TaskArguments),
    /// Delete a task; its backups stay
    Delete(TaskArguments),
}

/// One task, server-wide or of one database.
#[derive(Clone, Debug, Args)]
pub(crate) struct TaskArguments {
    /// The task
    pub(crate) name: String,
    /// The task of this database alone; also a derived one: "Server Wide Backup, NAME"
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Ask for a backup now
    Now {
        /// The databases
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        databases: Vec<String>,
        /// Every database that has a task
        #[arg(long)]
        all: bool,
        /// Read everything anew
        #[arg(long)]
        full: bool,
        /// The task whose destinations are used
        #[arg(long, value_name = "NAME")]
        task: Option<String>,
        /// Only tasks with a schedule of this periodicity: hourly, daily, weekly, monthly, bimonthly, shutdown or manual
        #[arg(long, value_name = "WORD", value_parser = periodicity, requires = "all")]
        periodicity: Option<Periodicity>,
        /// Wait until it has ended, and show how far it is
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List a database's backups, newest first
    List {
        /// The database
        database: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Where backups lie; with a key file, no server is needed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// A destination's name; with --key-file, the directory that holds a folder for each database, or a task file with one destination
    #[arg(long, value_name = "NAME|DIR|FILE")]
    pub(crate) destination: Option<String>,
    /// The key of the repositories: works without a server
    #[arg(long, value_name = "FILE", requires = "destination")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// List operations, newest first
    List {
        /// Only of this database
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
        /// Only of this kind: backup, restore, verify, check, prune, heal or repair
        #[arg(long, value_parser = operation_kind)]
        kind: Option<OperationKind>,
        /// Only those that stand so: queued, running, completed, failed or aborted
        #[arg(long, value_parser = operation_status)]
        status: Option<OperationStatus>,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one operation
    Show {
        /// Its number
        id: u64,
        #[command(flatten)]
        connection: Connection,
    },
    /// Stop a backup for now, and begin it again after a time; what it stored is not sent again
    Delay {
        /// The operation's number
        id: u64,
        /// For how long: 1h, 90m, 1h 30m, or as 01:30:00
        #[arg(value_parser = delay)]
        duration: TimeSpan,
        #[command(flatten)]
        connection: Connection,
    },
    /// Stop an operation and wait until it has ended
    Abort {
        /// Its number
        id: u64,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DecisionsArguments {
    /// The database
    pub(crate) database: String,
    /// Only this task
    pub(crate) task: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Say for each backup which rule keeps it, or that it would go; removes nothing
    Simulate {
        /// The database
        database: String,
        /// The task whose backups are judged, where there are several
        #[arg(long, value_name = "NAME")]
        task: Option<String>,
        /// A task file whose RetentionPolicy is tried instead of the task's own
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// The destination, where there are several
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        /// Look so many days ahead instead: what the next runs make, what goes then, and which rule kept it
        #[arg(long)]
        days: Option<u32>,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The database
    pub(crate) database: String,
    /// Where to: a directory for a tree, a file for a SQLite database
    #[arg(required_unless_present = "into")]
    pub(crate) target: Option<PathBuf>,
    /// Into a server instead: the source that is the server, and the name of the new database there
    #[arg(long, value_name = "SOURCE/NAME", conflicts_with_all = ["target", "key_file"])]
    pub(crate) into: Option<String>,
    /// End at the last change before this moment, where the engine can: 2026-03-01T12:00:00Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "position")]
    pub(crate) time: Option<jiff::Timestamp>,
    /// End at this position, in the engine's words, where the engine can
    #[arg(long)]
    pub(crate) position: Option<String>,
    /// Which backup: latest, an id or its first characters, or a moment such as 2026-03-01T12:00:00Z
    #[arg(long, default_value = "latest")]
    pub(crate) backup: String,
    /// Write over what is there
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The database
    pub(crate) database: String,
    /// Read every byte, not only the structure
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Read this part of the bytes: 3/30 is the third of thirty parts, and all thirty together read everything
    #[arg(long, value_name = "K/N")]
    pub(crate) part: Option<CheckPart>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The database
    pub(crate) database: String,
    /// Which backup: latest, an id or its first characters, or a moment such as 2026-03-01T12:00:00Z
    #[arg(long, default_value = "latest")]
    pub(crate) backup: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ResticEnvArguments {
    /// The database
    pub(crate) database: String,
    /// The destination, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn operation_kind(word: &str) -> Result<OperationKind, String> {
    use OperationKind::{Backup, Check, Heal, Prune, Repair, Restore, Verify};
    find(word, &[Backup, Restore, Verify, Check, Prune, Heal, Repair])
}

fn operation_status(word: &str) -> Result<OperationStatus, String> {
    use OperationStatus::{Canceled, Completed, Faulted, InProgress, Queued};
    find(word, &[Queued, InProgress, Completed, Faulted, Canceled])
}

fn periodicity(word: &str) -> Result<Periodicity, String> {
    use Periodicity::{Bimonthly, Daily, Hourly, Manual, Monthly, Shutdown, Weekly};
    let all = [Hourly, Daily, Weekly, Monthly, Bimonthly, Shutdown, Manual];
    all.into_iter().find(|one| format!("{one:?}").eq_ignore_ascii_case(word)).ok_or_else(|| {
        format!("it is one of {}", all.map(|one| format!("{one:?}").to_lowercase()).join(", "))
    })
}

/// Reads a length of time as people write it, or as RavenDB does.
fn delay(text: &str) -> Result<TimeSpan, String> {
    let says = || "it is no length of time; write for example 90m, 1h or 01:30:00".to_owned();
    let span = match text.parse::<TimeSpan>() {
        Ok(span) => span,
        Err(_) => TimeSpan::from_seconds(text.parse::<SignedDuration>().map_err(|_| says())?.as_secs()),
    };
    if span.ticks() > 0 { Ok(span) } else { Err("it must be longer than nothing".to_owned()) }
}

/// Finds a value by the word it is shown with.
fn find<T: Copy + ToString>(word: &str, all: &[T]) -> Result<T, String> {
    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.iter()
        .zip(&words)
        .find(|(_, name)| name.eq_ignore_ascii_case(word))
        .map(|(value, _)| *value)
        .ok_or_else(|| format!("it is one of {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_backup_needs_databases_or_all_of_them() {
        assert!(Cli::try_parse_from(["larder", "backup", "now"]).is_err());
        assert!(Cli::try_parse_from(["larder", "backup", "now", "shop", "--all"]).is_err());
        assert!(Cli::try_parse_from(["larder", "backup", "now", "shop", "web"]).is_ok());
        assert!(Cli::try_parse_from(["larder", "backup", "now", "--all", "--json"]).is_ok());
    }

    #[test]
    fn a_key_file_alone_does_not_say_where_backups_lie() {
        assert!(Cli::try_parse_from(["larder", "check", "shop", "--key-file", "k"]).is_err());
        assert!(
            Cli::try_parse_from(["larder", "check", "shop", "--key-file", "k", "--destination", "d"]).is_ok()
        );
    }

    #[test]
    fn a_delay_is_written_as_people_do_or_as_ravendb_does() {
        for text in ["1h", "60m", "01:00:00"] {
            assert_eq!(delay(text).unwrap().to_string(), "01:00:00", "{text}");
        }
        assert!(delay("soon").unwrap_err().contains("90m"));
        assert!(delay("-1h").is_err() && delay("0s").is_err());
    }

    #[test]
    fn states_are_asked_for_by_the_word_they_are_shown_with() {
        assert_eq!(operation_status("running"), Ok(OperationStatus::InProgress));
        assert_eq!(operation_kind("Verify"), Ok(OperationKind::Verify));
        assert!(operation_status("done").unwrap_err().contains("completed"));
    }
}

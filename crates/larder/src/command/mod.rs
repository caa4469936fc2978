//! The commands that ask a running server, or a destination directly.

mod backup;
mod database;
mod destination;
mod diff;
mod import;
mod offline;
mod operation;
mod queue;
mod restic;
mod restore;
mod retention;
pub(crate) mod source;
mod status;
mod task;
mod upkeep;
mod wait;

use crate::cli::Command;
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use std::path::{Path, PathBuf};

/// Carries out a command. The servers themselves are started elsewhere.
pub(crate) fn run(command: Command, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        Command::Source(command) => source::run(command, screen),
        Command::Database(command) => database::run(command, screen),
        Command::Task(command) => task::run(command, screen),
        Command::Destination(command) => destination::run(command, screen),
        Command::Import(command) => import::run(command, screen),
        Command::Backup(command) => backup::run(command, screen),
        Command::Operation(command) => operation::run(command, screen),
        Command::Restore(arguments) => restore::restore(&arguments, screen),
        Command::Diff(arguments) => diff::run(&arguments, screen),
        Command::Check(arguments) => upkeep::check(&arguments, screen),
        Command::Repair(arguments) => upkeep::repair(&arguments, screen),
        Command::Prune(arguments) => upkeep::prune(&arguments, screen),
        Command::Upkeep(arguments) => upkeep::upkeep(&arguments, screen),
        Command::Verify(arguments) => restore::verify(&arguments, screen),
        Command::Queue(connection) => queue::queue(&connection, screen),
        Command::Decisions(arguments) => queue::decisions(&arguments, screen),
        Command::Retention(command) => retention::run(command, screen),
        Command::Status(connection) => status::run(&connection, screen),
        Command::ResticEnv(arguments) => restic::run(&arguments, screen),
        Command::Serve(_) | Command::Quickstart(_) => {
            Err(Failure::new("this command starts a server; it is not carried out by one"))
        }
    }
}

/// Makes a path absolute as seen from here, whether there is something or not: a server may stand elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format!("'{}' is no path: {error}; name another", path.display())))
}

//! Larder: a periodic backup server in one program.
//!
//! Only this crate prints, reads the environment and looks at the clock.

mod cli;
#[cfg(test)]
mod cli_reference;
mod client;
mod clock;
mod command;
mod exit;
mod host;
mod logging;
mod quickstart;
mod serve;
mod show;
mod signals;
mod task_file;
mod text_place;

use clap::Parser;
use cli::{Cli, Command};
use exit::{Exit, Failure};
use show::screen::Screen;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(cli.json);
    match run(cli, &screen) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen.failure(&failure);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli, screen: &Screen) -> Result<Exit, Failure> {
    let verbose = cli.verbose;
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments, verbose, screen),
        Command::Quickstart(arguments) => quickstart::run(&arguments, verbose, screen),
        command => {
            logging::start(verbose, "warn");
            command::run(command, screen)
        }
    }
}

//! `larder quickstart`: from paths to proved backups in one command.

mod plan;
mod report;
mod work;

use crate::cli::QuickstartArguments;
use crate::command::source::resolve;
use crate::exit::{Exit, Failure};
use crate::host::Host;
use crate::serve;
use crate::show::screen::Screen;
use crate::signals::Interrupt;
use report::Report;
use std::path::PathBuf;

/// Backs up, proves, reports, and goes on as a server.
pub(crate) fn run(arguments: &QuickstartArguments, verbose: bool, screen: &Screen) -> Result<Exit, Failure> {
    // Looked at before anything is made: a misspelt path must leave no trace.
    let paths = arguments.paths.iter().map(|path| resolve(path)).collect::<Result<Vec<_>, _>>()?;
    serve::runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let mut host = Host::start(&arguments.host, !arguments.once, verbose, "warn").await?;
        let report = tokio::select! {
            report = prove(&host, paths, screen) => report,
            () = interrupt.wait() => Err(interrupted()),
        };
        let report = match report {
            Ok(report) => report,
            Err(failure) => {
                host.service.stop().await;
                return Err(failure);
            }
        };
        report.show(&host, screen)?;
        let exit = report.exit();
        match host.server.take() {
            // With a bad row it does not go on as if all were well: whoever started it must see.
            Some(server) if exit == Exit::Done => serve::answer(host, server, &interrupt, screen).await?,
            _ => host.service.stop().await,
        }
        Ok(exit)
    })
}

async fn prove(host: &Host, paths: Vec<PathBuf>, screen: &Screen) -> Result<Report, Failure> {
    let plan = plan::prepare(host, paths, screen).await?;
    work::run(host, plan, screen).await
}

fn interrupted() -> Failure {
    Failure::with(
        Exit::Interrupted,
        "interrupted: what was being backed up is dropped, finished backups stay; start it again to go on",
    )
}

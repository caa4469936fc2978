//! `larder serve`: the server, until it is told to stop.

use crate::cli::HostArguments;
use crate::exit::{Exit, Failure};
use crate::host::Host;
use crate::show::screen::Screen;
use crate::signals::Interrupt;
use larder_http::Server;
use serde_json::json;

/// Runs the server until Ctrl-C or SIGTERM.
pub(crate) fn run(arguments: &HostArguments, verbose: bool, screen: &Screen) -> Result<Exit, Failure> {
    runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let mut host = Host::start(arguments, true, verbose, "info").await?;
        if let Some(server) = host.server.take() {
            answer(host, server, &interrupt, screen).await?;
        }
        Ok(Exit::Done)
    })
}

/// Answers until somebody asks the program to end, and ends what runs.
pub(crate) async fn answer(
    host: Host,
    server: Server,
    interrupt: &Interrupt,
    screen: &Screen,
) -> Result<(), Failure> {
    let url = format!("http://{}", server.address());
    screen.line(&format!("Listening on {url} (Ctrl-C ends it)."));
    screen.value(&json!({ "Listening": url }))?;
    server.run(host.service.clone(), host.clock, interrupt.wait()).await;
    screen.remark("Stopping: what runs is ended, and will be made again when it is due.");
    host.service.stop().await;
    Ok(())
}

/// Makes the runtime that everything asynchronous runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(format!("could not start the program's threads: {error}; free some memory"))
    })
}

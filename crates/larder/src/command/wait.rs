//! Waits for operations of a server, and shows how far they are.

use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::operation;
use crate::show::progress::Bars;
use crate::show::screen::Screen;
use larder_http::Accepted;
use larder_model::{Operation, OperationId};
use std::time::Duration;

/// How often a bar is brought up to date.
const BEAT: Duration = Duration::from_millis(250);

pub(crate) fn path(id: OperationId) -> Path {
    Path::new(["operations", &id.to_string()])
}

/// Waits until an operation has ended, without showing anything.
pub(crate) fn until_ended(client: &Client, id: OperationId) -> Result<Operation, Failure> {
    loop {
        let wait = Path::new(["operations", &id.to_string(), "wait"]).with("seconds", Some("30"));
        let operation: Operation = client.get(&wait)?;
        if operation.status.is_final() {
            return Ok(operation);
        }
    }
}

/// Waits until all have ended, shows how far they are, and prints them as the result.
pub(crate) fn all(client: &Client, accepted: &Accepted, screen: &Screen) -> Result<Exit, Failure> {
    let mut bars = Bars::new(screen);
    let mut ended = Vec::new();
    for id in &accepted.operations {
        let operation = loop {
            let operation: Operation =
                if screen.is_live() { client.get(&path(*id))? } else { until_ended(client, *id)? };
            bars.update(&operation);
            if operation.status.is_final() {
                break operation;
            }
            std::thread::sleep(BEAT);
        };
        ended.push(operation);
    }
    drop(bars);
    screen.value(&ended)?;
    Ok(ended.iter().map(operation::exit).fold(Exit::Done, Exit::worse))
}

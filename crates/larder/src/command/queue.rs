//! `larder queue` and `larder decisions`: why something waits, ran, or did not run.

use crate::cli::{Connection, DecisionsArguments};
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_service::{Decision, QueueEntry};

/// Shows what waits.
pub(crate) fn queue(connection: &Connection, screen: &Screen) -> Result<Exit, Failure> {
    let entries: Vec<QueueEntry> = Client::new(connection)?.get(&Path::new(["queue"]))?;
    if entries.is_empty() {
        return screen.result(&entries, "Nothing waits.");
    }
    let mut table = Table::new(&[">place", "operation", "database", "task", "due", "why it waits"]);
    for entry in &entries {
        table.row([
            entry.position.to_string(),
            entry.operation.to_string(),
            entry.database.to_string(),
            entry.task.clone().unwrap_or_default(),
            screen.moment(entry.due),
            entry.reason.clone(),
        ]);
    }
    screen.result(&entries, &table.to_string())
}

/// Shows what was decided about a database's tasks.
pub(crate) fn decisions(arguments: &DecisionsArguments, screen: &Screen) -> Result<Exit, Failure> {
    let path = Path::new(["databases", &arguments.database, "decisions"])
        .with("task", arguments.task.as_deref())
        .with("limit", Some(&arguments.limit.to_string()));
    let decisions: Vec<Decision> = Client::new(&arguments.connection)?.get(&path)?;
    if decisions.is_empty() {
        return screen.result(&decisions, "No task of it was due or asked for yet.");
    }
    let mut table = Table::new(&["when", "decision", "why", "operation"]);
    for decision in &decisions {
        table.row([
            screen.moment(decision.at),
            format!("{:?}", decision.decision).to_lowercase(),
            decision.reason.clone(),
            decision.operation.map(|id| id.to_string()).unwrap_or_default(),
        ]);
    }
    screen.result(&decisions, &table.to_string())
}

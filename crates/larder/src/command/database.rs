//! `larder database`: what was found, and how it stands.

use crate::cli::DatabaseCommand;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_service::DatabaseView;

pub(crate) fn run(command: DatabaseCommand, screen: &Screen) -> Result<Exit, Failure> {
    let DatabaseCommand::List(connection) = command;
    let views: Vec<DatabaseView> = Client::new(&connection)?.get(&Path::new(["databases"]))?;
    let text = if views.is_empty() {
        "There are no databases; add a source with: larder source add PATH".to_owned()
    } else {
        table(&views, screen).to_string()
    };
    screen.result(&views, &text)
}

/// Shows databases, one a row.
pub(crate) fn table(views: &[DatabaseView], screen: &Screen) -> Table {
    let mut table = Table::new(&["database", "state", "last good backup", "next run", "engine", "source"]);
    for view in views {
        let last = view.last_good_backup.as_ref().map(|backup| screen.moment(backup.time));
        let next = view.next_run.as_ref().map(|run| format!("{}, {}", screen.moment(run.time), run.kind));
        table.row([
            view.database.name.to_string(),
            view.health.to_string(),
            last.unwrap_or_else(|| "none".to_owned()),
            next.unwrap_or_else(|| "none".to_owned()),
            view.database.engine.to_string(),
            view.database.source.to_string(),
        ]);
    }
    table
}

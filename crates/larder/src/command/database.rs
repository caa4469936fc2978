//! `larder database`: what was found, and how it stands.

use crate::cli::{Connection, DatabaseCommand};
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_service::DatabaseView;
use serde_json::{Value, json};

pub(crate) fn run(command: DatabaseCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        DatabaseCommand::List(connection) => list(&connection, screen),
        DatabaseCommand::Create { name, connection } => {
            let path = Path::raven(["admin", "databases"]).with("name", Some(&name));
            let made: Value = Client::new(&connection)?.put(&path, &json!({ "DatabaseName": name }))?;
            let text =
                format!("Made the SQLite database {name}; the tasks that are for it apply from now on.");
            screen.result(&made, &text)
        }
        DatabaseCommand::Delete { names, hard, connection } => {
            let body = json!({ "DatabaseNames": names, "HardDelete": hard });
            let path = Path::raven(["admin", "databases"]);
            let done: Value = Client::new(&connection)?.delete_these(&path, &body)?;
            let what = if hard { "Deleted, with their files" } else { "Struck off the list" };
            screen.result(&done, &format!("{what}: {}; backups stay.", names.join(", ")))
        }
    }
}

fn list(connection: &Connection, screen: &Screen) -> Result<Exit, Failure> {
    let views: Vec<DatabaseView> = Client::new(connection)?.get(&Path::new(["databases"]))?;
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

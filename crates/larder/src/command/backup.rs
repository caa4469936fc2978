//! `larder backup`: made now, and listed.

use crate::cli::BackupCommand;
use crate::client::{Client, Path};
use crate::command::{offline, wait};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_http::{Accepted, Backups, BackupsBody};
use larder_model::{BackupKind, OperationId, RestorePoint, human};

pub(crate) fn run(command: BackupCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        BackupCommand::Now { databases, all, full, task, periodicity, wait, connection } => {
            let kind = if full { BackupKind::Full } else { BackupKind::Incremental };
            let body = BackupsBody { kind: Some(kind), task };
            let client = Client::new(&connection)?;
            let accepted = if all {
                let word = periodicity.map(|periodicity| format!("{periodicity:?}"));
                client.post(&Path::new(["backups"]).with("periodicity", word.as_deref()), &body)?
            } else {
                ask_each(&client, &databases, &body)?
            };
            if wait {
                return wait::all(&client, &accepted, screen);
            }
            screen.result(&accepted, &numbers(&accepted.operations))
        }
        BackupCommand::List { database, place, connection } => {
            let backups = match offline::shelf(&database, &place)? {
                Some(shelf) => shelf.backups()?,
                None => {
                    let path = Path::new(["databases", &database, "backups"])
                        .with("destination", place.destination.as_deref());
                    Client::new(&connection)?.get::<Backups>(&path)?.backups
                }
            };
            let text = if backups.is_empty() {
                format!("There are no backups of {database} there.")
            } else {
                table(&backups, screen).to_string()
            };
            screen.result(&Backups { backups }, &text)
        }
    }
}

fn ask_each(client: &Client, databases: &[String], body: &BackupsBody) -> Result<Accepted, Failure> {
    let mut operations = Vec::new();
    for database in databases {
        let accepted: Accepted = client.post(&Path::new(["databases", database, "backups"]), body)?;
        operations.extend(accepted.operations);
    }
    Ok(Accepted { operations })
}

/// Says which operations were begun, and how to watch them.
pub(crate) fn numbers(operations: &[OperationId]) -> String {
    match operations {
        [] => "There is nothing to do: no database has a task.".to_owned(),
        [one] => format!("Begun as operation {one}; watch it with: larder operation show {one}"),
        several => {
            let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("Begun as operations {}; watch them with: larder operation list", numbers.join(", "))
        }
    }
}

fn table(backups: &[RestorePoint], screen: &Screen) -> Table {
    let mut table = Table::new(&["backup", "made", "kind", "state", ">size", ">files", "destination"]);
    for backup in backups {
        table.row([
            backup.id.short().to_owned(),
            screen.moment(backup.time),
            backup.kind.map_or_else(|| "foreign".to_owned(), |kind| kind.to_string()),
            backup.quality.to_string(),
            human::size(backup.size_bytes),
            backup.files.to_string(),
            backup.destination.clone(),
        ]);
    }
    table
}

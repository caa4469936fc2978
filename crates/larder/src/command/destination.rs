//! `larder destination`: listed, tried, compared, healed.

use crate::cli::DestinationCommand;
use crate::client::{Client, Path};
use crate::command::{backup, wait};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use crate::task_file;
use larder_http::{Accepted, HealBody};
use larder_model::human;
use larder_service::{ComparedDestination, DestinationTest, DestinationUse, DestinationView};
use std::path::Path as File;

/// How many lacking backups are listed for each destination.
const LISTED: usize = 10;

pub(crate) fn run(command: DestinationCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        DestinationCommand::List { database: None, connection } => {
            let uses: Vec<DestinationUse> = Client::new(&connection)?.get(&Path::new(["destinations"]))?;
            let empty = "There are no destinations; store a task with: larder task put FILE";
            let text = if uses.is_empty() { empty.to_owned() } else { used(&uses).to_string() };
            screen.result(&uses, &text)
        }
        DestinationCommand::List { database: Some(database), connection } => {
            let path = Path::new(["databases", &database, "destinations"]);
            let views: Vec<DestinationView> = Client::new(&connection)?.get(&path)?;
            let mut table = Table::new(&["destination", "kind", "repository"]);
            for view in &views {
                table.row([view.name.clone(), view.kind.to_string(), view.address.clone()]);
            }
            let empty =
                format!("{database} has no destination; make a task for it with: larder task put FILE");
            screen.result(&views, &if views.is_empty() { empty } else { table.to_string() })
        }
        DestinationCommand::Test { task, destination, database, connection } => {
            let client = Client::new(&connection)?;
            let file = File::new(&task);
            let mut tests: Vec<DestinationTest> = if file.is_file() {
                client.post(&Path::new(["destinations", "test"]), &task_file::read(file)?)?
            } else {
                let path = Path::new(["tasks", &task, "test"])
                    .with("database", database.as_deref())
                    .with("destination", destination.as_deref());
                client.act(&path)?
            };
            if let Some(wanted) = destination.filter(|_| file.is_file()) {
                tests.retain(|test| test.name == wanted);
            }
            let lines: Vec<String> = tests.iter().map(told).collect();
            screen.result(&tests, &lines.join("\n"))?;
            let works = !tests.is_empty() && tests.iter().all(|test| test.works);
            Ok(if works { Exit::Done } else { Exit::Failed })
        }
        DestinationCommand::Compare { database, connection } => {
            let path = Path::new(["databases", &database, "destinations", "compare"]);
            let compared: Vec<ComparedDestination> = Client::new(&connection)?.get(&path)?;
            let lines: Vec<String> = compared.iter().map(|one| said(one, screen)).collect();
            screen.result(&compared, &lines.join("\n"))?;
            let complete = compared.iter().all(ComparedDestination::is_complete);
            Ok(if complete { Exit::Done } else { Exit::Incomplete })
        }
        DestinationCommand::Heal { database, destination, wait, connection } => {
            let client = Client::new(&connection)?;
            let path = Path::new(["databases", &database, "heal"]);
            let accepted: Accepted = client.post(&path, &HealBody { destination })?;
            if wait {
                return wait::all(&client, &accepted, screen);
            }
            screen.result(&accepted, &backup::numbers(&accepted.operations))
        }
    }
}

fn used(uses: &[DestinationUse]) -> Table {
    let mut table = Table::new(&["destination", "kind", ">databases", "tasks"]);
    for one in uses {
        let tasks = if one.tasks.is_empty() { "none any more".to_owned() } else { one.tasks.join(", ") };
        table.row([one.address.clone(), one.kind.to_string(), one.databases.to_string(), tasks]);
    }
    table
}

/// Says what came of a test.
fn told(test: &DestinationTest) -> String {
    let name = match &test.address {
        Some(address) => format!("{} ({address})", test.name),
        None => test.name.clone(),
    };
    let mut text = match &test.error {
        None => format!("{name}: everything works that a backup needs."),
        Some(error) => format!("{name}: {error}"),
    };
    if !test.other_installations.is_empty() {
        let others = test.other_installations.join(", ");
        text.push_str(&format!("\n  Other installations write there, too: {others}."));
    }
    text
}

/// Says what one destination lacks.
fn said(one: &ComparedDestination, screen: &Screen) -> String {
    let name = format!("{} ({})", one.destination.name, one.destination.address);
    if let Some(error) = &one.error {
        return format!("{name}: {error}");
    }
    let mut lines = vec![format!("{name}: {}", human::count(one.backups, "backup"))];
    if one.is_complete() {
        lines[0].push_str(", nothing lacks.");
    }
    if !one.lacking.is_empty() {
        lines.push(format!(
            "  lacks {}: {} objects, {}; bring them with: larder destination heal",
            human::count(one.lacking.len(), "backup"),
            one.lacking_objects,
            human::size(one.lacking_bytes)
        ));
        for backup in one.lacking.iter().take(LISTED) {
            let cause = backup.cause.as_ref().map(|cause| format!(", which cannot be brought: {cause}"));
            lines.push(format!(
                "    {} of {}{}",
                backup.id.short(),
                screen.moment(backup.time),
                cause.unwrap_or_default()
            ));
        }
        if one.lacking.len() > LISTED {
            lines.push(format!("    and {} more", one.lacking.len() - LISTED));
        }
    }
    if one.lost_objects > 0 {
        lines.push(format!("  has lost {} of its own objects: {}", one.lost_objects, one.lost.join(", ")));
    }
    lines.extend(one.unreadable.iter().map(|told| format!("  {told}")));
    if !one.other_installations.is_empty() {
        let others = one.other_installations.join(", ");
        lines.push(format!("  other installations write there, too: {others}"));
    }
    lines.join("\n")
}

//! `larder retention`: what would be kept.

use crate::cli::RetentionCommand;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use crate::task_file;
use larder_service::{KeptBackup, RetentionOutlook};
use serde_json::{Map, Value};

pub(crate) fn run(command: RetentionCommand, screen: &Screen) -> Result<Exit, Failure> {
    let RetentionCommand::Simulate { database, task, policy, destination, days, connection } = command;
    let mut body = Map::new();
    // A file gives only the rules; the backups are those of the task that is named, or of the only one.
    if let Some(file) = policy {
        let mut given = task_file::read(&file)?;
        for key in ["RetentionPolicy", "MinimumBackupsToKeep"] {
            body.extend(given.remove(key).map(|value| (key.to_owned(), value)));
        }
        if body.is_empty() {
            return Err(Failure::new(format!(
                "'{}' has neither RetentionPolicy nor MinimumBackupsToKeep; name the rules to try",
                file.display()
            )));
        }
    }
    for (key, value) in [("Task", task), ("Destination", destination)] {
        body.extend(value.map(|value| (key.to_owned(), Value::String(value))));
    }
    if let Some(days) = days {
        let path =
            Path::new(["databases", &database, "retention", "outlook"]).with("days", Some(&days.to_string()));
        let outlook: Vec<RetentionOutlook> = Client::new(&connection)?.post(&path, &body)?;
        let told: Vec<String> = outlook.iter().map(|one| foreseen(one, screen)).collect();
        return screen.result(&outlook, &told.join("\n\n"));
    }
    let path = Path::new(["databases", &database, "retention"]);
    let kept: Vec<KeptBackup> = Client::new(&connection)?.post(&path, &body)?;
    if kept.is_empty() {
        return screen.result(&kept, &format!("There are no backups of {database} there."));
    }
    screen.result(&kept, &table(&kept, screen).to_string())
}

/// Says how the backups at a destination will stand, and what goes until then.
fn foreseen(outlook: &RetentionOutlook, screen: &Screen) -> String {
    let made = outlook.backups.iter().filter(|one| one.id.is_some()).count();
    let mut text = format!(
        "{}: {} there {}, {made} of them made already; {} gone until then.",
        outlook.destination,
        outlook.backups.len(),
        screen.moment(outlook.at),
        outlook.going.len()
    );
    let mut table = Table::new(&["goes", "backup", "made", "kept until then as"]);
    for one in &outlook.going {
        table.row([
            one.goes.map(|goes| screen.moment(goes)).unwrap_or_default(),
            one.id.as_ref().map_or_else(|| "to be made".to_owned(), |id| id.short().to_owned()),
            screen.moment(one.time),
            one.rules.join("; "),
        ]);
    }
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&table.to_string());
    }
    text
}

fn table(kept: &[KeptBackup], screen: &Screen) -> Table {
    let mut table = Table::new(&["backup", "made", "kind", "destination", "kept", "why"]);
    for one in kept {
        let backup = &one.backup;
        table.row([
            backup.id.short().to_owned(),
            screen.moment(backup.time),
            backup.kind.map_or_else(|| "foreign".to_owned(), |kind| kind.to_string()),
            backup.destination.clone(),
            if one.rules.is_empty() { "would go" } else { "kept" }.to_owned(),
            one.rules.join("; "),
        ]);
    }
    table
}

//! `larder task`: how backups are made.

use crate::cli::TaskCommand;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_model::task::{self, unknown_key};
use larder_model::{ServerWideBackupConfiguration, TimeSpan, human};
use larder_service::NextRun;
use serde_json::{Value, json};
use std::io::Read;

/// How many coming runs are shown.
const NEXT_RUNS: usize = 5;

pub(crate) fn run(command: TaskCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        TaskCommand::Put { file, connection } => {
            let client = Client::new(&connection)?;
            let stored: ServerWideBackupConfiguration = client.put(&Path::new(["tasks"]), &read(&file)?)?;
            show(&client, &stored, &format!("Stored task {}.", stored.periodic.name), screen)
        }
        TaskCommand::List(connection) => {
            let tasks: Vec<ServerWideBackupConfiguration> =
                Client::new(&connection)?.get(&Path::new(["tasks"]))?;
            let empty = "There are no tasks; store one with: larder task put FILE";
            let text = if tasks.is_empty() { empty.to_owned() } else { table(&tasks).to_string() };
            screen.result(&tasks, &text)
        }
        TaskCommand::Show { name, connection } => {
            let client = Client::new(&connection)?;
            let task: ServerWideBackupConfiguration = client.get(&Path::new(["tasks", &name]))?;
            let tasks = std::slice::from_ref(&task);
            let text = table(tasks).to_string();
            show(&client, &task, &text, screen)
        }
        TaskCommand::Delete { name, connection } => {
            Client::new(&connection)?.delete(&Path::new(["tasks", &name]))?;
            screen.result(&json!({ "Deleted": name }), &format!("Deleted task {name}; its backups stay."))
        }
    }
}

fn show(
    client: &Client,
    task: &ServerWideBackupConfiguration,
    text: &str,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let path = Path::new(["next-runs"])
        .with("task", Some(&task.periodic.name))
        .with("count", Some(&NEXT_RUNS.to_string()));
    let runs: Vec<NextRun> = client.get(&path)?;
    screen.line(text);
    for run in &runs {
        screen.line(&format!("  {}, {}: {}", run.database, run.kind, screen.moment(run.time)));
    }
    if runs.is_empty() {
        screen.line("  No run is planned: it rests, it has no schedule, or no database is there for it yet.");
    }
    screen.value(&json!({ "Task": task, "NextRuns": runs }))?;
    Ok(Exit::Done)
}

fn table(tasks: &[ServerWideBackupConfiguration]) -> Table {
    let mut table = Table::new(&["task", "full", "incremental", "zone", "keeps", "writes to", "state"]);
    for task in tasks {
        let settings = &task.periodic;
        let or =
            |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.to_owned());
        let keeps = settings
            .retention_policy
            .as_ref()
            .filter(|policy| !policy.disabled)
            .and_then(|policy| policy.minimum_backup_age_to_keep)
            .and_then(TimeSpan::to_duration)
            .map_or_else(|| "all".to_owned(), |age| human::length(age.as_secs()));
        let local = settings.backup.local_settings.as_ref().and_then(|local| local.folder_path.clone());
        table.row([
            settings.name.clone(),
            or(&settings.full_backup_frequency, "never"),
            or(&settings.incremental_backup_frequency, "never"),
            or(&settings.time_zone, "the server's"),
            keeps,
            or(&local, "nowhere"),
            if settings.disabled { "rests" } else { "works" }.to_owned(),
        ]);
    }
    table
}

/// Reads a task from a file. A key that no task has is refused: a misspelt one would silently do nothing.
fn read(file: &std::path::Path) -> Result<Value, Failure> {
    let name = file.display();
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text =
        text.map_err(|error| Failure::new(format!("could not read '{name}': {error}; check its name")))?;
    parse(&text, file.extension().is_some_and(|extension| extension == "toml")).map_err(|cause| {
        Failure::new(format!("'{name}' is no task: {cause}; see docs/cli.md for an example"))
    })
}

fn parse(text: &str, is_toml: bool) -> Result<Value, String> {
    let given: Value = if is_toml {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?
    } else {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    };
    let Value::Object(object) = &given else { return Err("it holds no settings".to_owned()) };
    match unknown_key::<ServerWideBackupConfiguration>(object) {
        Some(key) => Err(format!("there is no setting '{key}'")),
        // Only looked at: what is sent is what was written, since a task that was read shows no secrets.
        None => task::read::<ServerWideBackupConfiguration>(object)
            .map(|_| given.clone())
            .map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = r#"
        Name = "Nightly"
        FullBackupFrequency = "0 2 * * *"
        ExcludedDatabases = ["scratch"]
        [RetentionPolicy]
        MinimumBackupAgeToKeep = "7.00:00:00"
        [LocalSettings]
        FolderPath = "/srv/backups"
        [Selector]
        Engines = ["sqlite"]
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let from_toml = parse(NIGHTLY, true).unwrap();
        let json = serde_json::to_string(&from_toml).unwrap();
        assert_eq!(parse(&json, false).unwrap(), from_toml);
        assert_eq!(from_toml["RetentionPolicy"]["MinimumBackupAgeToKeep"], "7.00:00:00");
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let misspelt = NIGHTLY.replace("FullBackupFrequency", "FullBackupFrequncy");
        assert_eq!(parse(&misspelt, true).unwrap_err(), "there is no setting 'FullBackupFrequncy'");
        let inner = NIGHTLY.replace("FolderPath", "Folder");
        assert_eq!(parse(&inner, true).unwrap_err(), "there is no setting 'LocalSettings.Folder'");
    }

    #[test]
    fn broken_toml_shows_the_line() {
        let message = parse("Name = \"Nightly\"\nDisabled = maybe\n", true).unwrap_err();
        assert!(message.contains("line 2") && message.contains("Disabled = maybe"), "{message}");
    }
}

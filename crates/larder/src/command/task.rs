//! `larder task`: how backups are made.

use crate::cli::{Connection, TaskArguments, TaskCommand};
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use crate::show::task as show;
use crate::task_file;
use jiff::Timestamp;
use larder_model::BackupKind;
use larder_model::task::ServerWideBackupConfiguration;
use larder_service::NextRun;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path as File;

/// How many coming runs are shown.
const NEXT_RUNS: usize = 5;

/// A run of a task that is not stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlannedRun {
    kind: BackupKind,
    time: Timestamp,
}

pub(crate) fn run(command: TaskCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        TaskCommand::Put { file, database, connection } => {
            let task = task_file::read(&file)?;
            let client = Client::new(&connection)?;
            match database {
                Some(database) => put_own(&client, &database, task, screen),
                None => put(&client, &task, screen),
            }
        }
        TaskCommand::List { database: Some(database), connection } => {
            let tasks = of_database(&Client::new(&connection)?, &database)?;
            let text = match tasks.is_empty() {
                true => format!("No task applies to {database}."),
                false => show::ongoing(&tasks).to_string(),
            };
            screen.result(&tasks, &text)
        }
        TaskCommand::List { database: None, connection } => {
            let tasks: Vec<ServerWideBackupConfiguration> =
                Client::new(&connection)?.get(&Path::new(["tasks"]))?;
            let empty = "There are no tasks; store one with: larder task put FILE";
            let text = if tasks.is_empty() { empty.to_owned() } else { show::table(&tasks).to_string() };
            screen.result(&tasks, &text)
        }
        TaskCommand::Show(TaskArguments { name, database: Some(database), connection }) => {
            let task = own(&Client::new(&connection)?, &database, &name)?;
            screen.result(&task, &show::ongoing(std::slice::from_ref(&task)).to_string())
        }
        TaskCommand::Show(TaskArguments { name, database: None, connection }) => {
            let client = Client::new(&connection)?;
            let task: ServerWideBackupConfiguration = client.get(&Path::new(["tasks", &name]))?;
            let text = show::table(std::slice::from_ref(&task)).to_string();
            with_runs(&client, &task, &text, screen)
        }
        TaskCommand::Next { task, count, connection } => next(&task, count, &connection, screen),
        TaskCommand::Enable(arguments) => set_disabled(arguments, false, screen),
        TaskCommand::Disable(arguments) => set_disabled(arguments, true, screen),
        TaskCommand::Delete(arguments) => delete(arguments, screen),
    }
}

pub(super) fn put(client: &Client, task: &Map<String, Value>, screen: &Screen) -> Result<Exit, Failure> {
    let stored: ServerWideBackupConfiguration = client.put(&Path::new(["tasks"]), task)?;
    with_runs(client, &stored, &format!("Stored task {}.", stored.periodic.name), screen)
}

/// Stores a task of one database; one of the same name is changed.
pub(super) fn put_own(
    client: &Client,
    database: &str,
    mut task: Map<String, Value>,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let named = task.get("Name").and_then(Value::as_str).map(str::to_owned);
    let all = of_database(client, database)?;
    let same = all.iter().find(|one| one["TaskName"].as_str() == named.as_deref() && named.is_some());
    if let Some(same) = same {
        task.insert("TaskId".to_owned(), same["TaskId"].clone());
    }
    let path = Path::raven(["databases", database, "admin", "periodic-backup"]);
    let stored: Value = client.post(&path, &task)?;
    let name = named.unwrap_or_else(|| format!("number {}", stored["TaskId"]));
    screen.result(&stored, &format!("Stored task {name} of {database}."))
}

/// Shows a text, and below it a stored task's next runs.
fn with_runs(
    client: &Client,
    task: &ServerWideBackupConfiguration,
    text: &str,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let runs = next_runs(client, &task.periodic.name, NEXT_RUNS)?;
    screen.line(text);
    screen.line(&in_lines(&runs, screen));
    screen.value(&json!({ "Task": task, "NextRuns": runs }))?;
    Ok(Exit::Done)
}

fn next_runs(client: &Client, task: &str, count: usize) -> Result<Vec<NextRun>, Failure> {
    client.get(&Path::new(["next-runs"]).with("task", Some(task)).with("count", Some(&count.to_string())))
}

fn in_lines(runs: &[NextRun], screen: &Screen) -> String {
    if runs.is_empty() {
        return "  No run is planned: it rests, it has no schedule, or no database is there for it yet."
            .to_owned();
    }
    let line = |run: &NextRun| format!("  {}, {}: {}", run.database, run.kind, screen.moment(run.time));
    runs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Shows when a task runs next, stored or still in a file.
fn next(task: &str, count: usize, connection: &Connection, screen: &Screen) -> Result<Exit, Failure> {
    let client = Client::new(connection)?;
    let file = File::new(task);
    if file.is_file() || task == "-" {
        let path = Path::new(["tasks", "preview"]).with("count", Some(&count.to_string()));
        let runs: Vec<PlannedRun> = client.post(&path, &task_file::read(file)?)?;
        let mut table = Table::new(&["backup", "when"]);
        for run in &runs {
            table.row([run.kind.to_string(), screen.moment(run.time)]);
        }
        let text = if runs.is_empty() { "It plans no run by itself.".to_owned() } else { table.to_string() };
        return screen.result(&runs, &text);
    }
    let runs = next_runs(&client, task, count)?;
    screen.result(&runs, &in_lines(&runs, screen))
}

fn set_disabled(arguments: TaskArguments, disable: bool, screen: &Screen) -> Result<Exit, Failure> {
    let TaskArguments { name, database, connection } = arguments;
    let client = Client::new(&connection)?;
    let done = if disable { "rests" } else { "works" };
    let Some(database) = database else {
        let word = if disable { "disable" } else { "enable" };
        let task: ServerWideBackupConfiguration = client.act(&Path::new(["tasks", &name, word]))?;
        return screen.result(&task, &format!("Task {name} {done} now."));
    };
    let task = own(&client, &database, &name)?;
    let path = Path::raven(["databases", &database, "admin", "tasks", "state"])
        .with("key", Some(&task["TaskId"].to_string()))
        .with("type", Some("Backup"))
        .with("disable", Some(if disable { "true" } else { "false" }));
    client.tell(&path)?;
    screen.result(&own(&client, &database, &name)?, &format!("Task {name} of {database} {done} now."))
}

fn delete(arguments: TaskArguments, screen: &Screen) -> Result<Exit, Failure> {
    let TaskArguments { name, database, connection } = arguments;
    let client = Client::new(&connection)?;
    match database {
        None => client.delete(&Path::new(["tasks", &name]))?,
        Some(database) => {
            let task = own(&client, &database, &name)?;
            let path = Path::raven(["databases", &database, "admin", "tasks"])
                .with("id", Some(&task["TaskId"].to_string()))
                .with("type", Some("Backup"));
            client.delete(&path)?;
        }
    }
    screen.result(&json!({ "Deleted": name }), &format!("Deleted task {name}; its backups stay."))
}

/// Lists the tasks that apply to a database, its own and the derived ones.
fn of_database(client: &Client, database: &str) -> Result<Vec<Value>, Failure> {
    let mut answer: Value = client.get(&Path::raven(["databases", database, "tasks"]))?;
    match answer["OngoingTasks"].take() {
        Value::Array(tasks) => Ok(tasks),
        _ => Ok(Vec::new()),
    }
}

/// Finds a task that applies to a database by its name there.
fn own(client: &Client, database: &str, name: &str) -> Result<Value, Failure> {
    of_database(client, database)?.into_iter().find(|task| task["TaskName"] == name).ok_or_else(|| Failure {
        exit: Exit::Failed,
        kind: "NotFound".to_owned(),
        message: format!("{database} has no task '{name}'; see: larder task list --database {database}"),
    })
}

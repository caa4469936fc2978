//! `larder operation`: what runs and ran.

use crate::cli::OperationCommand;
use crate::client::{Client, Path};
use crate::command::wait;
use crate::exit::{Exit, Failure};
use crate::show::operation::{seconds, sentence, what};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_http::DelayBody;
use larder_model::{Operation, OperationStatus, human};

pub(crate) fn run(command: OperationCommand, screen: &Screen) -> Result<Exit, Failure> {
    match command {
        OperationCommand::List { database, kind, status, limit, connection } => {
            let path = Path::new(["operations"])
                .with("database", database.as_deref())
                .with("kind", kind.map(|kind| format!("{kind:?}")).as_deref())
                .with("status", status.map(|status| format!("{status:?}")).as_deref())
                .with("limit", Some(&limit.to_string()));
            let operations: Vec<Operation> = Client::new(&connection)?.get(&path)?;
            let empty = operations.is_empty();
            let text =
                if empty { "There are none.".to_owned() } else { table(&operations, screen).to_string() };
            screen.result(&operations, &text)
        }
        OperationCommand::Show { id, connection } => {
            let operation: Operation = Client::new(&connection)?.get(&wait::path(id))?;
            screen.result(&operation, &details(&operation, screen))
        }
        OperationCommand::Delay { id, duration, connection } => {
            let client = Client::new(&connection)?;
            let path = Path::new(["operations", &id.to_string(), "delay"]);
            let _: Operation = client.post(&path, &DelayBody { duration })?;
            let ended = wait::until_ended(&client, id)?;
            let text =
                format!("Stopped operation {id}; {} is backed up again in {duration}.", ended.database);
            screen.result(&ended, &text)
        }
        OperationCommand::Abort { id, connection } => {
            let client = Client::new(&connection)?;
            let _: Operation = client.act(&Path::new(["operations", &id.to_string(), "abort"]))?;
            let ended = wait::until_ended(&client, id)?;
            let exit = if ended.status == OperationStatus::Canceled { Exit::Done } else { Exit::Failed };
            screen.result(&ended, &sentence(&ended))?;
            Ok(exit)
        }
    }
}

/// Shows operations, one a row.
pub(crate) fn table(operations: &[Operation], screen: &Screen) -> Table {
    let mut table =
        Table::new(&[">no.", "database", "operation", "state", "when", ">took", ">read", ">stored"]);
    for operation in operations {
        let took =
            if operation.status.is_final() { format!("{:.1} s", seconds(operation)) } else { String::new() };
        let state =
            if operation.unchanged { "nothing changed".to_owned() } else { operation.status.to_string() };
        table.row([
            operation.id.to_string(),
            operation.database.to_string(),
            what(operation),
            state,
            screen.moment(operation.ended.unwrap_or(operation.created)),
            took,
            human::size(operation.progress.bytes_read),
            human::size(operation.progress.bytes_stored),
        ]);
    }
    table
}

fn details(operation: &Operation, screen: &Screen) -> String {
    let mut lines = vec![sentence(operation)];
    lines.push(format!("Asked for:  {}", screen.moment(operation.created)));
    for (name, moment) in [("Began:     ", operation.started), ("Ended:     ", operation.ended)] {
        lines.extend(moment.map(|moment| format!("{name} {}", screen.moment(moment))));
    }
    lines.extend(operation.task.iter().map(|task| format!("Task:       {task}")));
    for outcome in &operation.destinations {
        let came = match (&outcome.error, &outcome.backup) {
            (Some(error), _) => error.clone(),
            (None, Some(backup)) => {
                format!("backup {}, {} stored", backup.short(), human::size(outcome.bytes_stored))
            }
            (None, None) => "nothing stored".to_owned(),
        };
        lines.push(format!("At {}: {came}", outcome.destination));
    }
    lines.extend(operation.messages.iter().map(|message| format!("- {message}")));
    lines.join("\n")
}

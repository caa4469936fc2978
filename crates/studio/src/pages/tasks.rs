//! The server-wide tasks.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::Moment;
use crate::frame::{Frame, Here};
use crate::sentences::{retention, schedule};
use askama::Template;
use axum::extract::State;
use larder_model::ServerWideBackupConfiguration;
use larder_model::human::count;
use larder_model::task::BackupType;
use larder_service::DatabaseView;

struct Row {
    name: String,
    disabled: bool,
    schedule: String,
    zone: String,
    places: Vec<String>,
    covers: usize,
    excluded: String,
    kept: String,
    kind: &'static str,
    next: Option<(Moment, String)>,
    encrypted: bool,
    /// What a click on "Back up now" asks for.
    now: String,
    /// What is asked before that.
    all_now: String,
    /// What resting means, in numbers.
    rest: String,
    /// What a deletion means, in numbers.
    deletion: String,
}

/// How many databases a question names.
const NAMED: usize = 8;

#[derive(Template)]
#[template(path = "tasks.html")]
struct Tasks {
    frame: Frame,
    rows: Vec<Row>,
    unprotected: usize,
}

pub(super) async fn show(State(studio): State<Studio>) -> Page {
    let face = studio.face();
    let databases = studio.service.databases();
    let rows = studio.service.tasks().into_iter().map(|task| {
        let covers = databases
            .iter()
            .filter(|view| {
                view.tasks.iter().any(|its| its.server_wide.as_deref() == Some(&task.periodic.name))
            })
            .count();
        let next = studio.service.next_runs(Some(&task.periodic.name), 1).unwrap_or_default();
        let zone = task.periodic.time_zone.clone().unwrap_or_else(|| face.zone_name().to_owned());
        Row {
            disabled: task.periodic.disabled,
            schedule: schedule(&task.periodic),
            zone,
            places: places(&task),
            covers,
            excluded: task.excluded_databases.join(", "),
            kept: task.periodic.retention_policy.as_ref().map_or_else(|| "everything".to_owned(), retention),
            kind: match task.periodic.backup.backup_type {
                BackupType::Backup => "backup",
                BackupType::Snapshot => "snapshot",
            },
            next: next.first().map(|run| (face.moment(run.begins), run.database.to_string())),
            encrypted: task.periodic.backup.is_encrypted(),
            now: serde_json::json!({ "Task": task.periodic.name }).to_string(),
            all_now: match covers {
                1 => format!("Back up the one database of {} now?", task.periodic.name),
                _ => format!("Back up all {covers} databases of {} now?", task.periodic.name),
            },
            rest: format!("Disable {}? {} then not backed up by it.", task.periodic.name, those(covers)),
            deletion: deletion(&task, covers, &databases),
            name: task.periodic.name,
        }
    });
    let unprotected = databases.iter().filter(|view| view.tasks.is_empty()).count();
    page(&Tasks { frame: studio.frame(Here::Tasks, "Server-wide tasks"), rows: rows.collect(), unprotected })
}

/// Says what a task is for, to be followed by what becomes of it: `Its 3 databases are`.
fn those(covers: usize) -> String {
    match covers {
        0 => "It covers no database, so none is".to_owned(),
        1 => "Its database is".to_owned(),
        _ => format!("Its {} are", count(covers, "database")),
    }
}

/// Says what goes with a task, and what stays.
fn deletion(task: &ServerWideBackupConfiguration, covers: usize, databases: &[DatabaseView]) -> String {
    let name = &task.periodic.name;
    let mut alone = databases.iter().filter(|view| match view.tasks.as_slice() {
        [only] => only.server_wide.as_deref() == Some(name.as_str()),
        _ => false,
    });
    let named: Vec<&str> = alone.by_ref().take(NAMED).map(|view| view.database.name.as_str()).collect();
    let more = alone.count();
    let then = match (named.len() + more, more) {
        (0, _) => String::new(),
        (all, 0) => format!(" No task is left for {all} of them: {}.", named.join(", ")),
        (all, more) => format!(" No task is left for {all} of them: {} and {more} more.", named.join(", ")),
    };
    format!(
        "Delete the task {name}? {} no longer backed up by it.{then} Its schedule, its rules of retention and the secrets of its destinations are forgotten. The backups that it made stay where they are.",
        those(covers)
    )
}

fn places(task: &ServerWideBackupConfiguration) -> Vec<String> {
    task.periodic
        .backup
        .live()
        .into_iter()
        .map(|(name, block)| {
            let kind = name.map_or_else(|| block.kind().to_string(), str::to_owned);
            block.place().map_or(kind.clone(), |place| format!("{kind}: {place}"))
        })
        .collect()
}

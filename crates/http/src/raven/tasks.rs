//! The tasks of one database: listed, shown, stored, toggled, deleted; and what is remembered of their runs.

use super::body::Object;
use super::caller::OwnUrl;
use super::client::Client;
use super::databases::{Named, existing};
use super::dress;
use super::failure::{Failure, class};
use super::operations::nothing;
use super::product::NODE;
use super::query::Query;
use super::shape::database::NodeId;
use super::shape::status::StatusAnswer;
use super::shape::task::{
    NextBackup, OneTask, OngoingBackup, OngoingTasks, RunningBackup, TaskState, TaskStored, Timer, Timers,
};
use super::state::span;
use super::status::has_ended_once;
use super::time::Stamp;
use super::topology::metadata;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use larder_model::task::{BackupConfiguration, DestinationKind};
use larder_model::{BackupKind, TimeSpan};
use larder_service::{NextRun, Stored, TaskSelector, TaskView};
use serde_json::Value;

/// Names the kinds of a configuration's destinations, each once.
pub(crate) fn destinations(backup: &BackupConfiguration) -> Vec<&'static str> {
    let live: Vec<DestinationKind> = backup.live().into_iter().map(|(_, block)| block.kind()).collect();
    DestinationKind::ALL
        .into_iter()
        .filter(|kind| live.contains(kind))
        .map(DestinationKind::wire_name)
        .collect()
}

/// Takes the retention policy out of a written configuration.
pub(crate) fn policy(written: &Value) -> Option<Value> {
    written.get("RetentionPolicy").filter(|policy| !policy.is_null()).cloned()
}

/// Shows one task.
fn ongoing(app: &App, view: &TaskView, url: &OwnUrl, client: Client) -> Result<OngoingBackup, Failure> {
    let task = &view.task;
    let written = dress::configuration(task, client)?;
    let names = destinations(&task.backup);
    let status = &view.status;
    let enabled = !task.disabled;
    Ok(OngoingBackup {
        task_id: task.task_id,
        task_type: "Backup",
        responsible_node: if enabled { NodeId::own(&url.0) } else { NodeId::none() },
        task_state: if enabled { TaskState::Enabled } else { TaskState::Disabled },
        task_connection_status: if enabled { "Active" } else { "NotActive" },
        task_name: task.name.clone(),
        mentor_node: task.mentor_node.clone(),
        pin_to_mentor_node: task.pin_to_mentor_node,
        error: None,
        backup_type: task.backup.backup_type,
        backup_upload_mode: task.backup.backup_upload_mode,
        has_cloud_backup: names.iter().any(|name| *name != DestinationKind::Local.wire_name()),
        backup_destinations: names,
        full_backup_frequency: task.full_backup_frequency.clone(),
        incremental_backup_frequency: task.incremental_backup_frequency.clone(),
        last_full_backup: status.last_full_backup.map(Stamp),
        last_incremental_backup: status.last_incremental_backup.map(Stamp),
        on_going_backup: view.running.as_ref().map(|running| RunningBackup {
            // Clients cannot read a running backup without a beginning, so one that waits shows when it was asked for.
            start_time: running
                .started
                .or_else(|| app.service.operation(running.operation).ok().map(|one| one.created))
                .map(Stamp),
            is_full: running.kind == BackupKind::Full,
            running_backup_task_id: running.operation,
        }),
        next_backup: view.next_run.as_ref().filter(|_| enabled).map(|run| next_backup(app, run)),
        retention_policy: policy(&written),
        is_encrypted: task.backup.is_encrypted(),
        last_executing_node_tag: has_ended_once(status).then_some(NODE),
    })
}

fn next_backup(app: &App, run: &NextRun) -> NextBackup {
    let now = app.clock.now();
    NextBackup {
        // What is overdue comes now.
        time_span: if run.time > now { span(now, run.time) } else { TimeSpan::default() },
        date_time: Stamp(run.time),
        is_full: run.kind == BackupKind::Full,
        original_backup_time: run.original.map(Stamp),
    }
}

/// Reads which task is meant: by name, or by its number.
fn selector(query: &Query) -> Result<TaskSelector<'_>, Failure> {
    match query.get("taskName") {
        Some(name) => Ok(TaskSelector::Name(name)),
        None => Ok(TaskSelector::Id(query.required_number("key")?)),
    }
}

/// Checks the parameter that says which kind of task is meant; only backups are there.
fn is_backup(query: &Query) -> Result<bool, Failure> {
    let kind = query.required("type")?;
    if kind == "Backup" {
        return Ok(true);
    }
    const OTHERS: [&str; 10] = [
        "Replication",
        "RavenEtl",
        "SqlEtl",
        "OlapEtl",
        "ElasticSearchEtl",
        "QueueEtl",
        "Subscription",
        "PullReplicationAsHub",
        "PullReplicationAsSink",
        "QueueSink",
    ];
    match OTHERS.contains(&kind) {
        true => Ok(false),
        false => Err(Failure::argument(format!("{} is unknown task type.", super::failure::shown(kind)))),
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    database: Named,
    url: OwnUrl,
    client: Client,
) -> Result<Json<OngoingTasks>, Failure> {
    let views = app.service.tasks_as_put(database.0.as_str())?;
    let ongoing_tasks =
        views.iter().map(|view| ongoing(&app, view, &url, client)).collect::<Result<_, _>>()?;
    Ok(Json(OngoingTasks {
        metadata: metadata(&app, url),
        ongoing_tasks,
        subscriptions_count: 0,
        pull_replications: Vec::new(),
    }))
}

pub(crate) async fn show(
    State(app): State<App>,
    database: Named,
    url: OwnUrl,
    client: Client,
    query: Query,
) -> Result<Response, Failure> {
    if !is_backup(&query)? {
        return Ok(nothing());
    }
    let Some(view) = app.service.task_of(database.0.as_str(), selector(&query)?)? else {
        return Ok(nothing());
    };
    let task = ongoing(&app, &view, &url, client)?;
    Ok(Json(OneTask { metadata: metadata(&app, url), task }).into_response())
}

fn stored(stored: &Stored) -> TaskStored {
    TaskStored { raft_command_index: stored.revision, task_id: stored.task_id }
}

pub(crate) async fn put(
    State(app): State<App>,
    database: Named,
    Object(update): Object,
) -> Result<Json<TaskStored>, Failure> {
    Ok(Json(stored(&app.service.put_database_task(database.0.as_str(), &update).await?)))
}

pub(crate) async fn toggle(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Json<TaskStored>, Failure> {
    only_backups(&query)?;
    let (selector, disable) = (selector(&query)?, query.required_flag("disable")?);
    Ok(Json(stored(&app.service.toggle_database_task(database.0.as_str(), selector, disable).await?)))
}

pub(crate) async fn delete(
    State(app): State<App>,
    database: Named,
    query: Query,
) -> Result<Json<TaskStored>, Failure> {
    only_backups(&query)?;
    let id = query.required_number("id")?;
    Ok(Json(stored(&app.service.delete_database_task(database.0.as_str(), id).await?)))
}

fn only_backups(query: &Query) -> Result<(), Failure> {
    match is_backup(query)? {
        true => Ok(()),
        false => Err(Failure::argument("this server has only tasks of the type Backup")),
    }
}

/// Shows the configuration of one task.
pub(crate) async fn configuration(
    State(app): State<App>,
    client: Client,
    query: Query,
) -> Result<Json<Value>, Failure> {
    let database = existing(&app, query.required("name")?).map_err(Failure::with_version)?;
    let id = query.required_number("taskId")?;
    match app.service.task_of(database.as_str(), TaskSelector::Id(id))? {
        Some(view) => Ok(Json(dress::configuration(&view.task, client)?)),
        None => {
            Err(Failure::server(class::OPERATION, format!("Periodic backup task ID: {id} doesn't exist")))
        }
    }
}

/// Shows what is remembered of a task's runs.
pub(crate) async fn status(State(app): State<App>, query: Query) -> Result<Json<StatusAnswer>, Failure> {
    let database = existing(&app, query.required("name")?).map_err(Failure::with_version)?;
    let id = query.required_number("taskId")?;
    let status = super::status::of(&app, &database, id)?;
    Ok(Json(StatusAnswer { is_sharded: false, status: status.map(Box::new) }))
}

fn timers_of(app: &App, database: &str) -> Result<Vec<Timer>, Failure> {
    let timer = |view: TaskView| Timer {
        database: database.to_owned(),
        name: view.task.name.clone(),
        task_id: view.task.task_id,
        full_backup_frequency: view.task.full_backup_frequency.clone(),
        incremental_backup_frequency: view.task.incremental_backup_frequency.clone(),
        next_backup: view.next_run.as_ref().map(|run| next_backup(app, run)),
        created_at: view.task.created_at.map(Stamp),
        disposed: false,
    };
    let awake = app.service.tasks_of(database)?.into_iter().filter(|view| !view.task.disabled);
    Ok(awake.map(timer).collect())
}

pub(crate) async fn timers_of_database(
    State(app): State<App>,
    database: Named,
) -> Result<Json<Timers>, Failure> {
    let timers = timers_of(&app, database.0.as_str())?;
    Ok(Json(Timers { count: timers.len(), timers }))
}

/// The most timers that one answer lists.
const MOST_TIMERS: usize = 10_000;

pub(crate) async fn timers_of_server(State(app): State<App>) -> Result<Json<Timers>, Failure> {
    let mut timers = Vec::new();
    for name in app.service.database_names(0, MOST_TIMERS) {
        // One that went away in between has no timer any more.
        timers.extend(timers_of(&app, name.as_str()).unwrap_or_default());
        if timers.len() >= MOST_TIMERS {
            break;
        }
    }
    Ok(Json(Timers { count: timers.len(), timers }))
}

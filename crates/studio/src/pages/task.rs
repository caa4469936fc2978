//! The editor of a server-wide task. The form is made by the server; a script of its own reads it, shows the next runs
//! while one types, and hands the task in.

use crate::Studio;
use crate::answer::{Page, page};
use crate::frame::{Frame, Here};
use crate::plot::clock;
use askama::Template;
use axum::extract::{Path, State};
use jiff::tz::TimeZone;
use larder_model::ServerWideBackupConfiguration;
use larder_model::task::RetentionPolicy;
use larder_model::{EngineKind, human};

/// How many runs of other tasks the picture of the day looks at.
const OTHERS: usize = 1000;

#[derive(Template)]
#[template(path = "task.html")]
struct Editor {
    frame: Frame,
    is_new: bool,
    name: String,
    /// The whole task, for the script to change what the form knows and keep the rest.
    json: String,
    full: String,
    incremental: String,
    zone: String,
    server_zone: String,
    excluded: String,
    engines: Vec<(&'static str, bool)>,
    keep_days: String,
    minimum: String,
    policy: RetentionPolicy,
    folder: String,
    others_clock: String,
    databases: String,
}

pub(super) async fn new(State(studio): State<Studio>) -> Page {
    edit_task(&studio, None)
}

pub(super) async fn edit(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let task = studio.service.task(&name).map_err(|error| studio.trouble(error))?;
    edit_task(&studio, Some(task))
}

fn edit_task(studio: &Studio, stored: Option<ServerWideBackupConfiguration>) -> Page {
    let is_new = stored.is_none();
    let task = stored.unwrap_or_default();
    let periodic = &task.periodic;
    let policy = periodic.retention_policy.clone().unwrap_or_default();
    let chosen = task.selector.as_ref().map_or(&[][..], |selector| &selector.engines);
    let zone = periodic.time_zone.clone().unwrap_or_default();
    let days = policy.minimum_backup_age_to_keep.map(|age| age.to_string());
    let count = studio.service.databases().len();
    let name = if is_new { "Nightly".to_owned() } else { periodic.name.clone() };
    let title = if is_new { "New server-wide task".to_owned() } else { format!("Task {name}") };
    page(&Editor {
        frame: studio.frame(Here::Tasks, title),
        is_new,
        json: serde_json::to_string(&task).unwrap_or_default(),
        full: periodic.full_backup_frequency.clone().unwrap_or_else(|| preset(is_new, "0 2 * * 0")),
        incremental: periodic
            .incremental_backup_frequency
            .clone()
            .unwrap_or_else(|| preset(is_new, "0 2 * * *")),
        server_zone: studio.face().zone_name().to_owned(),
        zone,
        excluded: task.excluded_databases.join("\n"),
        engines: EngineKind::ALL.iter().map(|kind| (kind.as_str(), chosen.contains(kind))).collect(),
        keep_days: days.unwrap_or_default(),
        minimum: periodic.minimum_backups_to_keep.map(|count| count.to_string()).unwrap_or_default(),
        folder: periodic
            .backup
            .local_settings
            .as_ref()
            .and_then(|local| local.folder_path.clone())
            .unwrap_or_default(),
        policy,
        others_clock: others(studio, &name),
        databases: human::count(count, "database"),
        name,
    })
}

fn preset(is_new: bool, cron: &str) -> String {
    if is_new { cron.to_owned() } else { String::new() }
}

/// Draws where in the day the runs of all tasks fall, for a herd to be seen before it happens.
fn others(studio: &Studio, name: &str) -> String {
    let zone: TimeZone = studio.zone.clone();
    let mut slots = vec![0; 96];
    let mut own = Vec::new();
    for run in studio.service.next_runs(None, OTHERS).unwrap_or_default() {
        let time = run.begins.to_zoned(zone.clone()).time();
        let minute = usize::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or(0);
        if run.task.ends_with(&format!(", {name}")) {
            own.push(minute);
        } else if let Some(slot) = slots.get_mut(minute / 15) {
            *slot += 1;
        }
    }
    own.sort_unstable();
    own.dedup();
    clock::draw(&own, &slots)
}

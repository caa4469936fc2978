//! The editor of a server-wide task. The form is made by the server; a script of its own reads it, asks for words and
//! pictures while one types, and hands the task in.

use crate::Studio;
use crate::answer::{Page, page};
use crate::form::destination::Card;
use crate::frame::{Frame, Here};
use crate::pages::draft::Draft;
use askama::Template;
use axum::extract::{Path, State};
use larder_model::task::{CatchUp, EncryptionMode, RetentionPolicy, ScheduleEntry};
use larder_model::{EngineKind, PeriodicBackupConfiguration, ServerWideBackupConfiguration};

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
    further: String,
    window_from: String,
    window_to: String,
    skips: bool,
    is_timed_unusually: bool,
    zone: String,
    server_zone: String,
    excluded: String,
    engines: Vec<(&'static str, bool)>,
    sources: Vec<(String, bool)>,
    patterns: String,
    narrows: bool,
    cards: Vec<Card>,
    /// An empty one of each kind.
    blanks: Vec<Card>,
    encryption: &'static str,
    has_key: bool,
    key_file: String,
    keep_days: String,
    minimum: String,
    policy: RetentionPolicy,
    draft: Draft,
}

pub(super) async fn new(State(studio): State<Studio>) -> Page {
    let mut task = ServerWideBackupConfiguration::default();
    task.periodic.name = "Nightly".to_owned();
    task.periodic.full_backup_frequency = Some("0 2 * * 0".to_owned());
    task.periodic.incremental_backup_frequency = Some("0 2 * * *".to_owned());
    // Where most begin; an empty one is not stored.
    task.periodic.backup.local_settings = Some(larder_model::task::LocalSettings::default());
    edit_task(&studio, &task, true)
}

pub(super) async fn edit(State(studio): State<Studio>, Path(name): Path<String>) -> Page {
    let task = studio.service.task(&name).map_err(|error| studio.trouble(error))?;
    edit_task(&studio, &task, false)
}

fn edit_task(studio: &Studio, task: &ServerWideBackupConfiguration, is_new: bool) -> Page {
    let periodic = &task.periodic;
    let name = periodic.name.clone();
    let selector = task.selector.clone().unwrap_or_default();
    let title = if is_new { "New server-wide task".to_owned() } else { format!("Task {name}") };
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let sources = studio.service.sources().into_iter().map(|source| {
        let chosen = selector.sources.contains(&source.name);
        (source.name.to_string(), chosen)
    });
    let window = periodic.backup_window.clone().unwrap_or_default();
    let skips = periodic.catch_up == CatchUp::Skip;
    let encryption = periodic.backup.backup_encryption_settings.clone().unwrap_or_default();
    page(&Editor {
        frame: studio.frame(Here::Tasks, title),
        is_new,
        // Of a new one there is nothing to keep.
        json: if is_new { "{}".to_owned() } else { serde_json::to_string(task).unwrap_or_default() },
        full: said(&periodic.full_backup_frequency),
        incremental: said(&periodic.incremental_backup_frequency),
        further: further(periodic),
        is_timed_unusually: skips || periodic.backup_window.is_some() || !periodic.schedules.is_empty(),
        window_from: window.from,
        window_to: window.to,
        skips,
        zone: said(&periodic.time_zone),
        server_zone: studio.face().zone_name().to_owned(),
        excluded: task.excluded_databases.join("\n"),
        engines: EngineKind::ALL
            .iter()
            .map(|kind| (kind.as_str(), selector.engines.contains(kind)))
            .collect(),
        sources: sources.collect(),
        patterns: selector.patterns.join("\n"),
        narrows: selector != larder_model::task::Selector::default(),
        cards: Card::all(task),
        blanks: Card::blank(),
        encryption: match encryption.encryption_mode {
            Some(EncryptionMode::UseProvidedKey) => "UseProvidedKey",
            Some(EncryptionMode::None) => "None",
            Some(EncryptionMode::UseDatabaseKey) | None => "UseDatabaseKey",
        },
        has_key: encryption.key.is_some(),
        key_file: studio.key_file.display().to_string(),
        keep_days: periodic
            .retention_policy
            .as_ref()
            .and_then(|policy| policy.minimum_backup_age_to_keep)
            .map(|age| age.to_string())
            .unwrap_or_default(),
        minimum: periodic.minimum_backups_to_keep.map(|count| count.to_string()).unwrap_or_default(),
        policy: periodic.retention_policy.clone().unwrap_or_default(),
        draft: Draft::of(studio, task),
        name,
    })
}

/// Writes further schedules one a line, as the script reads them: `incremental: every 4h..6h`.
fn further(task: &PeriodicBackupConfiguration) -> String {
    let line = |entry: &ScheduleEntry| format!("{}: {}", entry.backup, entry.when);
    task.schedules.iter().map(line).collect::<Vec<_>>().join("\n")
}

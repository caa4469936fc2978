//! Tasks as tables.

use crate::show::table::Table;
use larder_model::task::{RetentionPolicy, ServerWideBackupConfiguration};
use larder_model::{TimeSpan, human};
use serde_json::Value;

/// Shows server-wide tasks, one a row.
pub(crate) fn table(tasks: &[ServerWideBackupConfiguration]) -> Table {
    let mut table =
        Table::new(&["task", "full", "incremental", "also", "zone", "keeps", "writes to", "state"]);
    for task in tasks {
        let settings = &task.periodic;
        let or =
            |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.to_owned());
        let also: Vec<&str> = settings.schedules.iter().map(|entry| entry.when.as_str()).collect();
        table.row([
            settings.name.clone(),
            or(&settings.full_backup_frequency, "-"),
            or(&settings.incremental_backup_frequency, "-"),
            if also.is_empty() { "-".to_owned() } else { also.join("; ") },
            or(&settings.time_zone, "the server's"),
            settings.retention_policy.as_ref().map_or_else(|| "all".to_owned(), keeps),
            places(task),
            if settings.disabled { "rests" } else { "works" }.to_owned(),
        ]);
    }
    table
}

/// Says briefly what a policy keeps.
fn keeps(policy: &RetentionPolicy) -> String {
    if policy.disabled {
        return "all".to_owned();
    }
    let mut words = Vec::new();
    let age = policy.minimum_backup_age_to_keep.and_then(TimeSpan::to_duration);
    words.extend(age.map(|age| human::length(age.as_secs())));
    let counts = [
        (policy.keep_last, "last"),
        (policy.keep_hourly, "hourly"),
        (policy.keep_daily, "daily"),
        (policy.keep_weekly, "weekly"),
        (policy.keep_monthly, "monthly"),
        (policy.keep_yearly, "yearly"),
    ];
    words.extend(counts.into_iter().filter_map(|(count, word)| count.map(|count| format!("{count} {word}"))));
    let per_periodicity = policy.per_periodicity.keys();
    words.extend(per_periodicity.map(|periodicity| format!("{periodicity:?}").to_lowercase()));
    if words.is_empty() { "all".to_owned() } else { words.join(", ") }
}

/// Names the destinations: a directory by its path, others by their kind or name.
fn places(task: &ServerWideBackupConfiguration) -> String {
    let backup = &task.periodic.backup;
    let local = backup.local_settings.as_ref().and_then(|local| local.folder_path.clone());
    let mut places: Vec<String> = Vec::new();
    for (name, block) in backup.live() {
        let kind = block.kind();
        places.push(match (name, &local) {
            (Some(name), _) => name.to_owned(),
            (None, Some(path)) if kind.key() == "LocalSettings" => path.clone(),
            (None, _) => kind.long_name().to_owned(),
        });
    }
    if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") }
}

/// Shows the tasks that apply to one database, as the API's list has them.
pub(crate) fn ongoing(tasks: &[Value]) -> Table {
    let mut table =
        Table::new(&["task", ">id", "state", "last full", "last incremental", "next run", "writes to"]);
    for task in tasks {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let next = &task["NextBackup"];
        let kind = if next["IsFull"] == true { "full" } else { "incremental" };
        let destinations = task["BackupDestinations"].as_array().into_iter().flatten();
        table.row([
            text(&task["TaskName"]),
            task["TaskId"].to_string(),
            text(&task["TaskState"]).to_lowercase(),
            text(&task["LastFullBackup"]),
            text(&task["LastIncrementalBackup"]),
            next["DateTime"].as_str().map_or_else(|| "-".to_owned(), |time| format!("{time}, {kind}")),
            destinations.filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

//! Whether a server-wide task makes sense, before it is stored.

use crate::destination;
use crate::error::ServiceError;
use jiff::tz::TimeZone;
use larder_model::{ServerWideBackupConfiguration, TimeSpan};
use larder_schedule::{Cron, Schedule, ScheduleError, time_zone};
use std::path::{Component, Path};

/// The longest name a task may have, in characters.
const MAX_TASK_NAME: usize = 128;

/// Checks every field of a task and returns its schedule.
///
/// # Errors
/// The first field that makes no sense, with a sentence that says what would.
pub(crate) fn check(
    task: &ServerWideBackupConfiguration,
    default_zone: &TimeZone,
) -> Result<Schedule, ServiceError> {
    let settings = &task.periodic;
    check_name(&settings.name)?;
    let schedule = read_schedule(task, default_zone)?;
    if schedule.full.is_none() && schedule.incremental.is_none() {
        return Err(ServiceError::invalid(
            "FullBackupFrequency",
            "the task has no schedule, so it would never run; give FullBackupFrequency or IncrementalBackupFrequency, for example 0 2 * * *",
        ));
    }
    if let Some(policy) = settings.retention_policy.as_ref().filter(|policy| !policy.disabled)
        && let Some(age) = policy.minimum_backup_age_to_keep.filter(|age| *age < TimeSpan::from_days(1))
    {
        return Err(ServiceError::invalid(
            "RetentionPolicy.MinimumBackupAgeToKeep",
            format!("{age} is less than a day; backups are kept for at least 1.00:00:00"),
        ));
    }
    if settings.minimum_backups_to_keep == Some(0) {
        return Err(ServiceError::invalid(
            "MinimumBackupsToKeep",
            "at least 1 good backup is always kept; give 1 or more",
        ));
    }
    check_destinations(task)?;
    Ok(schedule)
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    if name.trim().is_empty() {
        return Err(ServiceError::invalid("Name", "the task has no name; give it one, for example Nightly"));
    }
    if name.trim() != name || name.chars().any(char::is_control) || name.chars().count() > MAX_TASK_NAME {
        return Err(ServiceError::invalid(
            "Name",
            format!(
                "{name:?} cannot be the name of a task; give at most {MAX_TASK_NAME} characters, without control characters or spaces at the ends"
            ),
        ));
    }
    Ok(())
}

fn read_schedule(
    task: &ServerWideBackupConfiguration,
    default_zone: &TimeZone,
) -> Result<Schedule, ServiceError> {
    let settings = &task.periodic;
    let wrong =
        |field: &'static str| move |error: ScheduleError| ServiceError::invalid(field, error.to_string());
    let cron =
        |field: &'static str, text: &Option<String>| match text.as_deref().filter(|t| !t.trim().is_empty()) {
            Some(text) => text.parse::<Cron>().map(|_| ()).map_err(wrong(field)),
            None => Ok(()),
        };
    cron("FullBackupFrequency", &settings.full_backup_frequency)?;
    cron("IncrementalBackupFrequency", &settings.incremental_backup_frequency)?;
    if let Some(name) = settings.time_zone.as_deref().filter(|name| !name.is_empty()) {
        time_zone(name).map_err(wrong("TimeZone"))?;
    }
    Schedule::of(settings, default_zone).map_err(wrong("FullBackupFrequency"))
}

fn check_destinations(task: &ServerWideBackupConfiguration) -> Result<(), ServiceError> {
    const FIELD: &str = "LocalSettings.FolderPath";
    if let Some(local) = task.periodic.backup.local_settings.as_ref().filter(|local| !local.disabled) {
        let path = local.folder_path.as_deref().unwrap_or_default();
        let plain = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.starts_with('/') || !plain || path.contains('\0') {
            return Err(ServiceError::invalid(
                FIELD,
                format!(
                    "'{path}' is not an absolute path; give one such as /srv/backups, without . or .. in it"
                ),
            ));
        }
        if path.trim_end_matches('/').is_empty() {
            return Err(ServiceError::invalid(
                FIELD,
                "backups cannot lie in / itself; give a directory below it",
            ));
        }
    }
    if destination::of_task(task).is_empty() && !task.periodic.disabled {
        return Err(ServiceError::invalid(
            "LocalSettings",
            "the task has no destination that is enabled, so its backups would go nowhere; give one, or disable the task",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::PeriodicBackupConfiguration;
    use larder_model::task::{BackupConfiguration, LocalSettings, RetentionPolicy};

    fn nightly() -> ServerWideBackupConfiguration {
        ServerWideBackupConfiguration {
            periodic: PeriodicBackupConfiguration {
                name: "Nightly".to_owned(),
                full_backup_frequency: Some("0 2 * * *".to_owned()),
                backup: BackupConfiguration {
                    local_settings: Some(LocalSettings {
                        folder_path: Some("/srv/backups".to_owned()),
                        ..LocalSettings::default()
                    }),
                    ..BackupConfiguration::default()
                },
                ..PeriodicBackupConfiguration::default()
            },
            ..ServerWideBackupConfiguration::default()
        }
    }

    fn refused(change: impl FnOnce(&mut PeriodicBackupConfiguration)) -> (&'static str, String) {
        let mut task = nightly();
        change(&mut task.periodic);
        match check(&task, &TimeZone::UTC) {
            Err(ServiceError::Invalid { field, message }) => (field, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task_that_makes_sense_is_taken() {
        assert!(check(&nightly(), &TimeZone::UTC).unwrap().full.is_some());
    }

    #[test]
    fn a_wrong_field_is_named_with_what_would_be_right() {
        let local = |path: &str| {
            Some(LocalSettings { folder_path: Some(path.to_owned()), ..LocalSettings::default() })
        };
        let keep = |seconds| {
            let age = Some(TimeSpan::from_seconds(seconds));
            Some(RetentionPolicy { minimum_backup_age_to_keep: age, ..RetentionPolicy::default() })
        };
        for (expected, (field, message)) in [
            ("Name", refused(|s| s.name = " ".to_owned())),
            ("Name", refused(|s| s.name = "a\nb".to_owned())),
            ("FullBackupFrequency", refused(|s| s.full_backup_frequency = None)),
            ("FullBackupFrequency", refused(|s| s.full_backup_frequency = Some("0 0 2 * * *".to_owned()))),
            (
                "IncrementalBackupFrequency",
                refused(|s| s.incremental_backup_frequency = Some("x".to_owned())),
            ),
            ("TimeZone", refused(|s| s.time_zone = Some("Nowhere/None".to_owned()))),
            ("RetentionPolicy.MinimumBackupAgeToKeep", refused(|s| s.retention_policy = keep(86_399))),
            ("RetentionPolicy.MinimumBackupAgeToKeep", refused(|s| s.retention_policy = keep(-1))),
            ("MinimumBackupsToKeep", refused(|s| s.minimum_backups_to_keep = Some(0))),
            ("LocalSettings.FolderPath", refused(|s| s.backup.local_settings = local("backups"))),
            ("LocalSettings.FolderPath", refused(|s| s.backup.local_settings = local("/srv/../etc"))),
            ("LocalSettings.FolderPath", refused(|s| s.backup.local_settings = local("/"))),
            ("LocalSettings", refused(|s| s.backup.local_settings = None)),
        ] {
            assert_eq!(field, expected, "{message}");
            assert!(message.len() > 20, "{message}");
        }
    }

    #[test]
    fn a_disabled_task_needs_no_destination() {
        let mut task = nightly();
        task.periodic.backup.local_settings = None;
        task.periodic.disabled = true;
        assert!(check(&task, &TimeZone::UTC).is_ok());
    }
}

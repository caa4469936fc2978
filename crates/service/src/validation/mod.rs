//! Whether a task makes sense, before it is stored.
//!
//! The checks come in RavenDB's order, so that of several faults its clients hear of the same one first.

mod destinations;
mod encryption;
mod folder;

pub(crate) use folder::try_folder;

use crate::core::Core;
use crate::error::{ErrorKind, ServiceError};
use crate::tasks::naming;
use jiff::tz::TimeZone;
use larder_model::task::{BackupConfiguration, LocalSettings};
use larder_model::{PeriodicBackupConfiguration, ServerWideBackupConfiguration, TimeSpan};
use larder_schedule::{Cron, Schedule, ScheduleError, time_zone};

/// Checks a server-wide task, puts its paths into their final form, and returns its schedule.
///
/// # Errors
/// The first fault, with a sentence that says what would be right.
pub(crate) async fn check_server_wide(
    core: &Core,
    task: &mut ServerWideBackupConfiguration,
) -> Result<Schedule, ServiceError> {
    let schedule = check_own(core, &mut task.periodic).await?;
    if task.excluded_databases.iter().any(|name| name.trim().is_empty()) {
        return Err(ServiceError::refused(
            ErrorKind::ApplyRefused,
            "ExcludedDatabases holds an empty name; take it out, or write the database's name there",
        ));
    }
    Ok(schedule)
}

/// Checks a task of one database, or what a server-wide one has in common with it.
///
/// # Errors
/// The first fault, with a sentence that says what would be right.
pub(crate) async fn check_own(
    core: &Core,
    task: &mut PeriodicBackupConfiguration,
) -> Result<Schedule, ServiceError> {
    destinations::settle_paths(&core.settings, &mut task.backup)?;
    let schedule = check_schedule(task, &core.settings.time_zone)?;
    // RavenDB looks at the schedule first: with neither, a client hears of that.
    if !task.disabled {
        check_has_destination(&task.backup, "the task is enabled and has no destination")?;
    }
    check_backup(core, &task.backup, task.disabled).await?;
    check_retention(task)?;
    destinations::check_allowed(&core.settings, &task.backup)?;
    naming::check(&task.name)?;
    Ok(schedule)
}

/// Checks the configuration of a one-time backup and puts its paths into their final form.
///
/// # Errors
/// The first fault, with a sentence that says what would be right.
pub(crate) async fn check_once(core: &Core, backup: &mut BackupConfiguration) -> Result<(), ServiceError> {
    check_has_destination(backup, "the backup has no destination")?;
    destinations::settle_paths(&core.settings, backup)?;
    check_backup(core, backup, false).await?;
    destinations::check_allowed(&core.settings, backup)
}

/// Checks a task as far as the configuration alone says, and returns its schedule.
pub(crate) fn check_draft(
    core: &Core,
    task: &ServerWideBackupConfiguration,
) -> Result<Schedule, ServiceError> {
    check_schedule(&task.periodic, &core.settings.time_zone)
}

/// As in RavenDB an enabled local block counts here even where it says no folder: that is told further below.
fn check_has_destination(backup: &BackupConfiguration, what: &str) -> Result<(), ServiceError> {
    let enabled = |local: &LocalSettings| !local.disabled;
    if backup.local_settings.as_ref().is_some_and(enabled) || !backup.live().is_empty() {
        return Ok(());
    }
    Err(ServiceError::invalid_as(
        ErrorKind::InvalidOperation,
        "LocalSettings",
        format!("{what}, so backups would go nowhere; give one, or enable the one that is there"),
    ))
}

fn check_schedule(
    task: &PeriodicBackupConfiguration,
    default_zone: &TimeZone,
) -> Result<Schedule, ServiceError> {
    let said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    if !said(&task.full_backup_frequency)
        && !said(&task.incremental_backup_frequency)
        && task.schedules.is_empty()
    {
        return Err(ServiceError::invalid(
            "FullBackupFrequency",
            "the task has no schedule, so it would never run; give FullBackupFrequency or IncrementalBackupFrequency, for example 0 2 * * *",
        ));
    }
    let cron = |field: &'static str, text: &Option<String>| match text.as_deref().filter(|_| said(text)) {
        Some(text) => text.parse::<Cron>().map(|_| ()).map_err(|error| wrong(field, &error)),
        None => Ok(()),
    };
    cron("FullBackupFrequency", &task.full_backup_frequency)?;
    // RavenDB does not look at this one while the other is right, and then never runs it.
    cron("IncrementalBackupFrequency", &task.incremental_backup_frequency)?;
    if let Some(name) = task.time_zone.as_deref().filter(|name| !name.is_empty()) {
        time_zone(name).map_err(|error| wrong("TimeZone", &error))?;
    }
    Schedule::of(task, default_zone).map_err(|error| wrong("Schedules", &error))
}

fn wrong(field: &'static str, error: &ScheduleError) -> ServiceError {
    let kind = match error {
        ScheduleError::Zone { .. } => ErrorKind::Argument,
        _ => ErrorKind::Crontab,
    };
    ServiceError::invalid_as(kind, field, error.to_string())
}

/// Checks where backups go and how they are encrypted.
async fn check_backup(core: &Core, backup: &BackupConfiguration, rests: bool) -> Result<(), ServiceError> {
    destinations::check_local(backup)?;
    if !rests {
        folder::check_writable(backup).await?;
    }
    destinations::check_upload_mode(backup)?;
    destinations::check_remote(backup)?;
    destinations::check_further(core, backup)?;
    encryption::check(backup)?;
    if let Some(limit) = backup.max_read_ops_per_second.filter(|limit| *limit < 1) {
        return Err(ServiceError::invalid_as(
            ErrorKind::ArgumentOutOfRange,
            "MaxReadOpsPerSecond",
            format!("with {limit} reads a second no backup would end; give 1 or more, or leave it out"),
        ));
    }
    Ok(())
}

fn check_retention(task: &PeriodicBackupConfiguration) -> Result<(), ServiceError> {
    const FIELD: &str = "RetentionPolicy.MinimumBackupAgeToKeep";
    if let Some(policy) = task.retention_policy.as_ref().filter(|policy| !policy.disabled)
        && let Some(age) = policy.minimum_backup_age_to_keep
    {
        let fault = if age.ticks() <= 0 {
            Some("no age")
        } else if age < TimeSpan::from_days(1) {
            Some("less than a day")
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(ServiceError::invalid(
                FIELD,
                format!("{age} is {fault}; backups are kept for at least 1.00:00:00"),
            ));
        }
    }
    if task.minimum_backups_to_keep == Some(0) {
        return Err(ServiceError::invalid(
            "MinimumBackupsToKeep",
            "at least 1 good backup is always kept; give 1 or more",
        ));
    }
    Ok(())
}

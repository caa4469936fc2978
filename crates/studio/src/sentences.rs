//! A task's moments and its rules of retention, as sentences say them.

use larder_model::task::{DEFAULT_MINIMUM_BACKUPS, Keep, RetentionPolicy};
use larder_model::{BackupKind, PeriodicBackupConfiguration, TimeSpan, human};
use larder_schedule::When;

/// Says each moment of a task with what is made then: `full`, `on Sundays at 02:00`.
pub(crate) fn moments(task: &PeriodicBackupConfiguration) -> Vec<(BackupKind, String)> {
    let both = [
        (BackupKind::Full, task.full_backup_frequency.as_deref()),
        (BackupKind::Incremental, task.incremental_backup_frequency.as_deref()),
    ];
    let crons = both
        .into_iter()
        .filter_map(|(kind, cron)| Some((kind, cron.filter(|cron| !cron.trim().is_empty())?)));
    let more = task.schedules.iter().map(|entry| (entry.backup, entry.when.as_str()));
    crons.chain(more).map(|(kind, when)| (kind, said(when))).collect()
}

fn said(when: &str) -> String {
    match when.parse::<When>() {
        Ok(When::Cron(cron) | When::Calendar { cron, .. }) => cron.describe(),
        Ok(When::Shutdown) => "before the host goes down".to_owned(),
        Ok(other) => other.to_string(),
        // It was checked before; whatever it is, it is shown.
        Err(_) => when.to_owned(),
    }
}

/// Says in one line when a task runs: `full on Sundays at 02:00; incremental every day at 03:00`.
pub(crate) fn schedule(task: &PeriodicBackupConfiguration) -> String {
    let all: Vec<String> = moments(task).into_iter().map(|(kind, when)| format!("{kind} {when}")).collect();
    if all.is_empty() { "only when asked for".to_owned() } else { all.join("; ") }
}

/// Says what a policy keeps, one sentence for each rule.
pub(crate) fn kept(task: &PeriodicBackupConfiguration) -> Vec<String> {
    let mut sentences = task.retention_policy.as_ref().map(rules).unwrap_or_default();
    if sentences.is_empty() {
        return vec!["Every backup, for ever: nothing is removed.".to_owned()];
    }
    let minimum = task.minimum_backups_to_keep.unwrap_or(DEFAULT_MINIMUM_BACKUPS);
    sentences.push(format!(
        "The newest {} in any case; and while the newest is not good, nothing is removed.",
        human::count(usize::try_from(minimum).unwrap_or(usize::MAX), "good backup")
    ));
    sentences
}

fn rules(policy: &RetentionPolicy) -> Vec<String> {
    if policy.disabled {
        return Vec::new();
    }
    let mut rules = Vec::new();
    if let Some(age) = policy.minimum_backup_age_to_keep {
        rules.push(format!("Every backup younger than {}.", age_in_words(age)));
    }
    if let Some(count) = policy.keep_last.filter(|count| *count > 0) {
        rules.push(format!("The last {count}."));
    }
    let units = [
        ("hour", policy.keep_hourly),
        ("day", policy.keep_daily),
        ("week", policy.keep_weekly),
        ("month", policy.keep_monthly),
        ("year", policy.keep_yearly),
    ];
    for (unit, count) in units {
        if let Some(count) = count.filter(|count| *count > 0) {
            rules.push(match count {
                1 => format!("The newest of the last {unit} that has one."),
                _ => format!("The newest of each of the last {count} {unit}s that have one."),
            });
        }
    }
    for (periodicity, keep) in &policy.per_periodicity {
        rules.push(match keep {
            Keep::Count(count) => format!("Of those made as {periodicity:?}, the newest {count}."),
            Keep::Age(age) => {
                format!("Of those made as {periodicity:?}, every one younger than {}.", age_in_words(*age))
            }
        });
    }
    rules
}

/// Says in one line how long backups are kept: `younger than 14 days, 8 weekly, 12 monthly`.
pub(crate) fn retention(policy: &RetentionPolicy) -> String {
    if policy.disabled {
        return "everything".to_owned();
    }
    let age = policy.minimum_backup_age_to_keep.map(|age| format!("younger than {}", age_in_words(age)));
    let counts = [
        ("last", policy.keep_last),
        ("hourly", policy.keep_hourly),
        ("daily", policy.keep_daily),
        ("weekly", policy.keep_weekly),
        ("monthly", policy.keep_monthly),
        ("yearly", policy.keep_yearly),
    ];
    let counts = counts.into_iter().filter_map(|(name, count)| count.map(|count| format!("{count} {name}")));
    let per = policy.per_periodicity.iter().map(|(periodicity, keep)| match keep {
        Keep::Count(count) => format!("{count} kept as {periodicity:?}"),
        Keep::Age(age) => format!("{periodicity:?} younger than {}", age_in_words(*age)),
    });
    let all: Vec<String> = age.into_iter().chain(counts).chain(per).collect();
    if all.is_empty() { "everything".to_owned() } else { all.join(", ") }
}

/// Says a length of time that somebody configured: whole days and hours as such, anything else as it is written.
pub(crate) fn age_in_words(age: TimeSpan) -> String {
    let seconds = age.to_duration().map_or(0, |age| age.as_secs());
    let of = |unit: u64, noun| human::count(usize::try_from(seconds / unit).unwrap_or(usize::MAX), noun);
    match seconds {
        0 => age.to_string(),
        days if days.is_multiple_of(86_400) => of(86_400, "day"),
        hours if hours.is_multiple_of(3_600) => of(3_600, "hour"),
        _ => age.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_said_rule_by_rule() {
        let mut task = PeriodicBackupConfiguration::default();
        assert_eq!(kept(&task), ["Every backup, for ever: nothing is removed."]);
        let policy = RetentionPolicy {
            minimum_backup_age_to_keep: Some(TimeSpan::from_days(14)),
            keep_daily: Some(7),
            keep_yearly: Some(1),
            ..RetentionPolicy::default()
        };
        assert_eq!(retention(&policy), "younger than 14 days, 7 daily, 1 yearly");
        task.retention_policy = Some(policy);
        assert_eq!(
            kept(&task),
            [
                "Every backup younger than 14 days.",
                "The newest of each of the last 7 days that have one.",
                "The newest of the last year that has one.",
                "The newest 3 good backups in any case; and while the newest is not good, nothing is removed.",
            ]
        );
    }

    #[test]
    fn schedules_are_said_in_words() {
        let mut task = PeriodicBackupConfiguration {
            full_backup_frequency: Some("0 2 * * 0".to_owned()),
            incremental_backup_frequency: Some(" ".to_owned()),
            ..PeriodicBackupConfiguration::default()
        };
        assert_eq!(schedule(&task), "full on Sundays at 02:00");
        task.incremental_backup_frequency = Some("*/20 * * * *".to_owned());
        assert_eq!(schedule(&task), "full on Sundays at 02:00; incremental every 20 minutes");
        assert_eq!(schedule(&PeriodicBackupConfiguration::default()), "only when asked for");
        assert_eq!(age_in_words("1.06:00:00".parse().unwrap()), "30 hours");
    }
}

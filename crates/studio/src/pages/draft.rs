//! What a task means, said while somebody writes it: its moments in words, where in the day they fall, which databases it
//! is for, what it keeps.

use crate::Studio;
use crate::answer::{Page, page};
use crate::plot::clock;
use askama::Template;
use axum::extract::State;
use jiff::tz::TimeZone;
use larder_model::task::{DEFAULT_MINIMUM_BACKUPS, Keep, RetentionPolicy};
use larder_model::{BackupId, PeriodicBackupConfiguration, ServerWideBackupConfiguration, human};
use larder_schedule::When;
use larder_service::retention::{Candidate, Policy, judge};
use std::collections::BTreeSet;

/// How many runs are told.
const RUNS: usize = 5;
/// How many databases are named.
const NAMED: usize = 24;
/// How many future runs are played through, to say what is kept of them.
const PLAYED: usize = 1500;

/// A task in words and pictures.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) words: Vec<(&'static str, String)>,
    pub(super) runs: Vec<String>,
    pub(super) zone: String,
    pub(super) day: String,
    pub(super) coverage: String,
    pub(super) covered: Vec<String>,
    pub(super) more_covered: usize,
    pub(super) left_out: Vec<String>,
    pub(super) more_left_out: usize,
    pub(super) kept: Vec<String>,
    /// Why its schedule makes no sense.
    pub(super) trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "draft.html")]
struct Parts {
    draft: Draft,
}

/// Answers with the parts of the editor that say what a task means. What makes no sense yet is said in its place: whoever
/// types is not at fault.
pub(super) async fn show(State(studio): State<Studio>, body: String) -> Page {
    match serde_json::from_str::<ServerWideBackupConfiguration>(&body) {
        Ok(task) => page(&Parts { draft: Draft::of(&studio, &task) }),
        Err(error) => {
            let empty = ServerWideBackupConfiguration::default();
            let trouble = Some(format!("This makes no sense yet: {error}"));
            page(&Parts { draft: Draft { trouble, ..Draft::of(&studio, &empty) } })
        }
    }
}

impl Draft {
    /// Says what a task means.
    pub(super) fn of(studio: &Studio, task: &ServerWideBackupConfiguration) -> Self {
        let periodic = &task.periodic;
        let named = periodic.time_zone.as_deref().filter(|name| !name.trim().is_empty());
        let zone = named.and_then(|name| larder_schedule::time_zone(name).ok());
        let zone = zone.unwrap_or_else(|| studio.zone.clone());
        let mut draft = Self { zone: zone.iana_name().unwrap_or("UTC").to_owned(), ..Self::default() };
        match studio.service.preview(task, PLAYED) {
            Ok(all) => {
                draft.runs = all
                    .iter()
                    .take(RUNS)
                    .map(|(kind, time)| {
                        let wall = time.to_zoned(zone.clone());
                        format!("{} · {kind}", wall.strftime("%A, %d %B %Y at %H:%M"))
                    })
                    .collect();
                draft.words = words(periodic);
                draft.kept = kept(periodic);
                draft.kept.extend(played(studio, periodic, &all));
            }
            Err(error) => {
                draft.trouble = Some(error.to_string());
                draft.kept = kept(periodic);
            }
        }
        draft.day = day(studio, task, &zone);
        draft.cover(studio, task);
        draft
    }

    fn cover(&mut self, studio: &Studio, task: &ServerWideBackupConfiguration) {
        let (covered, left_out) = studio.service.coverage(task);
        let all = covered.len() + left_out.len();
        self.coverage = match (covered.len(), all) {
            (_, 0) => "It covers every database that a source will have; there is none yet.".to_owned(),
            (some, all) if some == all => {
                format!("It covers all databases, now {all}, and those that come tomorrow.")
            }
            (0, all) => format!("It covers none of the {all} databases as it stands."),
            (some, all) => {
                format!("It covers {some} of {all} databases, and those that fit and come tomorrow.")
            }
        };
        self.more_covered = covered.len().saturating_sub(NAMED);
        self.more_left_out = left_out.len().saturating_sub(NAMED);
        self.covered = covered.iter().take(NAMED).map(ToString::to_string).collect();
        self.left_out = left_out.iter().take(NAMED).map(ToString::to_string).collect();
    }
}

/// Says each schedule in words.
fn words(task: &PeriodicBackupConfiguration) -> Vec<(&'static str, String)> {
    let said = |when: &str| match when.parse::<When>() {
        Ok(When::Cron(cron)) => cron.describe(),
        Ok(other) => other.to_string(),
        // It was checked before; whatever it is, it is shown.
        Err(_) => when.to_owned(),
    };
    let both = [
        ("Full backup", task.full_backup_frequency.as_deref()),
        ("Incremental backup", task.incremental_backup_frequency.as_deref()),
    ];
    let crons = both
        .into_iter()
        .filter_map(|(kind, cron)| Some((kind, cron.filter(|cron| !cron.trim().is_empty())?)));
    let more = task.schedules.iter().map(|entry| match entry.backup {
        larder_model::BackupKind::Full => ("Full backup", entry.when.as_str()),
        larder_model::BackupKind::Incremental => ("Incremental backup", entry.when.as_str()),
    });
    let mut all: Vec<(&str, String)> = crons.chain(more).map(|(kind, when)| (kind, said(when))).collect();
    if let Some(window) = &task.backup_window {
        all.push(("Runs begin", format!("only from {} to {}", window.from, window.to)));
    }
    all
}

/// Draws where in the day the runs of a task and of all others fall.
fn day(studio: &Studio, task: &ServerWideBackupConfiguration, zone: &TimeZone) -> String {
    let day = studio.service.day(task, zone);
    clock::draw(&day.own_minutes, &day.others)
}

/// Says what a policy keeps, one sentence for each rule.
fn kept(task: &PeriodicBackupConfiguration) -> Vec<String> {
    let rules = task.retention_policy.as_ref().map(rules).unwrap_or_default();
    if rules.is_empty() {
        return vec!["Every backup, for ever: nothing is removed.".to_owned()];
    }
    let minimum = task.minimum_backups_to_keep.unwrap_or(DEFAULT_MINIMUM_BACKUPS);
    let mut sentences = rules;
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

fn age_in_words(age: larder_model::TimeSpan) -> String {
    let seconds = age.to_duration().map_or(0, |age| age.as_secs());
    if seconds.is_multiple_of(86_400) {
        human::count(usize::try_from(seconds / 86_400).unwrap_or(usize::MAX), "day")
    } else {
        age.to_string()
    }
}

/// Plays the coming runs through, and says what would be left of their backups.
fn played(
    studio: &Studio,
    task: &PeriodicBackupConfiguration,
    runs: &[(larder_model::BackupKind, jiff::Timestamp)],
) -> Option<String> {
    let policy = Policy::of(task, &studio.zone)?;
    let (_, first) = runs.first()?;
    let (_, last) = runs.last()?;
    let candidates: Vec<Candidate> = runs
        .iter()
        .enumerate()
        .map(|(number, (_, time))| Candidate {
            id: BackupId(format!("{number:08}")),
            time: *time,
            good: true,
            periodicities: BTreeSet::new(),
            needs: None,
        })
        .collect();
    let judged = judge(&candidates, &policy, *last);
    let left: Vec<_> = judged.iter().filter(|one| !one.keep.is_empty()).collect();
    let oldest = left.iter().map(|one| one.time).min()?;
    let seconds = |from: jiff::Timestamp| u64::try_from(last.duration_since(from).as_secs()).unwrap_or(0);
    Some(format!(
        "After {} and {} of each database, {} would be left, the oldest of them {} old.",
        human::length(seconds(*first)),
        human::count(runs.len(), "run"),
        left.len(),
        human::length(seconds(oldest))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::TimeSpan;

    #[test]
    fn a_policy_is_said_rule_by_rule() {
        let mut task = PeriodicBackupConfiguration::default();
        assert_eq!(kept(&task), ["Every backup, for ever: nothing is removed."]);
        task.retention_policy = Some(RetentionPolicy {
            minimum_backup_age_to_keep: Some(TimeSpan::from_days(14)),
            keep_daily: Some(7),
            keep_yearly: Some(1),
            ..RetentionPolicy::default()
        });
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
        let task = PeriodicBackupConfiguration {
            full_backup_frequency: Some("0 2 * * 0".to_owned()),
            incremental_backup_frequency: Some(" ".to_owned()),
            ..PeriodicBackupConfiguration::default()
        };
        let said = words(&task);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].1.contains("02:00") && said[0].1.contains("Sunday"), "{said:?}");
    }
}

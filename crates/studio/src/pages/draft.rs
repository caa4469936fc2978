//! What a task means, said while somebody writes it: its moments in words, where in the day they fall, which databases it
//! is for, what it keeps.

use crate::Studio;
use crate::answer::{Page, page};
use crate::plot::clock;
use crate::sentences::{kept, moments};
use askama::Template;
use axum::extract::State;
use jiff::tz::TimeZone;
use larder_model::{BackupId, BackupKind, PeriodicBackupConfiguration, ServerWideBackupConfiguration, human};
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

/// Says each moment in words, and the hours in which runs may begin.
fn words(task: &PeriodicBackupConfiguration) -> Vec<(&'static str, String)> {
    let named = |(kind, when)| match kind {
        BackupKind::Full => ("Full backup", when),
        BackupKind::Incremental => ("Incremental backup", when),
    };
    let mut all: Vec<(&str, String)> = moments(task).into_iter().map(named).collect();
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
        long(seconds(*first)),
        human::count(runs.len(), "run"),
        left.len(),
        long(seconds(oldest))
    ))
}

/// Writes a length of time in years where it is of several.
fn long(seconds: u64) -> String {
    const YEAR: u64 = 365 * 86_400;
    match seconds {
        seconds if seconds < 2 * YEAR => human::length(seconds),
        _ => format!("{} years", (seconds + YEAR / 2) / YEAR),
    }
}

//! What retention will do: the backups of a task as they will be after the runs to come, and what goes on the way.
//!
//! Every step is judged by [`crate::retention::judge`], as the runs themselves will be.

use crate::core::Core;
use crate::error::ServiceError;
use crate::retention::{Candidate, Judgement, Policy, judge};
use crate::service::Service;
use crate::work::candidates;
use jiff::Timestamp;
use larder_model::task::{PeriodicBackupConfiguration, Periodicity};
use larder_model::{BackupId, BackupKind, RestorePoint};
use larder_schedule::{Attempts, Schedule};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How many runs are looked ahead at the most.
const MOST_RUNS: usize = 400;

/// A backup that is there, or one that a run to come will make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct OutlookBackup {
    /// Its name; `None` where it is still to be made.
    pub id: Option<BackupId>,
    /// When it was or will be begun.
    pub time: Timestamp,
    /// Full or incremental, where that is known.
    pub kind: Option<BackupKind>,
    /// Whether it counts as good.
    pub good: bool,
    /// Every rule that keeps it, in words; none where nothing does. Of one that goes: those that kept it until then.
    pub rules: Vec<String>,
    /// When it goes; `None` where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes: Option<Timestamp>,
}

/// The backups of a task at one destination, at a moment to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct RetentionOutlook {
    /// The destination.
    pub destination: String,
    /// The moment it tells of: the one asked for, or an earlier one where too many runs come before that.
    pub at: Timestamp,
    /// Whether any rule removes backups.
    pub has_policy: bool,
    /// What is there then, the newest first. Looked at now: what no rule keeps goes after the next good backup.
    pub backups: Vec<OutlookBackup>,
    /// What goes until then, in this order.
    pub going: Vec<OutlookBackup>,
}

impl Service {
    /// Says how the backups of a task will stand at a moment to come, at one destination or at each, if every run comes on
    /// time, is good and finds something changed; with `task` as another configuration would have it. Removes nothing.
    ///
    /// # Errors
    /// There is no such database, task or destination, the schedule makes no sense, or a repository cannot be read.
    pub async fn retention_outlook(
        &self,
        database: &str,
        name: Option<&str>,
        task: Option<&PeriodicBackupConfiguration>,
        destination: Option<&str>,
        until: Timestamp,
    ) -> Result<Vec<RetentionOutlook>, ServiceError> {
        let (key, stored) = self.stored_task(database, name)?;
        let tried = task.unwrap_or(&stored).clone();
        let zone = &self.core.settings.time_zone;
        let policy = Policy::of(&tried, zone);
        let schedule = Schedule::of(&tried, zone)
            .map_err(|error| ServiceError::invalid("FullBackupFrequency", error.to_string()))?;
        let served = self.core.catalog().status(&key).served.clone();
        let (database, destinations) = self.meant(database, destination)?;
        let found =
            candidates::by_destination(&self.core, database, destinations, (key.task, stored.name)).await?;
        let runs = runs(&self.core, &schedule, served, until);
        let now = self.core.now();
        let looked = tokio::task::spawn_blocking(move || {
            let each = found.into_iter().map(|here| outlook(here, policy.as_ref(), &runs, now));
            each.collect::<Vec<_>>()
        });
        looked.await.map_err(|error| {
            ServiceError::conflict(format!("it ended by a fault of the program: {error}; please report it"))
        })
    }
}

/// A run to come.
struct Coming {
    time: Timestamp,
    kind: BackupKind,
    candidate: Candidate,
}

/// Lists the runs until a moment, and where there are too many those that come first.
fn runs(
    core: &Core,
    schedule: &Schedule,
    mut served: BTreeMap<Periodicity, Timestamp>,
    until: Timestamp,
) -> Vec<Coming> {
    let now = core.now();
    let attempts = Attempts { full: None, incremental: None, since: now, awake_since: now, changes: None };
    let upcoming = schedule.upcoming(now, MOST_RUNS).into_iter().take_while(|run| run.time <= until);
    let coming = upcoming.enumerate().map(|(number, run)| {
        let periodicities = schedule.owed(&served, &attempts, run.time, run.kind);
        served.extend(periodicities.iter().map(|periodicity| (*periodicity, run.time)));
        // No snapshot is called so.
        let id = BackupId(format!("coming {number}"));
        let candidate = Candidate { id, time: run.time, good: true, periodicities, needs: None };
        Coming { time: run.time, kind: run.kind, candidate }
    });
    coming.collect()
}

/// Plays the runs through on the backups of one destination.
fn outlook(
    found: Vec<(RestorePoint, Candidate)>,
    policy: Option<&Policy>,
    runs: &[Coming],
    now: Timestamp,
) -> RetentionOutlook {
    let destination = found.first().map(|(point, _)| point.destination.clone()).unwrap_or_default();
    let mut known: HashMap<BackupId, OutlookBackup> = HashMap::new();
    let mut candidates = Vec::with_capacity(found.len());
    for (point, candidate) in found {
        let backup = OutlookBackup {
            id: Some(point.id),
            time: point.time,
            kind: point.kind,
            good: candidate.good,
            rules: Vec::new(),
            goes: None,
        };
        known.insert(candidate.id.clone(), backup);
        candidates.push(candidate);
    }
    let mut going = Vec::new();
    let mut judged = judged(&candidates, policy, now);
    for run in runs {
        candidates.push(run.candidate.clone());
        let backup = OutlookBackup {
            id: None,
            time: run.time,
            kind: Some(run.kind),
            good: true,
            rules: Vec::new(),
            goes: None,
        };
        known.insert(run.candidate.id.clone(), backup);
        let before = std::mem::replace(&mut judged, self::judged(&candidates, policy, run.time));
        for one in judged.iter().rev().filter(|one| one.keep.is_empty()) {
            let rules = before.iter().find(|before| before.id == one.id).map(words).unwrap_or_default();
            going.extend(known.remove(&one.id).map(|backup| OutlookBackup {
                rules,
                goes: Some(run.time),
                ..backup
            }));
        }
        judged.retain(|one| !one.keep.is_empty());
        candidates.retain(|candidate| known.contains_key(&candidate.id));
    }
    let backups = judged
        .iter()
        .filter_map(|one| known.remove(&one.id).map(|backup| OutlookBackup { rules: words(one), ..backup }));
    RetentionOutlook {
        destination,
        at: runs.last().map_or(now, |run| run.time),
        has_policy: policy.is_some(),
        backups: backups.collect(),
        going,
    }
}

/// Judges, or keeps everything where there is no policy.
fn judged(candidates: &[Candidate], policy: Option<&Policy>, at: Timestamp) -> Vec<Judgement> {
    match policy {
        Some(policy) => judge(candidates, policy, at),
        None => {
            let mut all: Vec<Judgement> = candidates
                .iter()
                .map(|one| Judgement {
                    id: one.id.clone(),
                    time: one.time,
                    keep: vec![crate::retention::Keep::NoRule],
                })
                .collect();
            all.sort_by_key(|one| std::cmp::Reverse(one.time));
            all
        }
    }
}

fn words(judgement: &Judgement) -> Vec<String> {
    judgement.keep.iter().map(ToString::to_string).collect()
}

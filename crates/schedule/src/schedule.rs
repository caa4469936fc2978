//! Everything that makes one task due.

use crate::entry::{Changes, Entry, Span};
use crate::error::ScheduleError;
use crate::hours::OpenHours;
use crate::when::When;
use crate::zone::time_zone;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupKind;
use larder_model::task::{CatchUp, PeriodicBackupConfiguration, Periodicity};
use std::collections::{BTreeMap, BTreeSet};

/// How far a clock may be set back without anything running twice: less than that is a correction, more than that
/// means that the clock was wrong, and must not silence a task until it is right again.
const CORRECTION: SignedDuration = SignedDuration::from_mins(5);

/// When a task runs: any number of entries, each on its own, and the hours in which runs may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What makes it due.
    pub entries: Vec<Entry>,
    /// The zone of the backup window.
    pub zone: TimeZone,
    /// What happens to runs that were missed.
    pub catch_up: CatchUp,
    /// The hours in which runs may begin; any, where nothing is said.
    pub hours: Option<OpenHours>,
}

/// When a task was last begun, however that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The last full backup.
    pub full: Option<Timestamp>,
    /// The last incremental backup.
    pub incremental: Option<Timestamp>,
    /// When the task began to apply: nothing before counts as missed.
    pub since: Timestamp,
    /// Since when somebody was there to run it: [`CatchUp::Skip`] takes nothing before as missed.
    pub awake_since: Timestamp,
    /// What changed since the last backup began, where that is watched.
    pub changes: Option<Changes>,
}

/// A moment at which a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When; in the past where it is overdue. Of a window, the earliest moment.
    pub time: Timestamp,
    /// Until when it should have begun: later than `time` where the calmest moment may be chosen.
    pub latest: Timestamp,
    /// What.
    pub kind: BackupKind,
}

impl Schedule {
    /// Reads a task's expressions, further schedules, zone and backup window; `default_zone` is meant where the task names
    /// none.
    ///
    /// # Errors
    /// Any of them makes no sense.
    pub fn of(task: &PeriodicBackupConfiguration, default_zone: &TimeZone) -> Result<Self, ScheduleError> {
        let zone = zone_of(task.time_zone.as_deref(), default_zone)?;
        let mut entries = Vec::new();
        let both = [
            (&task.full_backup_frequency, BackupKind::Full),
            (&task.incremental_backup_frequency, BackupKind::Incremental),
        ];
        for (text, kind) in both {
            if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
                entries.push(Entry::new(When::Cron(text.parse()?), kind, None, zone.clone()));
            }
        }
        for more in &task.schedules {
            let zone = zone_of(more.time_zone.as_deref(), &zone)?;
            entries.push(Entry::new(more.when.parse()?, more.backup, more.periodicity, zone));
        }
        let hours = task.backup_window.as_ref().map(|window| OpenHours::new(&window.from, &window.to));
        Ok(Self { entries, zone, catch_up: task.catch_up, hours: hours.transpose()? })
    }

    /// Returns the next run after the last attempts, the earliest of all entries; where several come at once, the full.
    ///
    /// It lies at or before `now` where it is due. Several missed runs are one: the next attempt covers them all.
    #[must_use]
    pub fn next(&self, attempts: &Attempts, now: Timestamp) -> Option<Run> {
        let runs = self.entries.iter().filter_map(|entry| self.next_of(entry, attempts, now));
        runs.min_by_key(|run| (run.time, run.kind == BackupKind::Incremental))
    }

    /// Returns what is due at `now`; where a full and an incremental backup are, the full.
    #[must_use]
    pub fn due(&self, attempts: &Attempts, now: Timestamp) -> Option<Run> {
        let mut due: Option<Run> = None;
        for run in self.entries.iter().filter_map(|entry| self.next_of(entry, attempts, now)) {
            if run.time > now {
                continue;
            }
            due = Some(match due {
                None => run,
                // One run serves all, so it is as overdue as the oldest of them.
                Some(other) => Run {
                    time: run.time.min(other.time),
                    latest: run.latest.min(other.latest),
                    kind: if run.kind == BackupKind::Full { run.kind } else { other.kind },
                },
            });
        }
        due
    }

    /// Says which entries make the task due at `now`, each in the words it was given.
    #[must_use]
    pub fn reasons(&self, attempts: &Attempts, now: Timestamp) -> Vec<String> {
        let due = |entry: &&Entry| self.next_of(entry, attempts, now).is_some_and(|run| run.time <= now);
        self.entries.iter().filter(due).map(|entry| format!("{} ({})", entry.when, entry.kind)).collect()
    }

    /// Returns the periodicities that a run begun at `now` serves: those whose moment came since they were last served.
    ///
    /// What asks for a full backup is served by a full one only.
    #[must_use]
    pub fn owed(
        &self,
        served: &BTreeMap<Periodicity, Timestamp>,
        attempts: &Attempts,
        now: Timestamp,
        kind: BackupKind,
    ) -> BTreeSet<Periodicity> {
        let mut owed = BTreeSet::new();
        for entry in &self.entries {
            let Some(periodicity) = entry.periodicity else { continue };
            if entry.kind == BackupKind::Full && kind != BackupKind::Full {
                continue;
            }
            let last = served.get(&periodicity).map(|last| not_ahead(*last, attempts, now));
            let span = entry.after(last, self.since(attempts).min(now), attempts.changes);
            if span.is_some_and(|span| span.earliest <= now) {
                owed.insert(periodicity);
            }
        }
        owed
    }

    /// Lists the next `count` runs after an instant, as if each were made on time, those of a window as early as may be.
    ///
    /// What waits for changes or for a person has no moments to list.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut attempts = Attempts {
            full: Some(after),
            incremental: Some(after),
            since: after,
            awake_since: after,
            changes: None,
        };
        while runs.len() < count {
            let now = runs.last().map_or(after, |last| last.time);
            let Some(first) = self.next(&attempts, now) else { break };
            // Where several come at once, one run serves them all.
            let Some(run) = self.due(&attempts, first.time) else { break };
            let run = Run { time: first.time, ..run };
            match run.kind {
                BackupKind::Full => attempts.full = Some(run.time),
                BackupKind::Incremental => attempts.incremental = Some(run.time),
            }
            runs.push(run);
        }
        runs
    }

    /// Returns how long after an instant the next run comes; `None` where none does by the clock.
    #[must_use]
    pub fn interval_after(&self, instant: Timestamp) -> Option<SignedDuration> {
        let clock = |entry: &&Entry| matches!(entry.when, When::Cron(_) | When::Calendar { .. });
        let next = self.entries.iter().filter(clock).filter_map(|entry| entry.after(None, instant, None));
        next.map(|span| span.earliest.duration_since(instant)).min()
    }

    /// Returns the shortest quiet time and distance of the entries that wait for changes; `None` where none does.
    #[must_use]
    pub fn after_changes(&self) -> Option<(SignedDuration, SignedDuration)> {
        let rules = self.entries.iter().filter_map(|entry| match entry.when {
            When::AfterChanges { quiet, at_most_every } => Some((quiet, at_most_every)),
            _ => None,
        });
        rules.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
    }

    /// Says whether any entry has a periodicity.
    #[must_use]
    pub fn has(&self, periodicity: Periodicity) -> bool {
        self.entries.iter().any(|entry| entry.periodicity == Some(periodicity))
    }

    /// Returns the earliest instant from `at` on at which a run may begin.
    #[must_use]
    pub fn opens(&self, at: Timestamp) -> Timestamp {
        self.hours.as_ref().and_then(|hours| hours.opens(at, &self.zone)).unwrap_or(at)
    }

    fn since(&self, attempts: &Attempts) -> Timestamp {
        match self.catch_up {
            CatchUp::Once => attempts.since,
            CatchUp::Skip => attempts.since.max(attempts.awake_since),
        }
    }

    fn next_of(&self, entry: &Entry, attempts: &Attempts, now: Timestamp) -> Option<Run> {
        let last = match entry.kind {
            BackupKind::Full => attempts.full,
            // What a full reads, an incremental at the same moment need not read again.
            BackupKind::Incremental => attempts.incremental.max(attempts.full),
        };
        let last = last.map(|last| not_ahead(last, attempts, now));
        let span = entry.after(last, not_ahead(self.since(attempts), attempts, now), attempts.changes)?;
        let Span { earliest, latest } = self.within_hours(span);
        Some(Run { time: earliest, latest, kind: entry.kind })
    }

    fn within_hours(&self, span: Span) -> Span {
        let Some(hours) = &self.hours else { return span };
        let earliest = hours.opens(span.earliest, &self.zone).unwrap_or(span.earliest);
        let closes = hours
            .closes(earliest, &self.zone)
            .and_then(|closes| closes.checked_sub(SignedDuration::from_secs(1)).ok());
        let latest = closes.map_or(span.latest, |closes| closes.min(span.latest));
        Span { earliest, latest: latest.max(earliest) }
    }
}

fn zone_of(name: Option<&str>, default: &TimeZone) -> Result<TimeZone, ScheduleError> {
    match name.filter(|name| !name.trim().is_empty()) {
        Some(name) => time_zone(name.trim()),
        None => Ok(default.clone()),
    }
}

/// Takes an instant that lies ahead of the clock, and is no mere correction of it, for the one at which the clock was set
/// back, or the service started with a clock that is right again.
fn not_ahead(instant: Timestamp, attempts: &Attempts, now: Timestamp) -> Timestamp {
    if instant.duration_since(now) > CORRECTION { attempts.awake_since.min(now) } else { instant }
}

//! Two expressions together: when a full and when an incremental backup is due.

use crate::cron::Cron;
use crate::error::ScheduleError;
use crate::zone::time_zone;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::BackupKind;
use larder_model::task::{CatchUp, PeriodicBackupConfiguration};

/// When a task runs: one expression for full and one for incremental backups, either of which may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When everything is read anew.
    pub full: Option<Cron>,
    /// When changes are added.
    pub incremental: Option<Cron>,
    /// The zone that both are meant in.
    pub zone: TimeZone,
    /// What happens to runs that were missed.
    pub catch_up: CatchUp,
}

/// When a task was last begun, however that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The last full backup.
    pub full: Option<Timestamp>,
    /// The last incremental backup.
    pub incremental: Option<Timestamp>,
    /// When the task began to apply: nothing before counts as missed.
    pub since: Timestamp,
    /// Since when somebody was there to run it: [`CatchUp::Skip`] takes nothing before as missed.
    pub awake_since: Timestamp,
}

/// A moment at which a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When; in the past where it is overdue.
    pub time: Timestamp,
    /// What.
    pub kind: BackupKind,
}

impl Schedule {
    /// Reads a task's expressions and zone; `default_zone` is meant where the task names none.
    ///
    /// # Errors
    /// An expression or the zone makes no sense.
    pub fn of(
        settings: &PeriodicBackupConfiguration,
        default_zone: &TimeZone,
    ) -> Result<Self, ScheduleError> {
        let read = |text: &Option<String>| {
            text.as_deref().filter(|t| !t.trim().is_empty()).map(str::parse).transpose()
        };
        let zone = match settings.time_zone.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => time_zone(name)?,
            None => default_zone.clone(),
        };
        Ok(Self {
            full: read(&settings.full_backup_frequency)?,
            incremental: read(&settings.incremental_backup_frequency)?,
            zone,
            catch_up: settings.catch_up,
        })
    }

    /// Returns the next run after the last attempts, the earlier of both kinds; where both come at once, the full.
    ///
    /// It lies at or before `now` where it is due. Several missed runs are one: the next attempt covers them all.
    #[must_use]
    pub fn next(&self, attempts: &Attempts, now: Timestamp) -> Option<Run> {
        let (full, incremental) = self.next_of_each(attempts, now);
        earlier(full, incremental)
    }

    /// Returns what is due at `now`; where both are, the full.
    #[must_use]
    pub fn due(&self, attempts: &Attempts, now: Timestamp) -> Option<Run> {
        let (full, incremental) = self.next_of_each(attempts, now);
        let due = |time: Option<Timestamp>| time.filter(|time| *time <= now);
        match (due(full), due(incremental)) {
            // A full serves the incremental too, so it is as overdue as the older of both.
            (Some(full), other) => {
                Some(Run { time: other.map_or(full, |other| other.min(full)), kind: BackupKind::Full })
            }
            (None, Some(time)) => Some(Run { time, kind: BackupKind::Incremental }),
            (None, None) => None,
        }
    }

    /// Lists the next `count` runs after an instant, as if each were made on time.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut after = after;
        while runs.len() < count {
            let next = |cron: &Option<Cron>| cron.as_ref().and_then(|cron| cron.next(after, &self.zone));
            let Some(run) = earlier(next(&self.full), next(&self.incremental)) else { break };
            after = run.time;
            runs.push(run);
        }
        runs
    }

    fn next_of_each(&self, attempts: &Attempts, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let base = |last: Option<Timestamp>| {
            let base = last.map_or(attempts.since, |last| last.max(attempts.since));
            let base = match self.catch_up {
                CatchUp::Once => base,
                CatchUp::Skip => base.max(attempts.awake_since),
            };
            // A clock that once was wrong must not silence a task until it is right again.
            base.min(now)
        };
        let next = |cron: &Option<Cron>, last: Option<Timestamp>| {
            cron.as_ref().and_then(|cron| cron.next(base(last), &self.zone))
        };
        // What a full reads, an incremental at the same moment need not read again.
        (next(&self.full, attempts.full), next(&self.incremental, attempts.incremental.max(attempts.full)))
    }
}

fn earlier(full: Option<Timestamp>, incremental: Option<Timestamp>) -> Option<Run> {
    match (full, incremental) {
        (Some(full), Some(incremental)) if incremental < full => {
            Some(Run { time: incremental, kind: BackupKind::Incremental })
        }
        (Some(time), _) => Some(Run { time, kind: BackupKind::Full }),
        (None, Some(time)) => Some(Run { time, kind: BackupKind::Incremental }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BackupKind::{Full, Incremental};

    fn at(text: &str) -> Timestamp {
        format!("2026-05-{text}:00Z").parse().unwrap()
    }

    fn nightly(catch_up: CatchUp) -> Schedule {
        let settings = PeriodicBackupConfiguration {
            full_backup_frequency: Some("0 2 * * *".to_owned()),
            incremental_backup_frequency: Some("*/20 * * * *".to_owned()),
            catch_up,
            ..PeriodicBackupConfiguration::default()
        };
        Schedule::of(&settings, &TimeZone::UTC).unwrap()
    }

    fn attempts(full: Option<&str>, incremental: Option<&str>, since: &str) -> Attempts {
        let since = at(since);
        Attempts { full: full.map(at), incremental: incremental.map(at), since, awake_since: since }
    }

    fn run(time: &str, kind: BackupKind) -> Option<Run> {
        Some(Run { time: at(time), kind })
    }

    #[test]
    fn a_task_that_never_ran_waits_for_its_first_moment() {
        let new = attempts(None, None, "10T01:45");
        let schedule = nightly(CatchUp::Once);
        assert_eq!(schedule.next(&new, at("10T01:45")), run("10T02:00", Full), "both at once: the full");
        assert_eq!(schedule.due(&new, at("10T01:59")), None);
        assert_eq!(schedule.due(&new, at("10T02:00")), run("10T02:00", Full));
    }

    #[test]
    fn the_earlier_of_both_kinds_is_next() {
        let schedule = nightly(CatchUp::Once);
        let after = attempts(Some("10T02:00"), Some("10T01:40"), "01T00:00");
        assert_eq!(
            schedule.next(&after, at("10T02:01")),
            run("10T02:20", Incremental),
            "the full served 02:00"
        );
        let later = attempts(Some("10T02:00"), Some("11T01:20"), "01T00:00");
        assert_eq!(schedule.next(&later, at("11T01:21")), run("11T01:40", Incremental));
        let last = attempts(Some("10T02:00"), Some("11T01:40"), "01T00:00");
        assert_eq!(schedule.next(&last, at("11T01:41")), run("11T02:00", Full));
    }

    #[test]
    fn missed_runs_are_caught_up_once_and_full_wins() {
        let schedule = nightly(CatchUp::Once);
        let missed = Attempts {
            awake_since: at("12T10:05"),
            ..attempts(Some("10T02:00"), Some("10T11:00"), "01T00:00")
        };
        assert_eq!(schedule.due(&missed, at("12T10:05")), run("10T11:20", Full), "overdue since the oldest");
        let caught_up = Attempts { full: Some(at("12T10:05")), ..missed };
        assert_eq!(schedule.due(&caught_up, at("12T10:06")), None);
        assert_eq!(schedule.next(&caught_up, at("12T10:06")), run("12T10:20", Incremental));
        let short = Attempts { incremental: Some(at("10T02:40")), ..missed };
        assert_eq!(schedule.due(&short, at("10T04:05")), run("10T03:00", Incremental), "no full was missed");
    }

    #[test]
    fn missed_runs_can_be_skipped() {
        let schedule = nightly(CatchUp::Skip);
        let missed = Attempts {
            awake_since: at("12T10:05"),
            ..attempts(Some("10T02:00"), Some("10T11:00"), "01T00:00")
        };
        assert_eq!(schedule.due(&missed, at("12T10:05")), None);
        assert_eq!(schedule.next(&missed, at("12T10:05")), run("12T10:20", Incremental));
        assert_eq!(schedule.due(&missed, at("12T10:20")), run("12T10:20", Incremental));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_silence_a_task() {
        let schedule = nightly(CatchUp::Once);
        let ahead = attempts(Some("30T02:00"), Some("30T11:00"), "01T00:00");
        assert_eq!(schedule.next(&ahead, at("12T10:05")), run("12T10:20", Incremental));
    }

    #[test]
    fn the_next_runs_are_listed_in_order_each_moment_once() {
        let settings = PeriodicBackupConfiguration {
            full_backup_frequency: Some("0 */2 * * *".to_owned()),
            incremental_backup_frequency: Some("0 * * * *".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
            ..PeriodicBackupConfiguration::default()
        };
        let schedule = Schedule::of(&settings, &TimeZone::UTC).unwrap();
        let runs = schedule.upcoming(at("10T00:30"), 4);
        // Berlin is two hours ahead of UTC in May, so even hours there are even here.
        let expected =
            [("10T01:00", Incremental), ("10T02:00", Full), ("10T03:00", Incremental), ("10T04:00", Full)];
        assert_eq!(runs, expected.map(|(time, kind)| Run { time: at(time), kind }));
    }

    #[test]
    fn a_task_without_expressions_never_runs() {
        let schedule = Schedule::of(&PeriodicBackupConfiguration::default(), &TimeZone::UTC).unwrap();
        assert_eq!(schedule.next(&attempts(None, None, "01T00:00"), at("02T00:00")), None);
        assert!(schedule.upcoming(at("01T00:00"), 5).is_empty());
    }

    #[test]
    fn an_unknown_zone_is_refused_by_name() {
        let settings = PeriodicBackupConfiguration {
            time_zone: Some("Mars/Olympus".to_owned()),
            ..PeriodicBackupConfiguration::default()
        };
        let error = Schedule::of(&settings, &TimeZone::UTC).unwrap_err();
        assert!(error.to_string().contains("'Mars/Olympus'"));
    }

    #[test]
    fn a_hundred_thousand_next_runs_are_found_within_a_few_seconds() {
        let schedule = nightly(CatchUp::Once);
        let begun = std::time::Instant::now();
        for minute in 0..100_000_i64 {
            let last = at("01T00:00") + jiff::SignedDuration::from_mins(minute);
            let attempts =
                Attempts { full: Some(last), incremental: Some(last), since: last, awake_since: last };
            assert!(schedule.next(&attempts, last).is_some());
        }
        // A debug build on a busy machine; the release figure is about ten times better.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}

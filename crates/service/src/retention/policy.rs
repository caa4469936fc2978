//! What is kept, read from a task.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use larder_model::task::{self, DEFAULT_MINIMUM_BACKUPS, PeriodicBackupConfiguration, Periodicity};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A unit of the calendar of which the newest backup is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Calendar {
    /// Every hour.
    Hour,
    /// Every day.
    Day,
    /// Every week, from Monday on.
    Week,
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl Calendar {
    /// Every unit, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns a number that all moments of one such unit have in common, and no other.
    pub(super) fn number(self, wall: DateTime) -> i64 {
        let (year, month) = (i64::from(wall.year()), i64::from(wall.month()));
        match self {
            Self::Hour => Self::Day.number(wall) * 24 + i64::from(wall.hour()),
            Self::Day => (year * 12 + month) * 31 + i64::from(wall.day()),
            Self::Week => {
                let week = wall.date().iso_week_date();
                i64::from(week.year()) * 53 + i64::from(week.week())
            }
            Self::Month => year * 12 + month,
            Self::Year => year,
        }
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        })
    }
}

/// How many, or how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many good ones, the newest.
    Count(u32),
    /// Those younger than this.
    Age(Duration),
}

/// What is kept. A backup stays when any rule wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Backups younger than this.
    pub minimum_age: Option<Duration>,
    /// So many good backups, the newest.
    pub last: Option<u32>,
    /// The newest good backup of each of so many units of the calendar that have one.
    pub calendar: BTreeMap<Calendar, u32>,
    /// Backups of a periodicity.
    pub periodicities: BTreeMap<Periodicity, Limit>,
    /// So many good backups in any case, the newest; at least 1.
    pub minimum_backups: u32,
    /// The zone whose hours, days and weeks are meant.
    pub zone: TimeZone,
}

impl Policy {
    /// Reads a task's policy; `None` where everything is kept for ever. A number of 0 is a rule that is not there.
    #[must_use]
    pub fn of(task: &PeriodicBackupConfiguration, default_zone: &TimeZone) -> Option<Self> {
        let given = task.retention_policy.as_ref().filter(|policy| !policy.disabled)?;
        let some = |count: Option<u32>| count.filter(|count| *count > 0);
        let units = [
            (Calendar::Hour, given.keep_hourly),
            (Calendar::Day, given.keep_daily),
            (Calendar::Week, given.keep_weekly),
            (Calendar::Month, given.keep_monthly),
            (Calendar::Year, given.keep_yearly),
        ];
        let limit = |keep: &task::Keep| match keep {
            task::Keep::Count(count) => Some(Limit::Count(*count)),
            task::Keep::Age(age) => age.to_duration().map(Limit::Age),
        };
        // A zone that is not known was refused when the task was stored.
        let zone = task.time_zone.as_deref().and_then(|name| larder_schedule::time_zone(name).ok());
        let policy = Self {
            minimum_age: given.minimum_backup_age_to_keep.and_then(|age| age.to_duration()),
            last: some(given.keep_last),
            calendar: units.into_iter().filter_map(|(unit, count)| Some((unit, some(count)?))).collect(),
            periodicities: given
                .per_periodicity
                .iter()
                .filter_map(|(periodicity, keep)| Some((*periodicity, limit(keep)?)))
                .collect(),
            minimum_backups: task.minimum_backups_to_keep.unwrap_or(DEFAULT_MINIMUM_BACKUPS).max(1),
            zone: zone.unwrap_or_else(|| default_zone.clone()),
        };
        policy.has_rules().then_some(policy)
    }

    /// Says whether a rule speaks about every backup, and not only about those of some periodicity.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.minimum_age.is_some() || self.last.is_some() || !self.calendar.is_empty()
    }

    /// Says whether any rule was given; without one everything is kept for ever.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.is_general() || !self.periodicities.is_empty()
    }
}

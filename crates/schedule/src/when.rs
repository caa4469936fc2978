//! The forms in which a schedule says when something is due.

use crate::cron::Cron;
use crate::error::ScheduleError;
use crate::span;
use jiff::SignedDuration;
use larder_model::task::Periodicity;
use std::fmt;
use std::str::FromStr;

/// How long nothing may have changed before a run after changes begins, unless said otherwise.
const DEFAULT_QUIET: SignedDuration = SignedDuration::from_mins(2);
/// How far apart runs after changes are at least, unless said otherwise.
const DEFAULT_AT_MOST_EVERY: SignedDuration = SignedDuration::from_mins(30);
/// The latest day of a month that every month has.
const LAST_COMMON_DAY: u8 = 28;

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At the moments of a cron expression.
    Cron(Cron),
    /// At the beginning of each calendar unit, or at a time of day in it: every day, every second month.
    Calendar {
        /// The unit.
        unit: Periodicity,
        /// The same as an expression.
        cron: Cron,
    },
    /// Some time after the last run; the calmest moment in between is chosen.
    Window {
        /// No sooner after the last run.
        least: SignedDuration,
        /// No later after the last run.
        most: SignedDuration,
    },
    /// When something changed and then was left alone for a while.
    AfterChanges {
        /// How long nothing may have changed.
        quiet: SignedDuration,
        /// How far apart runs are at least; where changes never pause, also the longest that one is put off.
        at_most_every: SignedDuration,
    },
    /// Before the host goes down; whoever shuts it down asks for it.
    Shutdown,
    /// Only when a person asks.
    Manual,
}

impl When {
    /// Returns the periodicity that the form itself names.
    #[must_use]
    pub const fn periodicity(&self) -> Option<Periodicity> {
        match self {
            Self::Calendar { unit, .. } => Some(*unit),
            Self::Shutdown => Some(Periodicity::Shutdown),
            Self::Manual => Some(Periodicity::Manual),
            Self::Cron(_) | Self::Window { .. } | Self::AfterChanges { .. } => None,
        }
    }
}

impl FromStr for When {
    type Err = ScheduleError;

    /// Reads any form; upper and lower case count as the same.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        let odd = |cause: &str| ScheduleError::Form { text: text.to_owned(), cause: cause.to_owned() };
        match words.as_slice() {
            ["shutdown"] => Ok(Self::Shutdown),
            ["manual"] => Ok(Self::Manual),
            ["every", window] => read_window(window).map_err(|cause| odd(&cause)),
            ["after", ..] => read_changes(&lower).map_err(|cause| odd(&cause)),
            [unit, rest @ ..] if unit_of(unit).is_some() => {
                let unit = unit_of(unit).unwrap_or(Periodicity::Daily);
                let expression = read_calendar(unit, rest).map_err(|cause| odd(&cause))?;
                Ok(Self::Calendar { unit, cron: expression.parse()? })
            }
            // What looks like an expression, well made or not, is judged as one.
            [first, ..]
                if first.starts_with(|c: char| c.is_ascii_digit() || c == '*') || words.len() == 5 =>
            {
                Ok(Self::Cron(text.parse()?))
            }
            _ => Err(odd("it is none of the forms")),
        }
    }
}

fn unit_of(word: &str) -> Option<Periodicity> {
    Some(match word {
        "hourly" => Periodicity::Hourly,
        "daily" => Periodicity::Daily,
        "weekly" => Periodicity::Weekly,
        "monthly" => Periodicity::Monthly,
        "bimonthly" => Periodicity::Bimonthly,
        _ => return None,
    })
}

fn read_window(text: &str) -> Result<When, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let read =
        |part: &str| span::parse(part).ok_or_else(|| format!("'{part}' is no length such as 4h or 90m"));
    let (least, most) = (read(least)?, read(most)?);
    if least > most {
        return Err("the shorter time stands first".to_owned());
    }
    if least < SignedDuration::from_mins(1) {
        return Err("runs are at least one minute apart".to_owned());
    }
    Ok(When::Window { least, most })
}

fn read_changes(text: &str) -> Result<When, String> {
    let mut parts = text.split(',').map(|part| part.split_whitespace().collect::<Vec<_>>());
    if parts.next().as_deref() != Some(&["after", "changes"]) {
        return Err("it begins neither with a known word nor with 'after changes'".to_owned());
    }
    let (mut quiet, mut at_most_every) = (DEFAULT_QUIET, DEFAULT_AT_MOST_EVERY);
    for part in parts {
        let (which, length) = match part.as_slice() {
            ["quiet", length] => (&mut quiet, length),
            ["at", "most", "every", length] => (&mut at_most_every, length),
            other => {
                return Err(format!("'{}' is neither 'quiet 2m' nor 'at most every 30m'", other.join(" ")));
            }
        };
        *which = span::parse(length).ok_or_else(|| format!("'{length}' is no length such as 2m"))?;
    }
    Ok(When::AfterChanges { quiet, at_most_every })
}

/// Returns the expression of a calendar unit; `rest` may say `on <day>` and `at <time>`.
fn read_calendar(unit: Periodicity, rest: &[&str]) -> Result<String, String> {
    let (day, rest) = match rest {
        ["on", day, rest @ ..] => (Some(*day), rest),
        other => (None, other),
    };
    let time = match rest {
        [] => None,
        ["at", time] => Some(*time),
        other => return Err(format!("'{}' is neither 'on <day>' nor 'at <time>'", other.join(" "))),
    };
    let (hour, minute) = match time {
        None => (0, 0),
        Some(time) => time_of_day(time, unit == Periodicity::Hourly)?,
    };
    let of_month = |day: Option<&str>| match day {
        None => Ok(1),
        Some(day) => day.parse().ok().filter(|day| (1..=LAST_COMMON_DAY).contains(day)).ok_or_else(|| {
            format!("'{day}' is no day that every month has; write a number from 1 to {LAST_COMMON_DAY}")
        }),
    };
    match unit {
        Periodicity::Weekly => {
            let day = day.map_or(Ok(1), weekday)?;
            Ok(format!("{minute} {hour} * * {day}"))
        }
        Periodicity::Monthly => Ok(format!("{minute} {hour} {} * *", of_month(day)?)),
        Periodicity::Bimonthly => Ok(format!("{minute} {hour} {} 1,3,5,7,9,11 *", of_month(day)?)),
        _ if day.is_some() => Err("only weeks and months have days to choose from".to_owned()),
        Periodicity::Hourly => Ok(format!("{minute} * * * *")),
        _ => Ok(format!("{minute} {hour} * * *")),
    }
}

/// Reads `02:30`; of an hour only the minute counts, and `:30` will do.
pub(crate) fn time_of_day(text: &str, hour_may_lack: bool) -> Result<(u8, u8), String> {
    let number = |part: &str, most: u8| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u8>().ok().filter(|number| plain && *number <= most)
    };
    let (hour, minute) = text.split_once(':').unwrap_or((text, ""));
    let hour = if hour.is_empty() && hour_may_lack { Some(0) } else { number(hour, 23) };
    hour.zip(number(minute, 59)).ok_or_else(|| format!("'{text}' is no time of day such as 02:30"))
}

fn weekday(text: &str) -> Result<u8, String> {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let short = text.len() >= 3;
    let found = DAYS.iter().zip(0_u8..).find(|(name, _)| short && name.starts_with(text));
    found.map(|(_, number)| number).ok_or_else(|| format!("'{text}' is no day of the week"))
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => cron.fmt(f),
            Self::Calendar { unit, cron } => write!(f, "{unit:?} ({cron})"),
            Self::Window { least, most } => write!(f, "every {}..{}", span::text(*least), span::text(*most)),
            Self::AfterChanges { quiet, at_most_every } => {
                let (quiet, every) = (span::text(*quiet), span::text(*at_most_every));
                write!(f, "after changes, quiet {quiet}, at most every {every}")
            }
            Self::Shutdown => f.write_str("Shutdown"),
            Self::Manual => f.write_str("Manual"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_in_one_way() {
        for (given, written) in [
            ("0  */6 * * *", "0 */6 * * *"),
            ("every 4h..6h", "every 4h..6h"),
            ("EVERY 90m", "every 1h30m..1h30m"),
            ("Hourly", "Hourly (0 * * * *)"),
            ("hourly at :15", "Hourly (15 * * * *)"),
            ("Daily at 02:30", "Daily (30 2 * * *)"),
            ("Weekly", "Weekly (0 0 * * 1)"),
            ("Weekly on Sunday at 2:05", "Weekly (5 2 * * 0)"),
            ("Monthly on 15", "Monthly (0 0 15 * *)"),
            ("Bimonthly at 04:00", "Bimonthly (0 4 1 1,3,5,7,9,11 *)"),
            ("after changes", "after changes, quiet 2m, at most every 30m"),
            ("after changes, at most every 1h, quiet 30s", "after changes, quiet 30s, at most every 1h"),
            ("shutdown", "Shutdown"),
            (" Manual ", "Manual"),
        ] {
            assert_eq!(given.parse::<When>().unwrap().to_string(), written, "{given}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused_by_name_and_with_the_forms() {
        for given in [
            "",
            "sometimes",
            "every",
            "every 6h..4h",
            "every 0s..5m",
            "every 4..6",
            "after lunch",
            "after changes, soon",
            "Daily on Monday",
            "Daily at noon",
            "Daily at 24:00",
            "Daily at 2:5:1",
            "Weekly on Moonday",
            "Weekly on m",
            "Monthly on 31",
            "Hourly now",
            "* * * *",
            "61 * * * *",
        ] {
            let error = given.parse::<When>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{}'", given.trim())), "{error}");
            assert!(!error.contains('\n'));
        }
        assert!("sometimes".parse::<When>().unwrap_err().to_string().contains("every 4h..6h"));
    }
}

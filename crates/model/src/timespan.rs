//! Durations as RavenDB's clients write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in .NET's constant format `[-][d.]hh:mm:ss[.fffffff]`, in steps of 100 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan {
    ticks: i64,
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a time span; write it as [days.]hours:minutes:seconds, for example 7.00:00:00")]
pub struct InvalidTimeSpan {
    /// The text as it was given.
    pub text: String,
}

const TICKS_PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

impl TimeSpan {
    /// Makes a duration of whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { ticks: seconds.saturating_mul(TICKS_PER_SECOND) }
    }

    /// Makes a duration of steps of 100 ns.
    #[must_use]
    pub const fn from_ticks(ticks: i64) -> Self {
        Self { ticks }
    }

    /// Makes a duration of whole days.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_seconds(days.saturating_mul(SECONDS_PER_DAY))
    }

    /// Returns the length in steps of 100 ns; negative for a negative duration.
    #[must_use]
    pub const fn ticks(self) -> i64 {
        self.ticks
    }

    /// Returns the duration, or `None` where it is negative.
    #[must_use]
    pub fn to_duration(self) -> Option<Duration> {
        let ticks = u64::try_from(self.ticks).ok()?;
        let per_second = TICKS_PER_SECOND.unsigned_abs();
        Some(Duration::new(ticks / per_second, u32::try_from(ticks % per_second).ok()? * 100))
    }
}

impl FromStr for TimeSpan {
    type Err = InvalidTimeSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTimeSpan { text: text.to_owned() };
        let number = |part: &str| -> Option<i64> {
            (!part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
            part.parse().ok()
        };
        let (negative, rest) = match text.trim().strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let parsed = (|| {
            let mut parts = rest.split(':');
            let (first, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            let (days, hours) = match first.split_once('.') {
                Some((days, hours)) => (number(days)?, number(hours)?),
                None => (0, number(first)?),
            };
            let (seconds, fraction) = match seconds.split_once('.') {
                Some((seconds, fraction)) if (1..=7).contains(&fraction.len()) => {
                    let digits = i64::try_from(fraction.len()).ok()?;
                    let scale = 10_i64.pow(7 - u32::try_from(digits).ok()?);
                    (number(seconds)?, number(fraction)? * scale)
                }
                Some(_) => return None,
                None => (number(seconds)?, 0),
            };
            let minutes = number(minutes)?;
            if hours > 23 || minutes > 59 || seconds > 59 {
                return None;
            }
            let whole =
                days.checked_mul(SECONDS_PER_DAY)?.checked_add(hours * 3600 + minutes * 60 + seconds)?;
            whole.checked_mul(TICKS_PER_SECOND)?.checked_add(fraction)
        })();
        let ticks = parsed.ok_or_else(invalid)?;
        Ok(Self { ticks: if negative { -ticks } else { ticks } })
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.ticks.unsigned_abs();
        let per_second = TICKS_PER_SECOND.unsigned_abs();
        let (seconds, fraction) = (ticks / per_second, ticks % per_second);
        let (days, seconds) = (seconds / 86_400, seconds % 86_400);
        if self.ticks < 0 {
            f.write_str("-")?;
        }
        if days > 0 {
            write!(f, "{days}.")?;
        }
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if fraction > 0 {
            write!(f, ".{fraction:07}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = InvalidTimeSpan;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dot_net_writes_is_read_and_written_alike() {
        for text in
            ["7.00:00:00", "01:00:00", "23:41:48.1207683", "-00:00:01", "00:00:00", "1.02:03:04.5000000"]
        {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
        assert_eq!("7.00:00:00".parse::<TimeSpan>().unwrap(), TimeSpan::from_days(7));
        assert_eq!(TimeSpan::from_seconds(90).to_duration(), Some(Duration::from_secs(90)));
        assert_eq!(TimeSpan::from_seconds(-90).to_duration(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "bogus", "7", "24:00:00", "00:60:00", "00:00", "1.2.3:00:00", "00:00:00.", "9e9:00:00"]
        {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }
}

//! Cron expressions of five fields.

use crate::cron_words;
use crate::error::ScheduleError;
use croner::Weekday;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, civil};
use std::fmt;
use std::sync::Arc;

/// The calendar repeats itself, weekdays included, after 400 years of this many days.
const CALENDAR_DAYS: i64 = 146_097;

/// A cron expression of exactly five fields: minute, hour, day of month, month, day of week.
///
/// Where both day fields are given, a day that fits either is meant, as in Vixie cron.
#[derive(Clone)]
pub struct Cron {
    text: String,
    // Several KiB, so that copies share it.
    pattern: Arc<croner::Cron>,
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.text).finish()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl std::str::FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(expression: &str) -> Result<Self, Self::Err> {
        let fields = expression.split_whitespace().count();
        if fields != 5 {
            return Err(ScheduleError::FieldCount { expression: expression.to_owned(), fields });
        }
        let failed = |cause: String| ScheduleError::Expression { expression: expression.to_owned(), cause };
        if let Some(c) = expression.chars().find(|c| !c.is_ascii()) {
            return Err(failed(format!("'{c}' has no meaning there")));
        }
        let gap = expression.split_whitespace().find(|field| field.split(',').any(str::is_empty));
        if let Some(field) = gap {
            return Err(failed(format!("the list '{field}' has an empty place")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(expression).map_err(|error| failed(plain(&error)))?;
        let text = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        if !comes(&pattern) {
            return Err(ScheduleError::Never { expression: expression.to_owned() });
        }
        Ok(Self { text, pattern: Arc::new(pattern) })
    }
}

/// Says whether any moment fits; a search for one that never comes would take seconds to give up.
fn comes(pattern: &croner::Cron) -> bool {
    let has_a_time = (0..60).any(|minute| pattern.pattern.minute_match(minute).unwrap_or(false))
        && (0..24).any(|hour| pattern.pattern.hour_match(hour).unwrap_or(false));
    let fits = |day: civil::Date| {
        let (month, of_month) = (day.month().unsigned_abs().into(), day.day().unsigned_abs().into());
        let weekday =
            Weekday::from_days_from_sunday(day.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let fields = &pattern.pattern;
        fields.month_match(month).unwrap_or(false)
            && fields.day_match(day.year().into(), month, of_month, weekday).unwrap_or(false)
    };
    let first = civil::date(2000, 1, 1);
    has_a_time && (0..CALENDAR_DAYS).any(|days| first.checked_add(Span::new().days(days)).is_ok_and(fits))
}

/// Puts the parser's message into the middle of a sentence.
fn plain(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError::{ComponentError, IllegalCharacters, InvalidPattern};
    let text = match error {
        ComponentError(text) | IllegalCharacters(text) | InvalidPattern(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

impl Cron {
    /// Returns the expression, its fields separated by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says the expression in English words, to be put into a sentence: `every day at 02:00`.
    #[must_use]
    pub fn describe(&self) -> String {
        cron_words::say(&self.text).unwrap_or_else(|| {
            let said = self.pattern.describe();
            let mut characters = said.trim_end_matches('.').chars();
            let first = characters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(characters).collect()
        })
    }

    /// Returns the first instant after `after` at which the expression comes in `zone`; `None` beyond the
    /// calendar's end.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut wall = zone.to_datetime(after);
        // Wall-clock times stand for instants that never go backwards, so the first that stands for a later one
        // is the answer. Those passed over are the ones whose first coming was before `after`: at most the
        // minutes of the hour (or day, where a zone moved across the date line) that comes twice.
        loop {
            wall = self.pattern.find_next_occurrence(&wall, false).ok()?;
            let instant = instant_of(wall, zone)?;
            if instant > after {
                return Some(instant);
            }
        }
    }
}

/// Returns the instant a wall-clock time stands for: the first of two, or the first after a gap.
fn instant_of(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a time within the gap names an instant shortly before the change.
            let before = after.to_timestamp(wall).ok()?;
            zone.following(before).find(|change| change.offset() == after).map(|change| change.timestamp())
        }
        _ => ambiguous.earlier().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_zone;

    /// Lists what comes in `[from, until)`, in UTC.
    fn coming(expression: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
        let cron: Cron = expression.parse().unwrap();
        let zone = time_zone(zone).unwrap();
        let until: Timestamp = until.parse().unwrap();
        let mut after = from.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_nanos(1);
        let mut found = Vec::new();
        while let Some(next) = cron.next(after, &zone).filter(|next| *next < until) {
            assert!(next > after);
            found.push(next.strftime("%dT%H:%M").to_string());
            after = next;
        }
        found
    }

    // The expected instants below are worked out by hand from the published rules of each zone.

    #[test]
    fn a_time_that_does_not_exist_runs_at_the_next_instant_that_does() {
        // Berlin, 29 March 2026: 02:00 CET becomes 03:00 CEST at 01:00 UTC.
        let berlin = coming("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z");
        assert_eq!(berlin, ["28T01:30", "29T01:00", "30T00:30"]);
        // New York, 8 March 2026: 02:00 EST becomes 03:00 EDT at 07:00 UTC.
        let new_york =
            coming("15 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z");
        assert_eq!(new_york, ["07T07:15", "08T07:00", "09T06:15"]);
        // Lord Howe, 4 October 2026: 02:00 +10:30 becomes 02:30 +11 at 15:30 UTC the day before.
        let lord_howe =
            coming("10 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z", "2026-10-05T12:00:00Z");
        assert_eq!(lord_howe, ["02T15:40", "03T15:30", "04T15:10"]);
        // Santiago, 6 September 2026: 00:00 -04 becomes 01:00 -03 at 04:00 UTC: midnight itself is skipped.
        let santiago =
            coming("0 0 * * *", "America/Santiago", "2026-09-05T00:00:00Z", "2026-09-08T00:00:00Z");
        assert_eq!(santiago, ["05T04:00", "06T04:00", "07T03:00"]);
    }

    #[test]
    fn a_time_that_exists_twice_runs_once() {
        // Berlin, 25 October 2026: 03:00 CEST becomes 02:00 CET at 01:00 UTC.
        let berlin = coming("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z");
        assert_eq!(berlin, ["24T00:30", "25T00:30", "26T01:30"]);
        // New York, 1 November 2026: 02:00 EDT becomes 01:00 EST at 06:00 UTC.
        let new_york =
            coming("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", "2026-11-03T00:00:00Z");
        assert_eq!(new_york, ["31T05:30", "01T05:30", "02T06:30"]);
        // Lord Howe, 5 April 2026: 02:00 +11 becomes 01:30 +10:30 at 15:00 UTC the day before.
        let lord_howe =
            coming("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", "2026-04-06T12:00:00Z");
        assert_eq!(lord_howe, ["03T14:45", "04T14:45", "05T15:15"]);
    }

    #[test]
    fn a_frequent_expression_keeps_to_the_wall_clock_over_both_changes() {
        let spring = coming("*/20 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", "2026-03-29T01:50:00Z");
        assert_eq!(spring, ["29T00:20", "29T00:40", "29T01:00", "29T01:20", "29T01:40"]);
        // 02:00, 02:20 and 02:40 come twice and run once; 03:00 is at 02:00 UTC.
        let autumn = coming("*/20 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:30:00Z");
        assert_eq!(autumn, ["25T00:00", "25T00:20", "25T00:40", "25T02:00", "25T02:20"]);
    }

    #[test]
    fn several_times_within_one_gap_are_one_run() {
        let found =
            coming("10,30,50 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
        assert_eq!(found, ["29T01:00"]);
    }

    #[test]
    fn a_day_that_a_zone_left_out_runs_when_the_next_begins() {
        // Samoa went from 29 to 31 December 2011: 30 December did not exist there.
        let found = coming("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z");
        assert_eq!(found, ["29T19:00", "30T10:00", "30T19:00", "31T19:00"]);
    }

    #[test]
    fn month_ends_and_leap_days_come_when_the_calendar_has_them() {
        let days = coming("0 0 31 * *", "UTC", "2026-01-01T00:00:00Z", "2026-09-01T00:00:00Z");
        assert_eq!(days, ["31T00:00"; 5], "January, March, May, July, August");
        let cron: Cron = "0 12 29 2 *".parse().unwrap();
        let zone = TimeZone::UTC;
        let next = cron.next("2096-03-01T00:00:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(next.to_string(), "2104-02-29T12:00:00Z");
    }

    #[test]
    fn the_next_moment_is_always_later_than_the_one_given() {
        let cron: Cron = "* * * * *".parse().unwrap();
        let zone = time_zone("Europe/Berlin").unwrap();
        for (after, next) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("2026-01-01T00:00:59.999999999Z", "2026-01-01T00:01:00Z"),
            ("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:01:00Z"),
            // Inside the hour that comes for the second time.
            ("2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"),
        ] {
            assert_eq!(cron.next(after.parse().unwrap(), &zone).unwrap().to_string(), next);
        }
    }

    #[test]
    fn what_is_no_expression_of_five_fields_is_refused_with_the_expression_named() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "0 0 2 * * *",
            "@daily",
            "61 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "a b c d e",
            "*/0 * * * *",
            "5-1 * * * *",
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "0 0 29 2 MON#9",
            "ß * * * *",
            "1-2-3 * * * *",
            ", * * * *",
            "99999999999999999999 * * * *",
            "@ @ @ @ @",
            "*/99999 * * * *",
        ] {
            let error = text.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
            assert!(!error.contains('\n'));
        }
    }

    #[test]
    fn what_is_an_expression_is_taken() {
        for (text, words) in [("0 2 * * *", "02:00"), ("*/20 * * * *", "20"), ("0  */6 * * MON-FRI", "6")] {
            let cron: Cron = text.parse().unwrap();
            assert!(cron.describe().contains(words), "{}", cron.describe());
            assert!(!cron.as_str().contains("  "));
        }
    }
}

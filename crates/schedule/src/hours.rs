//! The hours of the day in which runs may begin.

use crate::cron::Cron;
use crate::error::ScheduleError;
use crate::when::time_of_day;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// Hours of every day, by the wall clock: from one time until, and not including, another, over midnight where the
/// second is the earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHours {
    from: Time,
    until: Time,
    opening: Cron,
    closing: Cron,
}

impl OpenHours {
    /// Reads two times of day such as `22:00` and `06:00`.
    ///
    /// # Errors
    /// One of them is no time of day, or both are the same.
    pub fn new(from: &str, until: &str) -> Result<Self, ScheduleError> {
        let form = |text: &str, cause: String| ScheduleError::Form { text: text.to_owned(), cause };
        let read = |text: &str| time_of_day(text.trim(), false).map_err(|cause| form(text, cause));
        let ((from_hour, from_minute), (until_hour, until_minute)) = (read(from)?, read(until)?);
        let time = |hour: u8, minute: u8| {
            Time::new(hour.cast_signed(), minute.cast_signed(), 0, 0)
                .map_err(|error| form(from, error.to_string()))
        };
        let hours = Self {
            from: time(from_hour, from_minute)?,
            until: time(until_hour, until_minute)?,
            opening: format!("{from_minute} {from_hour} * * *").parse()?,
            closing: format!("{until_minute} {until_hour} * * *").parse()?,
        };
        if hours.from == hours.until {
            return Err(form(from, "a backup window that ends when it begins is never open".to_owned()));
        }
        Ok(hours)
    }

    /// Says whether runs may begin at an instant.
    #[must_use]
    pub fn is_open(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let time = zone.to_datetime(at).time();
        if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }

    /// Returns the first instant from `at` on at which runs may begin.
    #[must_use]
    pub fn opens(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.is_open(at, zone) { Some(at) } else { self.opening.next(at, zone) }
    }

    /// Returns when they close after an instant.
    #[must_use]
    pub fn closes(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.closing.next(after, zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time_zone;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it() {
        let hours = OpenHours::new("22:00", "06:00").unwrap();
        let zone = TimeZone::UTC;
        for (moment, opens) in [
            ("2026-05-10T22:00:00Z", "2026-05-10T22:00:00Z"),
            ("2026-05-10T03:00:00Z", "2026-05-10T03:00:00Z"),
            ("2026-05-10T06:00:00Z", "2026-05-10T22:00:00Z"),
            ("2026-05-10T21:59:59Z", "2026-05-10T22:00:00Z"),
        ] {
            assert_eq!(hours.opens(at(moment), &zone), Some(at(opens)), "{moment}");
        }
        assert_eq!(hours.closes(at("2026-05-10T23:00:00Z"), &zone), Some(at("2026-05-11T06:00:00Z")));
    }

    #[test]
    fn a_window_keeps_to_the_wall_clock_when_the_clocks_change() {
        let hours = OpenHours::new("02:30", "05:00").unwrap();
        let berlin = time_zone("Europe/Berlin").unwrap();
        // 02:30 does not exist on this day: it opens at 03:00 CEST.
        assert_eq!(hours.opens(at("2026-03-28T23:00:00Z"), &berlin), Some(at("2026-03-29T01:00:00Z")));
        assert!(!hours.is_open(at("2026-03-29T00:59:59Z"), &berlin));
    }

    #[test]
    fn nonsense_is_refused() {
        for (from, until) in [("22", "06:00"), ("22:00", "25:00"), ("02:00", "02:00"), ("", "")] {
            assert!(OpenHours::new(from, until).is_err(), "{from} {until}");
        }
    }
}

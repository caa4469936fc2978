//! Numbers and moments in words that people read: sizes, durations, and how long ago something was.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Writes a number of bytes in binary units: `512 B`, `1.5 KiB`, `20.0 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // A value that would be shown as 1024 belongs to the next unit.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_235 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", (tenths + 5) / 10)
    }
}

/// Writes a length of time in its largest unit, rounded down: `0 s`, `45 s`, `3 min`, `5 h`, `12 days`.
#[must_use]
pub fn length(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Writes a moment as seen from another: `just now`, `3 h ago`, `in 20 min`.
#[must_use]
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.as_second().saturating_sub(now.as_second());
    let text = length(seconds.unsigned_abs());
    match seconds {
        -4..=0 => "just now".to_owned(),
        ..=-5 => format!("{text} ago"),
        _ => format!("in {text}"),
    }
}

/// Writes a moment in a zone, with the zone's own name for it: `2026-03-01 14:00:00 CET`.
#[must_use]
pub fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Writes a count with its noun: `1 database`, `3 databases`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{} {noun}s", grouped(u64::try_from(number).unwrap_or(u64::MAX)))
    }
}

/// Writes a number with the thousands set apart: `1,200,000`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most_and_a_binary_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_400, "100 KiB"),
            (1_048_575, "1.0 MiB"),
            (5_368_709_120, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn moments_are_told_from_where_one_stands() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (moment, text) in [
            ("2026-03-01T12:00:00Z", "just now"),
            ("2026-03-01T11:59:00Z", "1 min ago"),
            ("2026-03-01T09:00:00Z", "3 h ago"),
            ("2026-02-24T12:00:00Z", "5 days ago"),
            ("2026-03-01T12:20:00Z", "in 20 min"),
            ("2026-03-02T02:00:00Z", "in 14 h"),
        ] {
            assert_eq!(relative(moment.parse().unwrap(), now), text, "{moment}");
        }
    }

    #[test]
    fn local_time_names_its_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(local("2026-07-01T12:00:00Z".parse().unwrap(), &zone), "2026-07-01 14:00:00 CEST");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_200_000, "1,200,000")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(count(2_000, "row"), "2,000 rows");
    }
}

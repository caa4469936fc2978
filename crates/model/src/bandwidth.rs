//! How many bytes a second may pass, by the hour of the day: `08:00-18:00 20 MB/s`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const DAY_MINUTES: u16 = 24 * 60;
/// The units of a rate, in bits a second.
const UNITS: [(&str, u64); 11] = [
    ("B", 8),
    ("kB", 8_000),
    ("KB", 8_000),
    ("MB", 8_000_000),
    ("GB", 8_000_000_000),
    ("KiB", 8 << 10),
    ("MiB", 8 << 20),
    ("GiB", 8 << 30),
    ("kbit", 1_000),
    ("Mbit", 1_000_000),
    ("Gbit", 1_000_000_000),
];

/// How many bytes a second may pass at which hours; nothing is limited where nothing is said.
///
/// Written as lines, parted by line ends or semicolons. A line is hours and a rate, or a rate alone, which then holds for
/// all other hours. Hours are by the wall clock; they may go over midnight, and no two lines may claim the same minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String", into = "String")]
pub struct Bandwidth {
    hours: Vec<Hours>,
    otherwise: Option<Rate>,
}

/// From one minute of the day until, and not including, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    from: u16,
    until: u16,
    rate: Rate,
}

/// Bytes a second; `None` is without limit.
type Rate = Option<u64>;

/// A line that limits nothing that could be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{line}' is no bandwidth limit: {cause}; write for example 08:00-18:00 20 MB/s, or 22:00-06:00 unlimited, or 50 MB/s for the rest of the day"
)]
pub struct BandwidthError {
    /// The line as it was given.
    pub line: String,
    /// What is wrong with it.
    pub cause: String,
}

impl Bandwidth {
    /// Returns how many bytes a second may pass at an instant in a zone; `None` where nothing is limited.
    #[must_use]
    pub fn rate_at(&self, at: Timestamp, zone: &TimeZone) -> Option<u64> {
        let time = zone.to_datetime(at).time();
        let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        let line = self.hours.iter().find(|hours| hours.contains(minute));
        line.map_or(self.otherwise.flatten(), |hours| hours.rate)
    }

    /// Says whether anything is limited at any hour.
    #[must_use]
    pub fn limits_anything(&self) -> bool {
        self.otherwise.flatten().is_some() || self.hours.iter().any(|hours| hours.rate.is_some())
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        if !line.contains(char::is_alphabetic) {
            return Err("it has no rate".to_owned());
        }
        let (hours, rate) = part(line);
        let rate = rate_of(rate)?;
        let Some(hours) = hours else {
            if self.otherwise.replace(rate).is_some() {
                return Err("another line says already what holds for the rest of the day".to_owned());
            }
            return Ok(());
        };
        let (from, until) = hours_of(hours)?;
        let new = Hours { from, until, rate };
        if let Some(other) = self.hours.iter().find(|other| other.overlaps(&new)) {
            return Err(format!("another line, '{other}', claims a part of the same hours"));
        }
        self.hours.push(new);
        Ok(())
    }
}

impl Hours {
    const fn contains(&self, minute: u16) -> bool {
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }

    const fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.from) || other.contains(self.from)
    }
}

/// Parts a line into hours, if it has any, and rate.
fn part(line: &str) -> (Option<&str>, &str) {
    // Only hours have a colon; after the last one come two digits, then the rate.
    match line.rfind(':') {
        Some(colon) => {
            let digits = line[colon + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let (hours, rate) = line.split_at(colon + 1 + digits);
            (Some(hours), rate)
        }
        None => (None, line),
    }
}

fn hours_of(text: &str) -> Result<(u16, u16), String> {
    let (from, until) =
        text.split_once(['-', '–']).ok_or_else(|| format!("'{}' is no span of hours", text.trim()))?;
    let (from, until) = (minute_of(from)?, minute_of(until)?);
    if from == until || from == DAY_MINUTES || (from == 0 && until == DAY_MINUTES) {
        return Err("for the whole day leave the hours out".to_owned());
    }
    Ok((from, until))
}

fn minute_of(text: &str) -> Result<u16, String> {
    let text = text.trim();
    let number = |digits: &str| {
        let right = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        right.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let minute = text.split_once(':').and_then(|(hour, minute)| {
        let minute = number(minute).filter(|value| *value < 60 && minute.len() == 2)?;
        Some(number(hour)? * 60 + minute).filter(|minute| *minute <= DAY_MINUTES)
    });
    minute.ok_or_else(|| format!("'{text}' is no time of day"))
}

fn rate_of(text: &str) -> Result<Rate, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim();
    let name = unit.strip_suffix("/s").ok_or_else(|| format!("'{text}' names no unit such as MB/s"))?.trim();
    let Some((_, bits)) = UNITS.iter().find(|(known, _)| *known == name) else {
        let ambiguous = UNITS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let cause = if ambiguous {
            format!("'{unit}' may mean bytes or bits; write MB/s for bytes, Mbit/s for bits")
        } else {
            format!(
                "'{unit}' is no unit; there are B, kB, MB, GB, KiB, MiB, GiB, kbit, Mbit and Gbit a second"
            )
        };
        return Err(cause);
    };
    let bytes = thousandths(number).and_then(|number| number.checked_mul(*bits)).map(|bits| bits / 8_000);
    match bytes {
        None => Err(format!("'{number}' is no number, or too large a one")),
        Some(0) => Err("less than one byte a second would never end".to_owned()),
        some => Ok(some),
    }
}

/// Reads a number with at most three digits after the point, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 3 || whole.is_empty() {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction)
}

impl FromStr for Bandwidth {
    type Err = BandwidthError;

    fn from_str(text: &str) -> Result<Self, BandwidthError> {
        let mut bandwidth = Self::default();
        for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
            bandwidth.add(line).map_err(|cause| BandwidthError { line: line.to_owned(), cause })?;
        }
        Ok(bandwidth)
    }
}

impl TryFrom<String> for Bandwidth {
    type Error = BandwidthError;

    fn try_from(text: String) -> Result<Self, BandwidthError> {
        text.parse()
    }
}

impl From<Bandwidth> for String {
    fn from(bandwidth: Bandwidth) -> Self {
        bandwidth.to_string()
    }
}

/// Writes what [`Bandwidth::from_str`] reads.
impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.hours.iter().map(Hours::to_string).collect();
        lines.extend(self.otherwise.map(rate_text));
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, rate } = *self;
        let rate = rate_text(rate);
        write!(f, "{:02}:{:02}-{:02}:{:02} {rate}", from / 60, from % 60, until / 60, until % 60)
    }
}

fn rate_text(rate: Rate) -> String {
    let Some(bytes) = rate else { return "unlimited".to_owned() };
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.iter().find(|(_, size)| bytes % size == 0) {
        Some((unit, size)) => format!("{} {unit}/s", bytes / size),
        None => format!("{bytes} B/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICE: &str = "08:00-18:00 20 MB/s\n22:00-06:00 unlimited\n50 MB/s";

    fn rates(text: &str, zone: &str, moments: &[(&str, Option<u64>)]) {
        let bandwidth: Bandwidth = text.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        for (moment, rate) in moments {
            assert_eq!(bandwidth.rate_at(moment.parse().unwrap(), &zone), *rate, "{moment}");
        }
    }

    #[test]
    fn each_hour_has_its_rate_and_the_others_the_rest() {
        rates(
            OFFICE,
            "UTC",
            &[
                ("2026-05-10T07:59:59Z", Some(50_000_000)),
                ("2026-05-10T08:00:00Z", Some(20_000_000)),
                ("2026-05-10T17:59:59Z", Some(20_000_000)),
                ("2026-05-10T18:00:00Z", Some(50_000_000)),
                ("2026-05-10T22:00:00Z", None),
                ("2026-05-11T05:59:59Z", None),
                ("2026-05-11T06:00:00Z", Some(50_000_000)),
            ],
        );
        rates("08:00-18:00 20 MB/s", "UTC", &[("2026-05-10T19:00:00Z", None)]);
        rates(
            "18:00-24:00 1 kB/s",
            "UTC",
            &[("2026-05-10T23:59:59Z", Some(1000)), ("2026-05-11T00:00:00Z", None)],
        );
    }

    #[test]
    fn hours_are_those_of_the_wall_clock_through_the_year() {
        rates(
            OFFICE,
            "Europe/Berlin",
            &[
                ("2026-01-10T07:00:00Z", Some(20_000_000)),
                ("2026-07-10T06:00:00Z", Some(20_000_000)),
                ("2026-07-10T05:59:00Z", Some(50_000_000)),
            ],
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (given, written) in [
            (OFFICE, OFFICE),
            ("8:00 - 18:30 1.5MB/s; 100 Mbit/s", "08:00-18:30 1500 kB/s\n12500 kB/s"),
            ("  1 MiB/s  \n\n", "1048576 B/s"),
            ("22:00–06:00 Unlimited", "22:00-06:00 unlimited"),
            ("", ""),
        ] {
            let bandwidth: Bandwidth = given.parse().unwrap();
            assert_eq!(bandwidth.to_string(), written);
            assert_eq!(bandwidth.to_string().parse::<Bandwidth>().unwrap(), bandwidth);
            let json = serde_json::to_string(&bandwidth).unwrap();
            assert_eq!(serde_json::from_str::<Bandwidth>(&json).unwrap(), bandwidth);
        }
    }

    #[test]
    fn only_a_rate_limits() {
        for (text, limits) in
            [("", false), ("unlimited", false), ("22:00-06:00 unlimited", false), (OFFICE, true)]
        {
            assert_eq!(text.parse::<Bandwidth>().unwrap().limits_anything(), limits, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_line_and_the_reason() {
        for (text, cause) in [
            ("08:00-18:00", "it has no rate"),
            ("20", "it has no rate"),
            ("08:00-18:00 20", "it has no rate"),
            ("08:00-18:00 20 MB", "names no unit"),
            ("20 Mb/s", "may mean bytes or bits"),
            ("20 mb/s", "may mean bytes or bits"),
            ("20 apples/s", "is no unit"),
            ("0 MB/s", "would never end"),
            ("0.0001 B/s", "is no number"),
            ("1.2.3 MB/s", "is no number"),
            ("-5 MB/s", "is no unit"),
            ("99999999999999 GB/s", "too large"),
            ("25:00-06:00 1 MB/s", "'25:00' is no time of day"),
            ("08:61-09:00 1 MB/s", "'08:61' is no time of day"),
            ("08:00 1 MB/s", "is no span of hours"),
            ("8-18 1 MB/s", "is no unit"),
            ("00:00-24:00 1 MB/s", "leave the hours out"),
            ("08:00-08:00 1 MB/s", "leave the hours out"),
            ("1 MB/s; 2 MB/s", "another line says already"),
            ("08:00-18:00 1 MB/s; 17:59-19:00 2 MB/s", "'08:00-18:00 1 MB/s', claims a part"),
            ("22:00-06:00 1 MB/s\n05:00-07:00 2 MB/s", "claims a part"),
        ] {
            let error = text.parse::<Bandwidth>().unwrap_err().to_string();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }
}

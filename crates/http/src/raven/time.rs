//! Moments as RavenDB's clients read them: UTC, with seven digits behind the seconds.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A moment in UTC: `2026-11-21T02:18:39.6196008Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) Timestamp);

/// A wall-clock time without a zone, for the few places where RavenDB leaves out the `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WallStamp(pub(crate) DateTime);

impl WallStamp {
    /// Returns the moment as a clock in UTC shows it.
    pub(crate) fn utc(moment: Timestamp) -> Self {
        Self(TimeZone::UTC.to_datetime(moment))
    }
}

fn write(f: &mut fmt::Formatter<'_>, wall: DateTime) -> fmt::Result {
    write!(
        f,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}",
        wall.year(),
        wall.month(),
        wall.day(),
        wall.hour(),
        wall.minute(),
        wall.second(),
        wall.subsec_nanosecond() / 100
    )
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, TimeZone::UTC.to_datetime(self.0))?;
        f.write_str("Z")
    }
}

impl fmt::Display for WallStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0)
    }
}

impl From<Timestamp> for Stamp {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for WallStamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Stamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Stamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl JsonSchema for WallStamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WallStamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A date and time without a zone." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_seven_digits_behind_the_seconds() {
        for (given, written) in [
            ("2026-11-21T02:18:39.619600812Z", "2026-11-21T02:18:39.6196008Z"),
            ("2026-11-21T02:30:00Z", "2026-11-21T02:30:00.0000000Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5000000Z"),
        ] {
            let moment: Timestamp = given.parse().unwrap();
            assert_eq!(Stamp(moment).to_string(), written);
            assert_eq!(WallStamp::utc(moment).to_string(), written.trim_end_matches('Z'));
        }
    }
}

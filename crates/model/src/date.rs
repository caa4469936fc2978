//! Moments as RavenDB's clients read them.

use jiff::Timestamp;

/// Writes a moment with seven fractional digits, as .NET does: `2026-11-21T02:18:39.6196008Z`.
#[must_use]
pub fn text(time: Timestamp) -> String {
    let hundreds = time.subsec_nanosecond().rem_euclid(1_000_000_000) / 100;
    // A year has four digits in every moment a backup can be of.
    format!("{}.{hundreds:07}Z", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// For a field that may hold a moment.
pub mod optional {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the moment, or `null`.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&super::text(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a moment, with any number of fractional digits.
    ///
    /// # Errors
    /// The text is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_seven_fractional_digits() {
        for (given, written) in [
            ("2026-11-21T02:18:39.6196008Z", "2026-11-21T02:18:39.6196008Z"),
            ("2026-11-21T02:18:39Z", "2026-11-21T02:18:39.0000000Z"),
            ("2026-11-21T02:18:39.619600899Z", "2026-11-21T02:18:39.6196008Z"),
        ] {
            assert_eq!(text(given.parse().unwrap()), written);
        }
    }
}

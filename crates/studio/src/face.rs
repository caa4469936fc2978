//! Moments as pages show them: in words, with the exact one for those who point at them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_model::human;

/// Says moments from where the reader stands.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
}

/// A moment in words, with the exact one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) words: String,
    pub(crate) exact: String,
    pub(crate) iso: String,
}

impl Face {
    pub(crate) fn moment(&self, moment: Timestamp) -> Moment {
        Moment {
            words: human::relative(moment, self.now),
            exact: human::local(moment, &self.zone),
            iso: moment.to_string(),
        }
    }

    /// Writes a moment as day and minute, for tables that are read down.
    pub(crate) fn short(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.zone.clone()).strftime("%a %d %b %H:%M").to_string()
    }

    pub(crate) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

//! Time zones by name.

use crate::error::ScheduleError;
use jiff::tz::TimeZone;

/// Returns the zone of an IANA name, from the host's database or the one built in.
///
/// # Errors
/// The name is not known.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| ScheduleError::Zone { name: name.to_owned() })
}

//! Schedules: when something is due, as pure arithmetic on a given instant and zone.
//!
//! Nothing here looks at a clock. An expression is matched against wall-clock times, and each wall-clock time
//! stands for one instant: where the clocks skip it, the first instant after the gap; where it comes twice, the
//! first of the two.

mod cron;
mod cron_words;
mod entry;
mod error;
mod hours;
mod level;
mod memo;
mod schedule;
mod span;
mod when;
mod zone;

pub use cron::Cron;
pub use entry::{Changes, Entry};
pub use error::ScheduleError;
pub use hours::OpenHours;
pub use level::{calmest, spread};
pub use schedule::{Attempts, Run, Schedule};
pub use when::When;
pub use zone::time_zone;

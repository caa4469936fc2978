//! The machine's clock.

use jiff::Timestamp;
use larder_model::Clock;

/// Tells the time of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

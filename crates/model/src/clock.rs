//! Where time comes from.

use jiff::Timestamp;

/// Tells the present moment; the only source of time for every library of Larder.
///
/// The binary hands in the machine's clock, tests hand in one that they move themselves.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

//! Numbers that look random, from a seed that the caller hands in.

use std::sync::atomic::{AtomicU64, Ordering};

/// The step of Steele and others' SplitMix64 generator.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Returns a number that looks unrelated to the one given (the output function of SplitMix64).
pub(crate) const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(STEP);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// A sequence of numbers that many tasks may draw from; not for secrets.
#[derive(Debug)]
pub(crate) struct Sequence {
    state: AtomicU64,
}

impl Sequence {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// Returns a number from 0 up to and including `limit`.
    pub(crate) fn up_to(&self, limit: u64) -> u64 {
        let number = mixed(self.state.fetch_add(STEP, Ordering::Relaxed));
        limit.checked_add(1).map_or(number, |beyond| number % beyond)
    }
}

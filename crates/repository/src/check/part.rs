//! Reading a part of the packs at a time, so that several checks together read all.

use crate::id::Id;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// One of several parts that all packs are divided into by their names.
///
/// A pack is always in the same part of so many, whatever other packs there are: checks of part 1 to n read every pack that
/// was there all the time exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPart {
    number: u32,
    of: NonZeroU32,
}

impl CheckPart {
    /// Makes part `number` of `of`, counted from 1; `None` where there is no such part.
    #[must_use]
    pub const fn new(number: u32, of: u32) -> Option<Self> {
        match NonZeroU32::new(of) {
            Some(count) if number >= 1 && number <= of => Some(Self { number, of: count }),
            _ => None,
        }
    }

    /// Returns the part whose turn it is in a rotation: `turn` may count days, runs or anything else.
    #[must_use]
    pub const fn in_turn(turn: u64, of: NonZeroU32) -> Self {
        // A remainder of a 32-bit number has no more than 32 bits.
        Self { number: (turn % of.get() as u64) as u32 + 1, of }
    }

    /// Returns which part it is, counted from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Returns how many parts there are.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of.get()
    }

    /// Says whether a pack is in this part.
    #[must_use]
    pub const fn contains(self, pack: &Id) -> bool {
        pack.prefix() % self.of.get() as u64 == self.number as u64 - 1
    }
}

/// A text that names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' names no part; write for example 3/30: the third of thirty parts")]
pub struct InvalidPart {
    /// The text.
    pub text: String,
}

impl fmt::Display for CheckPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for CheckPart {
    type Err = InvalidPart;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let part = numbers.and_then(|(number, of)| Self::new(number, of));
        part.ok_or_else(|| InvalidPart { text: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_is_in_exactly_one_part() {
        for of in [1, 2, 3, 7, 30, 365, 1000] {
            for pack in 0..200u32 {
                let id = Id::of(&pack.to_le_bytes());
                let parts = (1..=of).filter_map(|number| CheckPart::new(number, of));
                assert_eq!(parts.filter(|part| part.contains(&id)).count(), 1, "{pack} of {of}");
            }
        }
    }

    #[test]
    fn there_is_no_part_beyond_the_last() {
        assert!(CheckPart::new(0, 5).is_none() && CheckPart::new(6, 5).is_none());
        assert!(CheckPart::new(1, 0).is_none());
        assert_eq!("3/30".parse(), Ok(CheckPart::new(3, 30).unwrap()));
        for text in ["", "3", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/2/3"] {
            assert!(text.parse::<CheckPart>().is_err(), "{text}");
        }
        let of = NonZeroU32::new(7).unwrap();
        let turns: Vec<u32> = (20..30).map(|turn| CheckPart::in_turn(turn, of).number()).collect();
        assert_eq!(turns, [7, 1, 2, 3, 4, 5, 6, 7, 1, 2]);
    }
}

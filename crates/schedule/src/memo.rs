//! Remembers the last answers of an expression, so that a thousand tasks on one schedule cost one search.

use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};

/// How many answers are remembered.
const KEPT: usize = 8;

/// From any instant in `[after, next)` the next moment is `next`.
#[derive(Clone, Copy, Debug)]
struct Gap {
    after: Timestamp,
    next: Timestamp,
}

/// The last answers, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    gaps: Mutex<Vec<Gap>>,
}

impl Memo {
    /// Returns the first moment after an instant, searched with `search` where it is not remembered.
    pub(crate) fn next(
        &self,
        after: Timestamp,
        search: impl FnOnce(Timestamp) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gap) = gaps.iter().rev().find(|gap| gap.after <= after && after < gap.next) {
            return Some(gap.next);
        }
        let next = search(after)?;
        match gaps.iter_mut().find(|gap| gap.next == next) {
            Some(gap) => gap.after = gap.after.min(after),
            None => {
                if gaps.len() == KEPT {
                    gaps.remove(0);
                }
                gaps.push(Gap { after, next });
            }
        }
        Some(next)
    }
}

//! What a policy keeps, and by which rule: a pure decision over a complete list.

mod judge;
mod policy;

pub use judge::{Candidate, Judgement, Keep, judge, removable};
pub use policy::{Calendar, Limit, Policy};

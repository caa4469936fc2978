//! Forms that are drawn from tables: what can be said of a destination, of a source.

pub(crate) mod destination;
pub(crate) mod field;
pub(crate) mod source;

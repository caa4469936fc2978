//! What the server remembers: a small key-value store with revisions, transactions and watches.

mod error;
mod redb;
mod state;

pub use error::StateError;
pub use redb::RedbState;
pub use state::{Commit, Condition, State, Transaction, Versioned, Write};

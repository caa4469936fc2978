//! The trait that every kind of state implements.

use crate::error::StateError;
use async_trait::async_trait;
use tokio::sync::watch;

/// A value and the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes.
    pub value: Vec<u8>,
    /// The revision of the transaction that last wrote this key.
    pub revision: u64,
}

/// What must hold for a transaction to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The key has no value.
    Absent(String),
    /// The key was last written by this revision.
    AtRevision(String, u64),
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put(String, Vec<u8>),
    /// Removes a key; one that is not there is no error.
    Delete(String),
}

/// Writes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// Then all of these happen.
    pub writes: Vec<Write>,
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It was carried out, durably, as this revision.
    Done(u64),
    /// A condition did not hold; nothing was written.
    Conflict,
}

/// A small store of values under keys such as `task/Nightly`, with one revision counter over all of them.
#[async_trait]
pub trait State: Send + Sync + std::fmt::Debug {
    /// Returns the revision of the last transaction; 0 in a new state.
    async fn revision(&self) -> Result<u64, StateError>;

    /// Reads one key.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError>;

    /// Reads every key that begins with `prefix`, in the order of keys.
    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StateError>;

    /// Carries out a transaction; when it returns [`Commit::Done`] the writes survive a power cut.
    async fn commit(&self, transaction: Transaction) -> Result<Commit, StateError>;

    /// Returns a channel that holds the latest revision and wakes whoever waits when it grows.
    fn watch(&self) -> watch::Receiver<u64>;
}

//! How a long piece of work is stopped and how far it says it has come.

use crate::task::DestinationKind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Stops a piece of work from outside; clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
}

/// The work was stopped because somebody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation was aborted")]
pub struct Canceled;

impl Cancel {
    /// Makes a flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop; it cannot be taken back.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Release);
    }

    /// Says whether the work was asked to stop.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Returns an error once the work was asked to stop, so that `?` ends a loop.
    ///
    /// # Errors
    /// [`Canceled`] after [`Cancel::cancel`] was called on any clone.
    pub fn check(&self) -> Result<(), Canceled> {
        if self.is_canceled() { Err(Canceled) } else { Ok(()) }
    }
}

/// How far an operation has come at one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationCount {
    /// The destination's name.
    pub name: String,
    /// What it is.
    pub kind: Option<DestinationKind>,
    /// Bytes added there.
    pub bytes: u64,
}

/// How far an operation has come; written by worker threads, read by whoever shows it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of the source looked at so far, read or recognised as unchanged.
    pub bytes_done: AtomicU64,
    /// Bytes of the source in all, as far as known; 0 while unknown.
    pub bytes_total: AtomicU64,
    /// Bytes really read from the source.
    pub bytes_read: AtomicU64,
    /// Bytes added to the first destination, compressed and encrypted.
    pub bytes_stored: AtomicU64,
    /// Files, pages or rows finished so far.
    pub items_done: AtomicU64,
    /// Items in all, as far as known; 0 while unknown.
    pub items_total: AtomicU64,
    current: Mutex<String>,
    destinations: Mutex<Vec<DestinationCount>>,
}

impl Counters {
    /// Names what is being worked on now.
    pub fn set_current(&self, name: &str) {
        if let Ok(mut current) = self.current.lock() {
            current.clear();
            current.push_str(name);
        }
    }

    /// Returns what is being worked on now; empty before anything is.
    #[must_use]
    pub fn current(&self) -> String {
        self.current.lock().map(|c| c.clone()).unwrap_or_default()
    }

    /// Names the destinations, in the order in which [`Counters::add_stored`] numbers them.
    pub fn set_destinations(&self, named: impl IntoIterator<Item = (String, Option<DestinationKind>)>) {
        if let Ok(mut destinations) = self.destinations.lock() {
            let new = |(name, kind)| DestinationCount { name, kind, bytes: 0 };
            *destinations = named.into_iter().map(new).collect();
        }
    }

    /// Counts bytes that were added to a destination; those of the first also as [`Counters::bytes_stored`].
    pub fn add_stored(&self, number: usize, bytes: u64) {
        if number == 0 {
            Self::add(&self.bytes_stored, bytes);
        }
        if let Ok(mut destinations) = self.destinations.lock()
            && let Some(destination) = destinations.get_mut(number)
        {
            destination.bytes += bytes;
        }
    }

    /// Returns how far it has come at each destination.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationCount> {
        self.destinations.lock().map(|all| all.clone()).unwrap_or_default()
    }

    /// Adds to one of the counters.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

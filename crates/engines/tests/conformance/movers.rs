//! Something that writes while backups are made.

use larder_testbed::wait_until;
use std::process::Child;
use std::time::Duration;

/// So many more movements are enough for a backup meanwhile to have met some.
const ENOUGH: u64 = 50;

/// Something that writes to a database all the time; it stops when dropped.
pub(crate) trait Load {
    /// Waits until it has written so much more that a backup meanwhile must have met it.
    fn await_progress(&self);
}

/// A client that moves money between accounts all the time; the sum stays.
pub(crate) struct Movers<'a> {
    moved: Box<dyn Fn() -> u64 + 'a>,
    child: Child,
}

impl<'a> Movers<'a> {
    /// Takes the client that moves, and what counts how often it has.
    pub(crate) fn new(child: Child, moved: impl Fn() -> u64 + 'a) -> Self {
        Self { moved: Box::new(moved), child }
    }
}

impl Load for Movers<'_> {
    fn await_progress(&self) {
        let wanted = (self.moved)() + ENOUGH;
        wait_until("the load", Duration::from_secs(60), || ((self.moved)() >= wanted).then_some(()));
    }
}

impl Drop for Movers<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Patience with a destination: calls are repeated, spread out, slowed down, and not made where nobody answers.

mod attempt;
mod breaker;
mod flow;
mod settings;
mod storage;
mod traffic;

pub use breaker::Standing;
pub use settings::{AttemptLimits, BreakerSettings, CallKind, CallLimits, PatienceSettings};
pub use storage::Patient;
pub use traffic::Traffic;

use crate::pacer::Pacer;
use crate::random::Sequence;
use crate::storage::Storage;
use breaker::Breaker;
use flow::Flow;
use larder_model::Clock;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use traffic::Tally;

/// What is remembered of one destination, and shared by everybody who uses it at the same time.
#[derive(Debug)]
pub struct Patience {
    settings: PatienceSettings,
    clock: Arc<dyn Clock>,
    breaker: Breaker,
    flow: Flow,
    upload: Arc<Pacer>,
    download: Arc<Pacer>,
    /// Until when the destination asked to be left alone.
    quiet_until: Mutex<Option<Instant>>,
    jitter: Sequence,
    tally: Tally,
}

impl Patience {
    /// Begins with a destination of which nothing is known; `seed` is a random number, so that many installations do not
    /// come back all at the same moment.
    #[must_use]
    pub fn new(settings: PatienceSettings, clock: Arc<dyn Clock>, seed: u64) -> Arc<Self> {
        let pacer = |bandwidth: &larder_model::Bandwidth| {
            Arc::new(Pacer::new(bandwidth.clone(), settings.zone.clone(), Arc::clone(&clock)))
        };
        Arc::new(Self {
            breaker: Breaker::new(settings.breaker),
            flow: Flow::new(settings.calls),
            upload: pacer(&settings.upload),
            download: pacer(&settings.download),
            quiet_until: Mutex::default(),
            jitter: Sequence::new(seed),
            tally: Tally::default(),
            clock,
            settings,
        })
    }

    /// Wraps a connection to the destination; several connections may share one patience.
    #[must_use]
    pub fn around(self: &Arc<Self>, inner: Arc<dyn Storage>) -> Patient {
        Patient::new(Arc::clone(self), inner)
    }

    /// Returns what went on until now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.tally.traffic()
    }

    /// Says whether the destination is asked at present.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.breaker.standing(self.clock.now())
    }

    /// Returns how many attempts in a row were not answered until now, and why the last one was not; 0 where the last one was.
    #[must_use]
    pub fn unanswered(&self) -> (u32, String) {
        self.breaker.unanswered()
    }

    /// Returns how many calls may go on at once at present.
    #[must_use]
    pub fn calls_at_once(&self) -> usize {
        self.flow.limit()
    }
}

//! How patient Larder is with a destination.

use jiff::tz::TimeZone;
use larder_model::Bandwidth;
use std::time::Duration;

/// What a call to a destination is for; each kind has its own limit of attempts and its own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Reading an object or a part of one.
    Read,
    /// Writing an object, or asking for one in a cold class.
    Write,
    /// Listing a folder.
    List,
    /// Removing an object.
    Delete,
    /// Asking what is known of an object or of the destination.
    LookUp,
}

impl CallKind {
    /// Every kind, in the order in which [`super::Traffic::calls`] counts them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::List, Self::Delete, Self::LookUp];

    /// Names the kind as messages do: `read`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
            Self::LookUp => "look up",
        }
    }
}

/// How often a call is attempted at most, by its kind; 1 means that nothing is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// For reading objects.
    pub reads: u32,
    /// For writing them.
    pub writes: u32,
    /// For listings, which are long and dear.
    pub lists: u32,
    /// For removals, which the next run can do as well.
    pub deletes: u32,
    /// For questions.
    pub lookups: u32,
}

impl AttemptLimits {
    pub(super) const fn of(&self, kind: CallKind) -> u32 {
        match kind {
            CallKind::Read => self.reads,
            CallKind::Write => self.writes,
            CallKind::List => self.lists,
            CallKind::Delete => self.deletes,
            CallKind::LookUp => self.lookups,
        }
    }
}

/// When a destination that does not answer is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures in a row,
    pub failures: u32,
    /// within this time, and the destination is left alone
    pub within: Duration,
    /// for this time; then one call may try. Each trial that fails doubles it,
    pub rest: Duration,
    /// up to this.
    pub longest_rest: Duration,
}

/// How many calls go on at one destination at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Never fewer, however much the destination asks for less.
    pub least: usize,
    /// So many at first.
    pub first: usize,
    /// Never more.
    pub most: usize,
}

/// Everything about patience with one destination.
#[derive(Clone, Debug)]
pub struct PatienceSettings {
    /// How often each kind of call is attempted.
    pub attempts: AttemptLimits,
    /// The longest pause before the first repetition; each further one may be twice as long,
    pub first_pause: Duration,
    /// up to this. The pause itself is drawn at random between nothing and that.
    pub longest_pause: Duration,
    /// How long a call may take with all its attempts and pauses before no further one begins; waiting for its turn and for
    /// bandwidth does not count.
    pub patience: Duration,
    /// After so long without an end an attempt is given up, that nothing hangs for ever. Destinations have their own, shorter
    /// limits for transfers that do not move.
    pub no_answer: Duration,
    /// For an object that is sent or asked for by the range, the time it takes at this pace is added to that.
    pub slowest_bytes_per_second: u64,
    /// When the destination is left alone.
    pub breaker: BreakerSettings,
    /// How many calls go on at once.
    pub calls: CallLimits,
    /// How much may be sent at which hours.
    pub upload: Bandwidth,
    /// How much may be fetched at which hours.
    pub download: Bandwidth,
    /// The zone of those hours, and of moments in messages.
    pub zone: TimeZone,
}

impl PatienceSettings {
    /// Returns what suits a directory: one that is gone needs a person, who should soon be told, and a disk does not ask for
    /// fewer calls.
    #[must_use]
    pub fn for_directory() -> Self {
        Self {
            attempts: AttemptLimits { reads: 3, writes: 3, lists: 3, deletes: 3, lookups: 3 },
            longest_pause: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            breaker: BreakerSettings { rest: Duration::from_secs(10), ..Self::default().breaker },
            calls: CallLimits { least: 32, first: 32, most: 32 },
            ..Self::default()
        }
    }
}

impl Default for PatienceSettings {
    fn default() -> Self {
        Self {
            attempts: AttemptLimits { reads: 12, writes: 12, lists: 8, deletes: 6, lookups: 8 },
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            patience: Duration::from_secs(1200),
            no_answer: Duration::from_secs(900),
            slowest_bytes_per_second: 16 << 10,
            breaker: BreakerSettings {
                failures: 20,
                within: Duration::from_secs(300),
                rest: Duration::from_secs(30),
                longest_rest: Duration::from_secs(600),
            },
            calls: CallLimits { least: 1, first: 4, most: 32 },
            upload: Bandwidth::default(),
            download: Bandwidth::default(),
            zone: TimeZone::UTC,
        }
    }
}

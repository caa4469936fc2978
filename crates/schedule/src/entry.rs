//! One way in which a task becomes due.

use crate::memo::Memo;
use crate::when::When;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use larder_model::BackupKind;
use larder_model::task::Periodicity;
use std::sync::Arc;

/// One way in which a task becomes due, in a zone, with the kind of backup it asks for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub when: When,
    /// What.
    pub kind: BackupKind,
    /// What the backups it leads to are kept as.
    pub periodicity: Option<Periodicity>,
    /// The zone its moments are meant in.
    pub zone: TimeZone,
    memo: Arc<Memo>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.when == other.when
            && self.kind == other.kind
            && self.periodicity == other.periodicity
            && self.zone == other.zone
    }
}

impl Eq for Entry {}

/// When something changed that no run has seen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The first change.
    pub first: Timestamp,
    /// The last change.
    pub last: Timestamp,
}

/// From when until when a run may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
}

impl Span {
    const fn at(moment: Timestamp) -> Self {
        Self { earliest: moment, latest: moment }
    }
}

impl Entry {
    /// Makes an entry; where no periodicity is given, it is the one that the form itself names.
    #[must_use]
    pub fn new(when: When, kind: BackupKind, periodicity: Option<Periodicity>, zone: TimeZone) -> Self {
        let periodicity = periodicity.or_else(|| when.periodicity());
        Self { when, kind, periodicity, zone, memo: Arc::default() }
    }

    /// Returns when a run may begin after `last`, the run before it; without one, after `since`.
    pub(crate) fn after(
        &self,
        last: Option<Timestamp>,
        since: Timestamp,
        changes: Option<Changes>,
    ) -> Option<Span> {
        let base = last.map_or(since, |last| last.max(since));
        match &self.when {
            When::Cron(cron) | When::Calendar { cron, .. } => {
                self.memo.next(base, |after| cron.next(after, &self.zone)).map(Span::at)
            }
            When::Window { least, most } => {
                let least =
                    if last.is_some_and(|last| last >= since) { *least } else { SignedDuration::ZERO };
                Some(Span { earliest: later(base, least)?, latest: later(base, *most)? })
            }
            When::AfterChanges { quiet, at_most_every } => {
                let Changes { first, last: latest } = changes?;
                let calm = later(latest, *quiet)?;
                let put_off = later(first, (*at_most_every).max(*quiet))?;
                let apart = last.map_or(Some(first), |last| later(last, *at_most_every))?;
                Some(Span::at(calm.min(put_off).max(apart)))
            }
            When::Shutdown | When::Manual => None,
        }
    }
}

fn later(moment: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    moment.checked_add(by).ok()
}

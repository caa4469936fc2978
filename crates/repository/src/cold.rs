//! Packs in a cold class: all that are needed are asked for at once, and waited for.

use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::sources::Sources;
use larder_storage::Availability;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked whether packs can be read, where nobody says otherwise.
const POLL: Duration = Duration::from_secs(60);

/// What is known of packs that were in a cold class, by destination and name.
#[derive(Debug, Default)]
pub(crate) struct Thaw {
    known: Mutex<HashMap<(usize, Id), Availability>>,
    /// In milliseconds; 0 for the usual.
    poll: AtomicU64,
}

impl Thaw {
    pub(crate) fn poll_every(&self, interval: Duration) {
        self.poll.store(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn interval(&self) -> Duration {
        match self.poll.load(Ordering::Relaxed) {
            0 => POLL,
            milliseconds => Duration::from_millis(milliseconds),
        }
    }

    fn known(&self, pack: (usize, Id)) -> Option<Availability> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&pack).copied()
    }

    fn learn(&self, pack: (usize, Id), state: Availability) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(pack, state);
    }
}

impl Sources {
    /// Says whether a destination has a cold class.
    pub(crate) fn is_cold(&self, number: usize) -> bool {
        self.repository(number).is_some_and(|repository| repository.storage().capabilities().cold)
    }

    /// Says whether any destination has a cold class.
    pub(crate) fn any_cold(&self) -> bool {
        (0..self.count()).any(|number| self.is_cold(number))
    }

    /// Asks for every pack that data blobs lie in and that cannot be read now, all of a destination with one call.
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub(crate) fn request(&self, packs: &HashSet<(usize, Id)>) -> Result<(), RepositoryError> {
        let mut wanted: HashMap<usize, Vec<Id>> = HashMap::new();
        for (number, pack) in packs.iter().filter(|(number, _)| self.is_cold(*number)) {
            if self.look((*number, *pack))? == Availability::Cold {
                wanted.entry(*number).or_default().push(*pack);
            }
        }
        for (number, mut packs) in wanted {
            packs.sort_unstable();
            if let Some(repository) = self.repository(number) {
                repository.request(ObjectKind::Pack, &packs, self.cancel())?;
            }
            packs.iter().for_each(|pack| self.thaw().learn((number, *pack), Availability::Thawing));
        }
        Ok(())
    }

    /// Adds the packs to a set in which the blobs of a file lie, as far as they may be cold.
    pub(crate) fn cold_packs(&self, content: &[Id], packs: &mut HashSet<(usize, Id)>) {
        let places = content.iter().filter_map(|id| self.locate(BlobKind::Data, id));
        packs.extend(
            places.filter(|(number, _)| self.is_cold(*number)).map(|(number, place)| (number, place.pack)),
        );
    }

    /// Says whether a pack can be read, as far as that is known; looks at the destination once and whenever `again`.
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub(crate) fn is_ready(&self, number: usize, pack: &Id, again: bool) -> Result<bool, RepositoryError> {
        if !self.is_cold(number) {
            return Ok(true);
        }
        let state = match self.thaw().known((number, *pack)) {
            Some(state) if !again || state == Availability::Ready => state,
            _ => self.look((number, *pack))?,
        };
        Ok(state == Availability::Ready)
    }

    /// Waits as long as it is usual between two looks.
    ///
    /// # Errors
    /// [`RepositoryError::Canceled`].
    pub(crate) fn pause(&self) -> Result<(), RepositoryError> {
        let none = || RepositoryError::Internal { what: "there is no destination".to_owned() };
        self.repository(0).ok_or_else(none)?.pause(self.thaw().interval(), self.cancel())
    }

    /// Asks for a pack that turned out to be cold, and waits until it can be read.
    ///
    /// # Errors
    /// The destination's; [`RepositoryError::Canceled`].
    pub(crate) fn await_pack(&self, number: usize, pack: &Id) -> Result<(), RepositoryError> {
        self.thaw().learn((number, *pack), Availability::Cold);
        self.request(&HashSet::from([(number, *pack)]))?;
        while !self.is_ready(number, pack, true)? {
            self.pause()?;
        }
        Ok(())
    }

    fn look(&self, (number, pack): (usize, Id)) -> Result<Availability, RepositoryError> {
        let none = || RepositoryError::Internal { what: format!("there is no destination {number}") };
        let repository = self.repository(number).ok_or_else(none)?;
        let state = match repository.availability(ObjectKind::Pack, &pack, self.cancel()) {
            // What is not there is not waited for: reading it says so.
            Err(RepositoryError::Storage(error)) if error.is_not_found() => Availability::Ready,
            state => state?,
        };
        self.thaw().learn((number, pack), state);
        Ok(state)
    }
}

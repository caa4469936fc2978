//! Packs that wait on disk, because memory is for those that are sent: a destination that is slower than the others, or than
//! the source, does not hold them up.
//!
//! A file that packs wait in has no name any more from the moment that it exists, so that nothing of it outlives the process,
//! however that ends.

use super::options::SpillOptions;
use super::pack_pool::{PackPool, Ticket};
use super::reload::{Reloaded, Reloads, Seat};
use crate::error::RepositoryError;
use crate::id::Id;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// So many packs may be in memory again at once after they waited on disk; as many fewer are filled from then on.
pub(super) const LOADS: usize = 2;
/// A pack goes to disk once somebody has waited for memory so long: longer than a destination in good order takes for what it
/// is sent at once, for the way over the disk costs both time and processor,
const AFTER: Duration = Duration::from_secs(2);
/// and at once where the last one went there no longer ago than this.
const EAGER: Duration = Duration::from_secs(5);
/// A destination that held up others by what it was sent from memory is sent from disk for so long.
const BEHIND: Duration = Duration::from_secs(60);
/// After the disk refused one, none is offered to it for so long.
const REST: Duration = Duration::from_secs(10);

/// The packs of a backup that may wait on disk.
#[derive(Debug)]
pub(super) struct Spill {
    options: SpillOptions,
    reloads: Arc<Reloads>,
    on_disk: Arc<AtomicU64>,
    total: AtomicU64,
    next_name: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parcels: Vec<Weak<Parcel>>,
    last: Option<Instant>,
    refused: Option<Instant>,
    /// Since when somebody waits for memory.
    waiting: Option<Instant>,
    /// What is being sent from memory: to which destination, and since when.
    sends: HashMap<u64, (usize, Instant)>,
    next_send: u64,
    /// Destinations that held up others, and when they last did.
    behind: HashMap<usize, Instant>,
}

/// One pack on its way to destinations: in memory, or on disk.
#[derive(Debug)]
pub(super) struct Parcel {
    id: Id,
    size: usize,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    held: Held,
    /// Destinations that it is being sent to from memory.
    sending: usize,
    /// Destinations that have not begun.
    waiting: usize,
}

#[derive(Clone, Debug)]
enum Held {
    Memory(Bytes, Arc<Ticket>),
    Disk(Arc<Nameless>, Arc<Reloads>),
}

/// A file without a name.
#[derive(Debug)]
struct Nameless {
    file: File,
    size: u64,
    on_disk: Arc<AtomicU64>,
    seat: Seat,
}

impl AsRef<File> for Nameless {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        self.on_disk.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// Keeps what is sent where it is while it is sent.
#[derive(Debug)]
pub(super) struct Sending {
    parcel: Option<Arc<Parcel>>,
    send: Option<(Arc<Spill>, u64)>,
    _ticket: Option<Arc<Ticket>>,
    _reloaded: Option<Arc<Reloaded>>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(parcel) = self.parcel.take() {
            parcel.lock().sending -= 1;
        }
        if let Some((spill, send)) = self.send.take() {
            spill.lock().sends.remove(&send);
        }
    }
}

impl Parcel {
    /// Takes a pack for so many destinations.
    pub(super) fn new(id: Id, (bytes, ticket): (Bytes, Arc<Ticket>), destinations: usize) -> Arc<Self> {
        let size = bytes.len();
        let held = Held::Memory(bytes, ticket);
        Arc::new(Self { id, size, place: Mutex::new(Place { held, sending: 0, waiting: destinations }) })
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the bytes, for one destination, and what must be kept until they are sent.
    pub(super) async fn open(
        self: &Arc<Self>,
        destination: usize,
        spill: Option<&Arc<Spill>>,
    ) -> Result<(Bytes, Sending), RepositoryError> {
        let (file, reloads) = {
            let mut place = self.lock();
            place.waiting = place.waiting.saturating_sub(1);
            match place.held.clone() {
                Held::Memory(bytes, ticket) => {
                    place.sending += 1;
                    drop(place);
                    let parcel = Some(Arc::clone(self));
                    let send = spill.map(|spill| (Arc::clone(spill), spill.begin(destination)));
                    return Ok((bytes, Sending { parcel, send, _ticket: Some(ticket), _reloaded: None }));
                }
                Held::Disk(file, reloads) => (file, reloads),
            }
        };
        let reloaded = reloads.get(self.id, self.size, Arc::clone(&file), &file.seat).await?;
        let bytes = reloaded.bytes.clone();
        Ok((bytes, Sending { parcel: None, send: None, _ticket: None, _reloaded: Some(reloaded) }))
    }
}

impl Spill {
    pub(super) fn new(options: SpillOptions, pool: &Arc<PackPool>) -> Self {
        Self {
            options,
            reloads: Reloads::new(pool),
            on_disk: Arc::default(),
            total: AtomicU64::new(0),
            next_name: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes waited on disk until now.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes notice of a pack.
    pub(super) fn watch(&self, parcel: &Arc<Parcel>) {
        let mut state = self.lock();
        state.parcels.retain(|one| one.strong_count() > 0);
        state.parcels.push(Arc::downgrade(parcel));
        // Memory was there.
        state.waiting = None;
    }

    fn begin(&self, destination: usize) -> u64 {
        let mut state = self.lock();
        let send = state.next_send;
        state.next_send += 1;
        state.sends.insert(send, (destination, Instant::now()));
        send
    }

    /// Says whether a destination is sent what it gets from disk, because it held up others.
    pub(super) fn is_behind(&self, destination: usize) -> bool {
        self.lock().behind.get(&destination).is_some_and(|since| since.elapsed() < BEHIND)
    }

    /// Moves a pack to disk for a destination that is behind; its memory is free once the others have it. Blocking.
    pub(super) fn put_aside(&self, parcel: &Parcel) {
        if !self.is_resting() {
            let moved = self.move_out(parcel, true);
            self.note(moved);
        }
    }

    fn is_resting(&self) -> bool {
        self.lock().refused.is_some_and(|refused| refused.elapsed() < REST)
    }

    fn note(&self, moved: Option<io::Result<()>>) {
        let mut state = self.lock();
        match moved {
            Some(Ok(())) => state.last = Some(Instant::now()),
            Some(Err(error)) => {
                state.refused = Some(Instant::now());
                drop(state);
                tracing::warn!(%error, directory = %self.options.directory.display(), "packs cannot wait in the staging directory");
            }
            None => {}
        }
    }

    /// Moves a pack to disk that waits for its turn everywhere, where somebody has waited for memory for long enough. Where all
    /// memory is under way, those who take long with it get the next packs from disk. Blocking.
    pub(super) fn make_room(&self) {
        let resting = self.is_resting();
        let mut state = self.lock();
        let since = *state.waiting.get_or_insert_with(Instant::now);
        let eager = state.last.is_some_and(|last| last.elapsed() < EAGER);
        if resting || !(eager || since.elapsed() >= AFTER) {
            return;
        }
        // The youngest waits for longest.
        let all: Vec<Arc<Parcel>> = state.parcels.iter().rev().filter_map(Weak::upgrade).collect();
        drop(state);
        let moved = all.iter().find_map(|parcel| self.move_out(parcel, false));
        if moved.is_none() {
            let mut state = self.lock();
            let slow = |(_, begun): &&(usize, Instant)| begun.elapsed() >= AFTER;
            let slow: Vec<usize> = state.sends.values().filter(slow).map(|(number, _)| *number).collect();
            state.behind.extend(slow.into_iter().map(|number| (number, Instant::now())));
        }
        self.note(moved);
    }

    /// Moves a pack out that some destination waits for; nothing where none does, or where others send it from memory, unless
    /// that is all the same.
    fn move_out(&self, parcel: &Parcel, though_sent: bool) -> Option<io::Result<()>> {
        let may = |place: &Place| place.waiting > 0 && (though_sent || place.sending == 0);
        let bytes = {
            let place = parcel.lock();
            match &place.held {
                Held::Memory(bytes, _) if may(&place) => bytes.clone(),
                _ => return None,
            }
        };
        let written = match self.write(&bytes) {
            Ok(written) => written,
            Err(error) => return Some(Err(error)),
        };
        // Dropped after the lock: whoever gets the memory may want it at once.
        drop(bytes);
        let before = {
            let mut place = parcel.lock();
            if !may(&place) || matches!(place.held, Held::Disk(..)) {
                return None;
            }
            std::mem::replace(&mut place.held, Held::Disk(written, Arc::clone(&self.reloads)))
        };
        drop(before);
        self.total.fetch_add(parcel.size as u64, Ordering::Relaxed);
        Some(Ok(()))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Arc<Nameless>> {
        let size = bytes.len() as u64;
        let there = self.on_disk.fetch_add(size, Ordering::Relaxed);
        // Counted from here on, whatever comes.
        let counted =
            |file| Nameless { file, size, on_disk: Arc::clone(&self.on_disk), seat: Seat::default() };
        let directory = &self.options.directory;
        let name = self.next_name.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("pack-{name}"));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| std::fs::remove_file(&path).map(|()| file));
        let nameless = match made {
            Ok(file) => counted(file),
            Err(error) => {
                self.on_disk.fetch_sub(size, Ordering::Relaxed);
                return Err(error);
            }
        };
        if there + size > self.options.most_bytes {
            return Err(io::Error::other(format!(
                "{there} bytes wait there already, and {} may",
                self.options.most_bytes
            )));
        }
        let space = rustix::fs::fstatvfs(&nameless.file)?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < self.options.keep_free_bytes.saturating_add(size) {
            let kept = self.options.keep_free_bytes;
            return Err(io::Error::other(format!("only {free} bytes are free there, and {kept} stay free")));
        }
        (&nameless.file).write_all(bytes)?;
        Ok(Arc::new(nameless))
    }
}

//! The destinations of one backup: what is on its way to each, what is durable there, and what failed.

use super::known::Targets;
use super::options::BackupOptions;
use super::pack_pool::{PackPool, Ticket};
use super::proof::Written;
use super::spill::{Parcel, Spill};
use crate::blob::{BlobKind, PackedBlob};
use crate::crypto::MasterKey;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index_file::{IndexFile, IndexedBlob, IndexedPack};
use crate::layout::ObjectKind;
use crate::repository::Repository;
use bytes::Bytes;
use larder_model::{BackupId, Counters};
use larder_storage::{Storage, StorageError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

/// How many objects are written to one destination at once.
const UPLOADS: usize = 4;
/// An index object is written at the latest for so many blobs, as restic does, so that a crash loses little.
const INDEX_BLOBS: usize = 50_000;
/// How often a write is tried that the destination calls worth trying again, and the pause before the first repetition.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// So many times as long a destination may make no progress where packs may wait on disk.
const SLOWER: u32 = 5;

/// One destination of a backup.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) repository: Repository,
    pub(super) parent: Option<BackupId>,
    /// Destinations with the same number share a master key.
    key_group: usize,
    permits: Arc<Semaphore>,
    pub(super) idle: Notify,
}

/// What goes on at one destination.
#[derive(Debug)]
pub(super) struct TargetState {
    failure: Option<RepositoryError>,
    on_the_way: usize,
    progress: Instant,
    unindexed: Vec<Arc<StoredPack>>,
    unindexed_blobs: usize,
    running: HashMap<u64, AbortHandle>,
    next_ticket: u64,
    /// What was written and is still to be proved; packs are as soon as they are written.
    pub(super) written: Vec<Written>,
    pub(super) stored_bytes: u64,
    pub(super) snapshot: Option<BackupId>,
    /// Whether the end of the backup has begun here: nothing more comes but index and snapshot.
    pub(super) committing: bool,
    /// Whether the end has been reached, well or badly.
    pub(super) committed: bool,
}

/// A pack that is durable somewhere; all destinations share the list of its blobs.
#[derive(Debug)]
struct StoredPack {
    id: Id,
    blobs: Vec<PackedBlob>,
}

/// How long a destination may make no progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// While there are others to go on with.
    stall: Duration,
    /// The same, of one that has taken something, where packs may wait for it on disk.
    slow: Duration,
    /// Where it is the only one left.
    silence: Duration,
}

impl Patience {
    pub(super) fn of(options: &BackupOptions) -> Self {
        let stall = Duration::from_secs(options.stall_seconds);
        // Whoever holds up nobody may be slower: packs wait for it on disk.
        let slow = if options.spill.is_some() { stall * SLOWER } else { stall };
        Self { stall, slow, silence: Duration::from_secs(options.silence_seconds) }
    }
}

/// All destinations of a backup.
#[derive(Debug)]
pub(super) struct TargetSet {
    pub(super) targets: Vec<Target>,
    live: AtomicU32,
    states: Mutex<Vec<TargetState>>,
    pub(super) changed: Condvar,
    counters: Arc<Counters>,
    patience: Patience,
    pub(super) spill: Option<Arc<Spill>>,
}

impl TargetSet {
    /// Begins with these repositories and their parents; an error stands for one that is left out from the start.
    pub(super) fn new(
        repositories: Vec<(Repository, Result<Option<BackupId>, RepositoryError>)>,
        counters: Arc<Counters>,
        options: &BackupOptions,
        pool: &Arc<PackPool>,
    ) -> Arc<Self> {
        let mut targets: Vec<Target> = Vec::new();
        let mut states = Vec::new();
        let mut live = 0;
        for (number, (repository, parent)) in repositories.into_iter().enumerate() {
            let same_key = targets.iter().find(|other| other.repository.key() == repository.key());
            let key_group = same_key.map_or(number, |other| other.key_group);
            live |= u32::from(parent.is_ok()) << number;
            let (parent, failure) = match parent {
                Ok(parent) => (parent, None),
                Err(error) => (None, Some(error)),
            };
            let permits = Arc::new(Semaphore::new(UPLOADS));
            targets.push(Target { repository, parent, key_group, permits, idle: Notify::new() });
            states.push(TargetState {
                failure,
                on_the_way: 0,
                progress: Instant::now(),
                unindexed: Vec::new(),
                unindexed_blobs: 0,
                running: HashMap::new(),
                next_ticket: 0,
                written: Vec::new(),
                stored_bytes: 0,
                snapshot: None,
                committing: false,
                committed: false,
            });
        }
        let live = AtomicU32::new(live);
        Arc::new(Self {
            targets,
            live,
            states: Mutex::new(states),
            changed: Condvar::new(),
            counters,
            patience: Patience::of(options),
            spill: options.spill.clone().map(|options| Arc::new(Spill::new(options, pool))),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<TargetState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the destinations that have not failed.
    pub(super) fn live(&self) -> Targets {
        self.live.load(Ordering::Acquire)
    }

    /// Returns the key that all these destinations share.
    pub(super) fn key_of(&self, targets: Targets) -> Option<&MasterKey> {
        self.targets.get(targets.trailing_zeros() as usize).map(|target| target.repository.key())
    }

    /// Parts a set of destinations by their keys.
    pub(super) fn by_key(&self, targets: Targets) -> impl Iterator<Item = Targets> + '_ {
        (0..self.targets.len()).filter_map(move |group| {
            let members = self.targets.iter().enumerate().filter(|(_, target)| target.key_group == group);
            let among = members.fold(0, |set, (number, _)| set | (targets & (1 << number)));
            (among != 0).then_some(among)
        })
    }

    /// Leaves a destination out of the rest of the run; the others go on.
    pub(super) fn drop_target(&self, number: usize, error: RepositoryError) {
        let mut states = self.lock();
        self.live.fetch_and(!(1 << number), Ordering::AcqRel);
        if let Some(state) = states.get_mut(number) {
            state.failure.get_or_insert(error);
            state.unindexed.clear();
            for (_, task) in state.running.drain() {
                task.abort();
            }
            state.on_the_way = 0;
            state.committed = true;
        }
        drop(states);
        if let Some(target) = self.targets.get(number) {
            target.idle.notify_waiters();
        }
        self.changed.notify_all();
    }

    /// Sees to it that whoever waits for memory gets some: a pack goes to disk, and a destination that does not move is left
    /// out.
    pub(super) fn give_way(&self) {
        if let Some(spill) = &self.spill {
            spill.make_room();
        }
        self.drop_stalled();
    }

    /// Leaves out the destinations that made no progress for too long. With the last one the run ends.
    pub(super) fn drop_stalled(&self) {
        loop {
            let alone = self.live().count_ones() < 2;
            let patience = |state: &TargetState| match state.stored_bytes {
                _ if alone => self.patience.silence,
                0 => self.patience.stall,
                _ => self.patience.slow,
            };
            let states = self.lock();
            let stalled = states.iter().enumerate().find_map(|(number, state)| {
                let live = self.live() & (1 << number) != 0;
                let busy = state.on_the_way > 0 || (state.committing && !state.committed);
                let patience = patience(state);
                (live && busy && state.progress.elapsed() > patience).then_some((number, patience))
            });
            drop(states);
            let Some((number, patience)) = stalled else { return };
            let destination = self.targets[number].repository.describe();
            let waited_seconds = patience.as_secs();
            self.drop_target(number, RepositoryError::Stalled { destination, waited_seconds });
        }
    }

    /// Stops every transfer.
    pub(super) fn abort(&self) {
        for state in self.lock().iter_mut() {
            for (_, task) in state.running.drain() {
                task.abort();
            }
        }
    }

    /// Sends a pack to destinations, in the background.
    pub(super) fn upload(
        self: &Arc<Self>,
        to: Targets,
        id: Id,
        lent: (Bytes, Arc<Ticket>),
        blobs: Vec<PackedBlob>,
    ) {
        let pack = Arc::new(StoredPack { id, blobs });
        let to = to & self.live();
        let parcel = Parcel::new(id, lent, to.count_ones() as usize);
        if let Some(spill) = &self.spill {
            spill.watch(&parcel);
        }
        for number in (0..self.targets.len()).filter(|number| to & (1 << number) != 0) {
            let (set, pack, parcel) = (self.clone(), pack.clone(), parcel.clone());
            self.spawn(number, async move {
                set.put_aside(number, &parcel).await;
                let permit = set.targets[number].permits.acquire().await;
                let (bytes, sending) = parcel.open(number, set.spill.as_ref()).await?;
                drop(parcel);
                // Trees are read by everything; data by a restore alone.
                let cold = pack.blobs.iter().all(|blob| blob.kind == BlobKind::Data);
                let path = ObjectKind::Pack.path(&pack.id);
                let written = Written { path, bytes: bytes.len() as u64 };
                // The name of a pack is its SHA-256.
                set.write(number, &written.path, bytes, Some((pack.id.as_bytes(), cold))).await?;
                drop((sending, permit));
                set.stored(number, written.bytes);
                set.prove_one(number, &written).await?;
                set.pack_is_durable(number, pack);
                Ok(())
            });
        }
    }

    /// Lets a pack wait on disk for a destination that is behind.
    async fn put_aside(&self, number: usize, parcel: &Arc<Parcel>) {
        let Some(spill) = self.spill.clone().filter(|spill| spill.is_behind(number)) else { return };
        let parcel = Arc::clone(parcel);
        // Where it fails, the pack stays in memory.
        let _ = tokio::task::spawn_blocking(move || spill.put_aside(&parcel)).await;
    }

    /// Runs something for one destination; its failure is the destination's.
    fn spawn(
        self: &Arc<Self>,
        number: usize,
        work: impl Future<Output = Result<(), RepositoryError>> + Send + 'static,
    ) {
        let set = self.clone();
        let mut states = self.lock();
        let Some(state) = states.get_mut(number) else { return };
        if state.on_the_way == 0 {
            state.progress = Instant::now();
        }
        state.on_the_way += 1;
        // The task cannot end before it is entered here: it needs this lock for that.
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let task = self.targets[number].repository.handle().spawn(async move {
            let outcome = work.await;
            set.ended(number, ticket, outcome);
        });
        state.running.insert(ticket, task.abort_handle());
    }

    /// Notes that the end begins for a destination, with the task that brings it about.
    pub(super) fn commit_begins(&self, number: usize, task: AbortHandle) {
        if let Some(state) = self.lock().get_mut(number) {
            state.committing = true;
            state.progress = Instant::now();
            state.running.insert(u64::MAX, task);
        }
    }

    fn ended(&self, number: usize, ticket: u64, outcome: Result<(), RepositoryError>) {
        if let Err(error) = outcome {
            self.drop_target(number, error);
            return;
        }
        let mut states = self.lock();
        if let Some(state) = states.get_mut(number)
            && state.running.remove(&ticket).is_some()
        {
            state.on_the_way -= 1;
            state.progress = Instant::now();
            if state.on_the_way == 0 {
                self.targets[number].idle.notify_waiters();
            }
        }
        drop(states);
        self.changed.notify_all();
    }

    /// Writes an object that is to be proved later, again where the destination says that this may help.
    pub(super) async fn put(&self, number: usize, path: &str, bytes: Bytes) -> Result<(), RepositoryError> {
        let _permit = self.targets[number].permits.acquire().await;
        let written = Written { path: path.to_owned(), bytes: bytes.len() as u64 };
        if let Some(state) = self.lock().get_mut(number) {
            state.written.push(written);
        }
        self.write(number, path, bytes, None).await
    }

    /// Writes an object: of a pack its SHA-256 is known, and whether nothing but a restore reads it.
    async fn write(
        &self,
        number: usize,
        path: &str,
        bytes: Bytes,
        pack: Option<(&[u8; 32], bool)>,
    ) -> Result<(), RepositoryError> {
        let storage: &dyn Storage = &**self.targets[number].repository.storage();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let put = match pack {
                Some((sha256, cold)) => storage.put_hashed(path, bytes.clone(), sha256, cold),
                None => storage.put(path, bytes.clone()),
            };
            match put.await {
                Err(error) if StorageError::is_retryable(&error) && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return Ok(outcome?),
            }
        }
        Ok(())
    }

    pub(super) fn stored(&self, number: usize, bytes: u64) {
        if let Some(state) = self.lock().get_mut(number) {
            state.stored_bytes += bytes;
            state.progress = Instant::now();
        }
        self.counters.add_stored(number, bytes);
    }

    fn pack_is_durable(self: &Arc<Self>, number: usize, pack: Arc<StoredPack>) {
        let mut states = self.lock();
        let Some(state) = states.get_mut(number) else { return };
        if state.failure.is_some() {
            return;
        }
        state.unindexed_blobs += pack.blobs.len();
        state.unindexed.push(pack);
        if state.unindexed_blobs < INDEX_BLOBS {
            return;
        }
        state.unindexed_blobs = 0;
        let packs = std::mem::take(&mut state.unindexed);
        drop(states);
        let set = self.clone();
        self.spawn(number, async move { set.write_index_of(number, packs).await });
    }

    /// Waits until nothing is on its way to a destination any more.
    pub(super) async fn settle(&self, number: usize) {
        loop {
            let idle = self.targets[number].idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.lock().get(number).is_none_or(|state| state.on_the_way == 0) {
                return;
            }
            idle.await;
        }
    }

    /// Says whether a destination that has not failed holds packs that are in no index yet.
    pub(super) fn has_unindexed(&self, number: usize) -> bool {
        self.live() & (1 << number) != 0
            && self.lock().get(number).is_some_and(|state| !state.unindexed.is_empty())
    }

    /// Names every durable pack that is in no index yet.
    pub(super) async fn write_index(&self, number: usize) -> Result<(), RepositoryError> {
        let packs = self.lock().get_mut(number).map(|state| std::mem::take(&mut state.unindexed));
        self.write_index_of(number, packs.unwrap_or_default()).await
    }

    async fn write_index_of(
        &self,
        number: usize,
        packs: Vec<Arc<StoredPack>>,
    ) -> Result<(), RepositoryError> {
        if packs.is_empty() {
            return Ok(());
        }
        let repository = self.targets[number].repository.clone();
        let sealing = tokio::task::spawn_blocking(move || {
            let packs = packs.iter().map(|pack| IndexedPack {
                id: pack.id,
                blobs: pack.blobs.iter().map(IndexedBlob::from).collect(),
            });
            repository.seal_value(&IndexFile { packs: packs.collect(), ..IndexFile::default() })
        });
        let sealed = sealing.await.map_err(|cause| RepositoryError::Internal { what: cause.to_string() })?;
        let (id, bytes) = sealed?;
        let size = bytes.len() as u64;
        self.put(number, &ObjectKind::Index.path(&id), bytes).await?;
        self.stored(number, size);
        Ok(())
    }

    /// Takes why a destination was left out.
    pub(super) fn take_failure(&self, number: usize) -> Option<RepositoryError> {
        self.lock().get_mut(number)?.failure.take()
    }
}

//! Locks, as restic understands them: shared while a repository is used, exclusive while something is removed.
//!
//! A lock is an object that its holder replaces every five minutes; one not replaced for thirty counts no more. Two who
//! lock at once both write first and look second, so that at least one sees the other. What restic leaves to
//! `restic unlock` happens by itself here: locks of processes that ended, locks let go but not removed, and
//! locks that stayed the same for thirty minutes before our eyes whatever they say, are removed in passing.

mod file;
mod process;

use crate::crypto::fill_random;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::layout::ObjectKind;
use crate::repository::Repository;
use file::{LockFile, STALE_AFTER};
use jiff::{SignedDuration, Timestamp};
use larder_model::Cancel;
use larder_storage::{StorageError, StorageErrorKind};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a held lock is renewed.
const REFRESH_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// A holder that could not renew for so long must stop: others will soon take its lock for stale. As restic has it.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(22 * 60 + 30);
/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long one attempt to renew may take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long giving back is waited for.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an exclusive lock waits before it looks again, for destinations whose listings lag; as restic has it.
const SETTLE: Duration = Duration::from_millis(200);
/// How often the removal of a lock is tried.
const REMOVALS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The locks that this process holds, by their tokens.
static HELD: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);
/// When this process first saw each foreign lock, by repository.
static SEEN: LazyLock<Mutex<HashMap<String, HashMap<Id, Timestamp>>>> = LazyLock::new(Mutex::default);

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock on a repository, renewed in the background and given back when dropped.
#[derive(Debug)]
pub struct Lock {
    held: Arc<Held>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    repository: Repository,
    exclusive: bool,
    token: String,
    state: Mutex<State>,
    lost: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct State {
    id: Id,
    refreshed: Timestamp,
}

impl Lock {
    /// Takes a lock that others may hold at the same time: for backups, restores and checks.
    ///
    /// Waits up to `wait` for an exclusive lock to go.
    ///
    /// # Errors
    /// [`RepositoryError::Locked`] naming the holder; the destination's; [`RepositoryError::Canceled`].
    pub fn shared(repository: &Repository, wait: Duration, cancel: &Cancel) -> Result<Self, RepositoryError> {
        Self::shared_while(repository, wait, cancel, || Ok(())).map(|(lock, ())| lock)
    }

    /// Takes a lock as [`Lock::shared`] does, and does work that needs it while it is still looked whether somebody else's
    /// stands against it; then the work was in vain, and is done again. The lock lies there before the work begins.
    ///
    /// # Errors
    /// Those of [`Lock::shared`], and those of the work.
    pub(crate) fn shared_while<T>(
        repository: &Repository,
        wait: Duration,
        cancel: &Cancel,
        mut work: impl FnMut() -> Result<T, RepositoryError>,
    ) -> Result<(Self, T), RepositoryError> {
        // Whoever only joins others does no harm by coming in vain, so it is not looked before the first attempt.
        Self::take(repository, (false, true), wait, cancel, &mut work)
    }

    /// Takes a lock that nobody else may hold anything beside: for prune.
    ///
    /// Waits up to `wait` for all other locks to go.
    ///
    /// # Errors
    /// [`RepositoryError::Locked`] naming a holder; the destination's; [`RepositoryError::Canceled`].
    pub fn exclusive(
        repository: &Repository,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Self, RepositoryError> {
        Self::take(repository, (true, false), wait, cancel, &mut || Ok(())).map(|(lock, ())| lock)
    }

    /// Takes a shared lock for reading, where that is possible.
    ///
    /// A copy that can only be read needs none. And a lock of somebody else that nobody can read holds up a reader for no
    /// longer than `wait`: should its holder be alive and remove something, then what is read is right or an error.
    pub(crate) fn shared_if_writable(
        repository: &Repository,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Option<Self>, RepositoryError> {
        match Self::shared(repository, wait, cancel) {
            Err(RepositoryError::Storage(error))
                if error.kind == StorageErrorKind::Denied || error.kind == StorageErrorKind::Full =>
            {
                Ok(None)
            }
            Err(locked @ RepositoryError::Locked { .. }) => {
                let conflict = repository.handle().block_on(conflict(repository, false, None, true))?;
                conflict.map_or(Ok(None), |_| Err(locked))
            }
            lock => lock.map(Some),
        }
    }

    fn take<T>(
        repository: &Repository,
        (exclusive, mut at_once): (bool, bool),
        wait: Duration,
        cancel: &Cancel,
        work: &mut dyn FnMut() -> Result<T, RepositoryError>,
    ) -> Result<(Self, T), RepositoryError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            cancel.check()?;
            let before = match std::mem::take(&mut at_once) {
                true => None,
                false => repository.handle().block_on(others(repository, exclusive, None))?,
            };
            let holder = match before {
                Some(holder) => holder,
                None => match Self::try_take(repository, exclusive, cancel, work)? {
                    Ok(taken) => return Ok(taken),
                    Err(holder) => holder,
                },
            };
            if began.elapsed() >= wait {
                return Err(RepositoryError::Locked { destination: repository.describe(), holder });
            }
            let mut random = [0; 1];
            fill_random(&mut random)?;
            // Two who hinder each other must not meet again and again.
            sleep(pause.mul_f64(0.5 + f64::from(random[0]) / 255.0).min(wait), cancel)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes the lock, then looks while the work is done; gives the holder of another one that stands against it.
    fn try_take<T>(
        repository: &Repository,
        exclusive: bool,
        cancel: &Cancel,
        work: &mut dyn FnMut() -> Result<T, RepositoryError>,
    ) -> Result<Result<(Self, T), String>, RepositoryError> {
        let mut token = [0; 16];
        fill_random(&mut token)?;
        let token = Id::of(&token).to_hex();
        guard(&HELD).insert(token.clone());
        let refreshed = repository.clock().now();
        let (id, sealed) = repository.seal_value(&LockFile::own(exclusive, &token, refreshed))?;
        let (storage, path) = (repository.storage(), ObjectKind::Lock.path(&id));
        let written = repository.handle().block_on(storage.put(&path, sealed));
        if let Err(error) = written {
            guard(&HELD).remove(&token);
            // The destination may have taken it and only its answer was lost.
            let _ = repository.handle().block_on(remove(repository, &id));
            return Err(error.into());
        }
        let held = Arc::new(Held {
            repository: repository.clone(),
            exclusive,
            token,
            state: Mutex::new(State { id, refreshed }),
            lost: AtomicBool::new(false),
        });
        let (stop, stopped) = watch::channel(false);
        let task = repository.handle().spawn(keep(held.clone(), stopped));
        let lock = Self { held, stop, task: Some(task) };
        if exclusive {
            sleep(SETTLE, cancel)?;
        }
        let looked = repository.clone();
        let look = repository.handle().spawn(async move { others(&looked, exclusive, Some(&id)).await });
        let done = work();
        if let Some(holder) = repository.await_task(look, cancel)?? {
            return Ok(Err(holder));
        }
        Ok(Ok((lock, done?)))
    }

    /// Begins to give the lock back; dropping it waits for that. Several that are given back so do not wait for each other.
    pub(crate) fn begin_release(&self) {
        self.stop.send_replace(true);
    }

    /// Says whether the lock could not be renewed for so long that it protects no more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.is_lost()
    }

    /// Returns an error once the lock is lost, so that `?` stops work that it protected.
    ///
    /// # Errors
    /// [`RepositoryError::LockLost`].
    pub fn check(&self) -> Result<(), RepositoryError> {
        if self.is_lost() {
            return Err(RepositoryError::LockLost { destination: self.held.repository.describe() });
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        guard(&HELD).remove(&self.held.token);
        // On an async thread nothing may block; the task then removes the lock by itself.
        if let Some(task) = self.task.take()
            && tokio::runtime::Handle::try_current().is_err()
        {
            let removed = async { tokio::time::timeout(RELEASE_TIMEOUT, task).await };
            let _ = self.held.repository.handle().block_on(removed);
        }
    }
}

/// Sleeps, but not beyond an abort.
fn sleep(time: Duration, cancel: &Cancel) -> Result<(), RepositoryError> {
    let until = Instant::now() + time;
    loop {
        cancel.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Renews a lock until it is given back, then removes it.
async fn keep(held: Arc<Held>, mut stopped: watch::Receiver<bool>) {
    loop {
        if *stopped.borrow_and_update() {
            break;
        }
        // The sender's end lives in the lock; when even that is gone there is nothing to keep.
        if let Ok(Err(_)) = tokio::time::timeout(TICK, stopped.changed()).await {
            break;
        }
        if held.is_lost() || held.age() < REFRESH_EVERY {
            continue;
        }
        // A failure is tried again with the next tick; `is_lost` tells when it has failed for too long.
        let _ = tokio::time::timeout(REFRESH_TIMEOUT, held.refresh()).await;
    }
    let id = guard(&held.state).id;
    let _ = tokio::time::timeout(REFRESH_TIMEOUT, remove(&held.repository, &id)).await;
}

/// Removes an own lock, again where that may help: for others it counts until it is stale.
async fn remove(repository: &Repository, id: &Id) -> Result<(), StorageError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..REMOVALS {
        match repository.storage().delete(&ObjectKind::Lock.path(id)).await {
            Err(error) if !matches!(error.kind, StorageErrorKind::Denied) => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    repository.storage().delete(&ObjectKind::Lock.path(id)).await
}

impl Held {
    fn age(&self) -> SignedDuration {
        self.repository.clock().now().duration_since(guard(&self.state).refreshed)
    }

    fn is_lost(&self) -> bool {
        if self.age() > LOST_AFTER {
            self.lost.store(true, Ordering::Release);
        }
        self.lost.load(Ordering::Acquire)
    }

    async fn refresh(&self) -> Result<(), RepositoryError> {
        let (repository, storage) = (&self.repository, self.repository.storage());
        let before = guard(&self.state).id;
        let refreshed = repository.clock().now();
        let (id, sealed) = repository.seal_value(&LockFile::own(self.exclusive, &self.token, refreshed))?;
        let was_there = storage.stat(&ObjectKind::Lock.path(&before)).await?.is_some();
        storage.put(&ObjectKind::Lock.path(&id), sealed).await?;
        if !was_there && others(repository, self.exclusive, Some(&id)).await?.is_some() {
            // Somebody took the lock for stale and works on the strength of that.
            self.lost.store(true, Ordering::Release);
        }
        *guard(&self.state) = State { id, refreshed };
        storage.delete(&ObjectKind::Lock.path(&before)).await?;
        Ok(())
    }
}

/// Returns the holder of a lock that excludes one of ours, in words. Locks that count no more are removed in passing.
async fn others(
    repository: &Repository,
    exclusive: bool,
    own: Option<&Id>,
) -> Result<Option<String>, RepositoryError> {
    conflict(repository, exclusive, own, false).await
}

/// Does as [`others`]; may pass over locks that cannot be read.
async fn conflict(
    repository: &Repository,
    exclusive: bool,
    own: Option<&Id>,
    only_readable: bool,
) -> Result<Option<String>, RepositoryError> {
    let storage = repository.storage();
    let now = repository.clock().now();
    let mut present = BTreeSet::new();
    let mut conflict = None;
    for object in storage.list(ObjectKind::Lock.folder()).await? {
        let Some(id) = ObjectKind::Lock.id_of(&object.path).filter(|id| Some(id) != own) else { continue };
        let sealed = match storage.get(&object.path).await {
            Err(error) if error.is_not_found() => continue,
            sealed => sealed?,
        };
        let json = repository.open_object(ObjectKind::Lock, &id, &sealed).ok();
        let lock = json.and_then(|json| serde_json::from_slice::<LockFile>(&json).ok());
        present.insert(id);
        let unchanged = now.duration_since(first_seen(repository, id, now)) > STALE_AFTER;
        let is_held = |token: &str| guard(&HELD).contains(token);
        if unchanged || lock.as_ref().is_some_and(|lock| lock.is_stale(now, is_held)) {
            // Where that is not permitted it does no harm to leave it.
            let _ = storage.delete(&object.path).await;
            continue;
        }
        if only_readable && lock.is_none() {
            continue;
        }
        // A lock that cannot be read may be exclusive.
        if exclusive || lock.as_ref().is_none_or(|lock| lock.exclusive) {
            let holder = lock.map(|lock| lock.holder(now));
            conflict = holder.or_else(|| Some(unreadable(&id)));
        }
    }
    if let Some(seen) = guard(&SEEN).get_mut(repository.id()) {
        seen.retain(|id, _| present.contains(id));
    }
    Ok(conflict)
}

/// Reads the JSON of a lock and judges it, for tests that feed it damaged ones.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_foreign(json: &[u8]) {
    if let Ok(lock) = serde_json::from_slice::<LockFile>(json) {
        let _ = (lock.is_stale(Timestamp::UNIX_EPOCH, |_| false), lock.holder(Timestamp::MAX));
    }
}

fn unreadable(id: &Id) -> String {
    let path = ObjectKind::Lock.path(id);
    format!("somebody whose lock ({path}) cannot be read; such a lock counts for 30 minutes")
}

fn first_seen(repository: &Repository, id: Id, now: Timestamp) -> Timestamp {
    *guard(&SEEN).entry(repository.id().to_owned()).or_default().entry(id).or_insert(now)
}

//! The writer of a backup, as its caller sees it.

use super::checkpoint::name_what_is_stored;
use super::commit::commit;
use super::directory::Directory;
use super::known::{Known, MOST_TARGETS};
use super::options::{BackupOptions, BackupSummary, FileContent, Seal, TargetOutcome};
use super::pack_pool::PackPool;
use super::packers::Packers;
use super::parent::{ParentTree, ParentTrees, find_parent, is_unchanged};
use super::queue::Queue;
use super::session::{Session, Signals, Statistics, add, get};
use super::target::TargetSet;
use super::worker::{FileJob, Worker};
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::index::Index;
use crate::lock::Lock;
use crate::pack::PACK_BYTES;
use crate::repository::{Repository, to_json};
use crate::snapshot::{Snapshot, SnapshotFile, SnapshotSummary, time_text};
use larder_model::{Cancel, Canceled, Counters, Entry, EntryKind};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Files that are handed to the workers together.
const BATCH: usize = 16;
/// How long an exclusive lock of somebody else is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// The memory of one worker at its most: the longest chunk as read, and once more as compressed.
const WORKER_BYTES: u64 = 16 << 20;

/// Writes one backup into one or more repositories at once.
///
/// Dropped without [`BackupWriter::finish`], it stops its threads and transfers, and no snapshot appears; what is stored
/// already is found by the next backup.
pub struct BackupWriter {
    session: Arc<Session>,
    options: BackupOptions,
    workers: Vec<JoinHandle<()>>,
    own: Worker,
    batch: Vec<FileJob>,
    levels: Vec<Level>,
    parent: Option<ParentTrees>,
    parent_target: usize,
    has_parent: bool,
    /// Given back when the writer is dropped, which is on the caller's thread.
    locks: Vec<Option<Lock>>,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    directory: Arc<Directory>,
    before: Option<ParentTree>,
}

impl std::fmt::Debug for BackupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupWriter").field("depth", &self.levels.len()).finish_non_exhaustive()
    }
}

/// What is read from a repository before a backup begins.
type Opening = (Lock, Index, Option<Snapshot>);

fn open_target(
    repository: &Repository,
    options: &BackupOptions,
    cancel: &Cancel,
) -> Result<Opening, RepositoryError> {
    // Before the index is read: what it names must not be pruned while this backup refers to it.
    let lock = Lock::shared(repository, LOCK_WAIT, cancel)?;
    let index = repository.load_index(cancel)?;
    let parent = match &options.parent {
        Some(rule) => find_parent(repository, rule, cancel)?,
        None => None,
    };
    Ok((lock, index, parent))
}

impl BackupWriter {
    /// Begins a backup. A target that cannot be used is left out and reported in the end, as long as one can.
    ///
    /// # Errors
    /// That of the first target when none can be used; [`RepositoryError::Canceled`].
    pub fn start(
        targets: &[Repository],
        options: BackupOptions,
        cancel: Cancel,
        counters: Arc<Counters>,
    ) -> Result<Self, RepositoryError> {
        if targets.is_empty() || targets.len() > MOST_TARGETS {
            let what = format!("a backup was begun with {} destinations", targets.len());
            return Err(RepositoryError::Internal { what });
        }
        let (mut indexes, mut parents, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        let mut locks = Vec::new();
        for repository in targets {
            let (index, parent, outcome) = match open_target(repository, &options, &cancel) {
                Ok((lock, index, parent)) => {
                    locks.push(Some(lock));
                    let id = parent.as_ref().map(|snapshot| snapshot.id.clone());
                    (Some(index), parent, Ok(id))
                }
                Err(error) if error.is_canceled() || targets.len() == 1 => return Err(error),
                Err(error) => {
                    locks.push(None);
                    (None, None, Err(error))
                }
            };
            indexes.push(index);
            parents.push(parent);
            outcomes.push((repository.clone(), outcome));
        }
        if outcomes.iter().all(|(_, outcome)| outcome.is_err()) {
            let first = outcomes.into_iter().find_map(|(_, outcome)| outcome.err());
            return Err(first.unwrap_or(RepositoryError::Canceled(Canceled)));
        }
        let known = Known::new(indexes);
        let mut parent_target = 0;
        let mut parent = None;
        for (number, snapshot) in parents.into_iter().enumerate() {
            if let (None, Some(snapshot), Some(index)) = (&parent, snapshot, known.index(number)) {
                parent = ParentTrees::new(targets[number].clone(), index, snapshot.tree);
                parent_target = number;
            }
        }
        let stall = Duration::from_secs(options.stall_seconds);
        let targets = TargetSet::new(outcomes, counters.clone(), stall);
        let mut writer = Self::launch(known, targets, (parent, parent_target), options, cancel, counters)?;
        writer.locks = locks;
        Ok(writer)
    }

    fn launch(
        known: Known,
        targets: Arc<TargetSet>,
        (parent, parent_target): (Option<ParentTrees>, usize),
        options: BackupOptions,
        cancel: Cancel,
        counters: Arc<Counters>,
    ) -> Result<Self, RepositoryError> {
        let budget = options.memory_budget_bytes;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let affordable = usize::try_from(budget * 3 / 4 / WORKER_BYTES).unwrap_or(usize::MAX).max(1);
        let threads = if options.threads == 0 { cores.min(affordable) } else { options.threads };
        let for_packs = budget.saturating_sub(threads as u64 * WORKER_BYTES) / PACK_BYTES as u64;
        let pool = Arc::new(PackPool::new(usize::try_from(for_packs).unwrap_or(usize::MAX).clamp(3, 64)));
        let session = Arc::new(Session {
            signals: Signals::new(cancel),
            counters,
            statistics: Statistics::default(),
            known,
            packers: Packers::new(pool, targets.clone()),
            targets,
            queue: Queue::new(),
            unreadable: Mutex::default(),
            root: Mutex::default(),
        });
        let own = Worker::new(session.clone(), options.compression)?;
        let has_parent = parent.is_some();
        let level = Level { directory: Directory::root(), before: None };
        let mut writer = Self {
            session,
            options,
            workers: Vec::with_capacity(threads),
            own,
            batch: Vec::with_capacity(BATCH),
            levels: vec![level],
            parent,
            parent_target,
            has_parent,
            locks: Vec::new(),
        };
        for number in 0..threads {
            let worker = Worker::new(writer.session.clone(), writer.options.compression)?;
            let thread =
                std::thread::Builder::new().name(format!("backup-{number}")).spawn(move || worker.run());
            writer.workers.push(thread.map_err(|cause| RepositoryError::Local {
                action: "start",
                path: "a worker thread".to_owned(),
                cause: cause.to_string(),
                remedy: "raise the limit of threads, or back up with fewer",
            })?);
        }
        writer.levels[0].before = match (&mut writer.parent, writer.session.known.index(parent_target)) {
            (Some(parent), Some(index)) => parent.root(index),
            _ => None,
        };
        Ok(writer)
    }

    /// Returns whether an earlier backup serves as parent.
    #[must_use]
    pub const fn has_parent(&self) -> bool {
        self.has_parent
    }

    fn level(&mut self) -> Result<&mut Level, RepositoryError> {
        if let Err(stop) = self.session.check() {
            return Err(self.why(stop));
        }
        self.levels
            .last_mut()
            .ok_or_else(|| RepositoryError::Internal { what: "the root was left twice".to_owned() })
    }

    /// Returns what really made the backup stop.
    fn why(&self, stop: RepositoryError) -> RepositoryError {
        let reason = self.session.signals.reason(stop);
        if reason.is_canceled() && self.session.targets.live() == 0 {
            let failures =
                (0..self.session.targets.targets.len()).find_map(|n| self.session.targets.take_failure(n));
            return failures.unwrap_or(reason);
        }
        reason
    }

    /// Goes down into a directory.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn enter(&mut self, directory: Entry) -> Result<(), RepositoryError> {
        let level = self.level()?;
        let before =
            level.before.as_mut().and_then(|tree| tree.find(&directory.name)).and_then(|node| node.subtree);
        let below = Directory::below(&level.directory, directory);
        add(&self.session.statistics.directories, 1);
        let before = match (before, &mut self.parent, self.session.known.index(self.parent_target)) {
            (Some(id), Some(parent), Some(index)) => parent.load(index, &id),
            _ => None,
        };
        self.levels.push(Level { directory: below, before });
        Ok(())
    }

    /// Comes back up from the directory entered last.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn leave(&mut self) -> Result<(), RepositoryError> {
        self.level()?;
        if self.levels.len() < 2 {
            return Err(RepositoryError::Internal { what: "the root was left".to_owned() });
        }
        match self.levels.pop() {
            Some(level) => self.own.release(level.directory).map_err(|stop| self.why(stop)),
            None => Ok(()),
        }
    }

    /// Adds a file, which is read later on another thread, or not at all where the parent shows it unchanged.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn file(&mut self, entry: Entry, content: Box<dyn FileContent>) -> Result<(), RepositoryError> {
        let session = self.session.clone();
        let level = self.level()?;
        if let Some(before) = level.before.as_mut().and_then(|tree| tree.find(&entry.name)) {
            let live = session.targets.live();
            let held = |id: &Id| session.known.everywhere(BlobKind::Data, id, live);
            if is_unchanged(&entry, before) && before.content.iter().all(held) {
                let size = entry.metadata.size;
                level.directory.add(&entry, size, &before.content, None);
                add(&session.statistics.files, 1);
                add(&session.statistics.files_unchanged, 1);
                add(&session.statistics.processed_bytes, size);
                Counters::add(&session.counters.bytes_done, size);
                Counters::add(&session.counters.items_done, 1);
                return Ok(());
            }
            add(&session.statistics.files_changed, 1);
        }
        level.directory.expect();
        let directory = level.directory.clone();
        self.batch.push(FileJob { directory, entry, content });
        if self.batch.len() >= BATCH { self.send_batch() } else { Ok(()) }
    }

    fn send_batch(&mut self) -> Result<(), RepositoryError> {
        let sent = self.session.queue.push_files(&mut self.batch, &self.session.signals);
        sent.map_err(|stop| self.why(stop))
    }

    /// Adds a stream, read to its end before this returns, and returns how many bytes it had. `page_bytes` is the page size
    /// of a database file; chunks then follow its pages.
    ///
    /// # Errors
    /// [`RepositoryError::Source`] when reading fails, after which the whole backup is dead; why the backup stopped.
    pub fn stream(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
    ) -> Result<u64, RepositoryError> {
        let directory = self.level()?.directory.clone();
        self.send_batch()?;
        directory.expect();
        let outcome = self.own.stream(&directory, entry, bytes, page_bytes, self.workers.len());
        outcome.map_err(|error| {
            let error = if error.is_canceled() { self.why(error) } else { error };
            self.session.signals.stop();
            error
        })
    }

    /// Adds a link, device, pipe or socket.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn special(&mut self, entry: Entry) -> Result<(), RepositoryError> {
        if matches!(entry.kind, EntryKind::File | EntryKind::Directory) {
            return Err(RepositoryError::Internal {
                what: "a file or directory was added as something else".to_owned(),
            });
        }
        self.level()?.directory.add(&entry, 0, &[], None);
        add(&self.session.statistics.specials, 1);
        Counters::add(&self.session.counters.items_done, 1);
        Ok(())
    }

    /// Notes something that could not be read and is not in the backup.
    pub fn unreadable(&mut self, path: &str, cause: &str) {
        self.session.note_unreadable(path.to_owned(), cause.to_owned());
    }

    /// Ends the backup: waits until everything is durable, then writes index and snapshot at each destination.
    ///
    /// # Errors
    /// Why the backup stopped; the first destination's failure when there is no snapshot at any.
    pub fn finish(self, seal: Seal) -> Result<BackupSummary, RepositoryError> {
        self.finish_with(|_| seal)
    }

    /// Ends the backup as [`BackupWriter::finish`] does, and asks for the seal once it is known what could not be read:
    /// path and cause of each.
    ///
    /// # Errors
    /// Those of [`BackupWriter::finish`].
    pub fn finish_with(
        mut self,
        seal: impl FnOnce(&[(String, String)]) -> Seal,
    ) -> Result<BackupSummary, RepositoryError> {
        self.level()?;
        if self.levels.len() != 1 {
            return Err(RepositoryError::Internal {
                what: "a backup was ended within a directory".to_owned(),
            });
        }
        self.send_batch()?;
        if let Some(root) = self.levels.pop() {
            self.own.release(root.directory).map_err(|stop| self.why(stop))?;
        }
        self.session.queue.close();
        for worker in self.workers.drain(..) {
            // A panic was noted by the thread's own guard.
            let _ = worker.join();
        }
        self.session.check().and_then(|()| self.session.packers.flush()).map_err(|stop| self.why(stop))?;
        let root = *self.session.root.lock().unwrap_or_else(PoisonError::into_inner);
        let root =
            root.ok_or_else(|| RepositoryError::Internal { what: "the root's tree is missing".to_owned() })?;
        let seal = seal(&self.session.unreadable.lock().unwrap_or_else(PoisonError::into_inner));
        let snapshots = self.snapshots(root, seal)?;
        self.drop_unlocked();
        commit(&self.session.targets, snapshots, &self.session.signals).map_err(|stop| self.why(stop))?;
        self.summary()
    }

    /// Leaves out destinations whose lock was lost: what the backup refers to may have been pruned meanwhile.
    fn drop_unlocked(&self) {
        for (number, lock) in self.locks.iter().enumerate() {
            if let Some(Err(error)) = lock.as_ref().map(Lock::check) {
                self.session.targets.drop_target(number, error);
            }
        }
    }

    /// Returns the JSON of the snapshot for each target; they differ in their parents.
    fn snapshots(&self, tree: Id, seal: Seal) -> Result<Vec<Vec<u8>>, RepositoryError> {
        let Seal { extra_tags, larder } = seal;
        let options = &self.options;
        let time = time_text(options.time.timestamp(), options.time.offset());
        let mut tags = options.tags.clone();
        tags.extend(extra_tags);
        let mut file = SnapshotFile {
            time: time.clone(),
            parent: None,
            tree,
            paths: options.paths.clone(),
            hostname: options.hostname.clone(),
            username: options.username.clone(),
            uid: 0,
            gid: 0,
            excludes: Vec::new(),
            tags,
            original: None,
            program_version: concat!("larder ", env!("CARGO_PKG_VERSION")).to_owned(),
            summary: Some(self.snapshot_summary(time)),
            larder,
        };
        let mut snapshots = Vec::new();
        for target in &self.session.targets.targets {
            file.parent = target.parent.as_ref().and_then(|id| id.0.parse().ok());
            if let Some(summary) = &mut file.summary {
                summary.backup_end = target.repository.clock().now().to_string();
            }
            snapshots.push(to_json(&file)?);
        }
        Ok(snapshots)
    }

    fn snapshot_summary(&self, backup_start: String) -> SnapshotSummary {
        let statistics = &self.session.statistics;
        let (files, changed) = (get(&statistics.files), get(&statistics.files_changed));
        let unchanged = get(&statistics.files_unchanged);
        let directories = get(&statistics.directories);
        let known = get(&statistics.directories_known).min(directories);
        SnapshotSummary {
            backup_start,
            backup_end: String::new(),
            files_new: files.saturating_sub(changed).saturating_sub(unchanged),
            files_changed: changed,
            files_unmodified: unchanged,
            dirs_new: if self.has_parent { 0 } else { directories - known },
            dirs_changed: if self.has_parent { directories - known } else { 0 },
            dirs_unmodified: known,
            data_blobs: get(&statistics.new_data_blobs),
            tree_blobs: get(&statistics.new_tree_blobs),
            data_added: get(&statistics.new_bytes),
            data_added_packed: get(&statistics.new_packed_bytes),
            total_files_processed: files,
            total_bytes_processed: get(&statistics.processed_bytes),
        }
    }

    fn summary(&self) -> Result<BackupSummary, RepositoryError> {
        let set = &self.session.targets;
        let mut targets = Vec::new();
        for (number, target) in set.targets.iter().enumerate() {
            let failure = set.take_failure(number);
            let (snapshot, bytes_stored) = set
                .lock()
                .get_mut(number)
                .map_or((None, 0), |state| (state.snapshot.take(), state.stored_bytes));
            let gone = || RepositoryError::Internal { what: "a destination ended without a word".to_owned() };
            let snapshot = snapshot.ok_or_else(|| failure.unwrap_or_else(gone));
            let destination = target.repository.describe();
            targets.push(TargetOutcome {
                destination,
                snapshot,
                bytes_stored,
                parent: target.parent.clone(),
            });
        }
        if targets.iter().all(|target| target.snapshot.is_err()) {
            let first = targets.into_iter().find_map(|target| target.snapshot.err());
            return Err(first.unwrap_or(RepositoryError::Canceled(Canceled)));
        }
        let statistics = &self.session.statistics;
        let mut unreadable = self.session.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(BackupSummary {
            targets,
            files: get(&statistics.files),
            files_unchanged: get(&statistics.files_unchanged),
            directories: get(&statistics.directories),
            specials: get(&statistics.specials),
            bytes_processed: get(&statistics.processed_bytes),
            bytes_read: get(&statistics.read_bytes),
            data_blobs_new: get(&statistics.new_data_blobs),
            tree_blobs_new: get(&statistics.new_tree_blobs),
            bytes_new: get(&statistics.new_bytes),
            unreadable: std::mem::take(&mut *unreadable),
        })
    }
}

impl Drop for BackupWriter {
    fn drop(&mut self) {
        self.session.signals.stop();
        self.session.queue.close();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        self.session.targets.abort();
        name_what_is_stored(&self.session.targets, std::mem::take(&mut self.locks));
    }
}

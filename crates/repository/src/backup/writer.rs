//! The writer of a backup, as its caller sees it.

mod carry;

use super::checkpoint::name_what_is_stored;
use super::commit::commit;
use super::directory::Directory;
use super::ending::{snapshots, summary};
use super::known::MOST_TARGETS;
use super::opening::{Opened, no_thread, open_all};
use super::options::{BackupOptions, BackupSummary, FileContent, Seal};
use super::pack_pool::{LEAST, PackPool};
use super::packers::Packers;
use super::parent::{ParentTree, ParentTrees, is_unchanged};
use super::queue::Queue;
use super::session::{Session, Signals, Statistics, add};
use super::target::TargetSet;
use super::worker::{FileJob, Worker};
use crate::blob::BlobKind;
use crate::error::RepositoryError;
use crate::id::Id;
use crate::lock::Lock;
use crate::pack::PACK_BYTES;
use crate::repository::Repository;
use larder_model::{Cancel, Counters, Entry, EntryKind};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Files that are handed to the workers together.
const BATCH: usize = 16;
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
    /// There should be such a tree, but it could not be read.
    parent_unreadable: bool,
}

impl std::fmt::Debug for BackupWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupWriter").field("depth", &self.levels.len()).finish_non_exhaustive()
    }
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
        let opened = open_all(targets, &options, &cancel)?;
        Self::launch(opened, options, cancel, counters)
    }

    fn launch(
        opened: Opened,
        options: BackupOptions,
        cancel: Cancel,
        counters: Arc<Counters>,
    ) -> Result<Self, RepositoryError> {
        let Opened { known, outcomes, locks, parent, parent_target } = opened;
        let budget = options.memory_budget_bytes;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let affordable = usize::try_from(budget * 3 / 4 / WORKER_BYTES).unwrap_or(usize::MAX).max(1);
        let threads = if options.threads == 0 { cores.min(affordable) } else { options.threads };
        let for_packs = budget.saturating_sub(threads as u64 * WORKER_BYTES) / PACK_BYTES as u64;
        // What comes back from disk needs memory, too: one buffer is kept back for it, and others are given up when it comes.
        let for_packs = for_packs.saturating_sub(u64::from(options.spill.is_some()));
        let pool = Arc::new(PackPool::new(usize::try_from(for_packs).unwrap_or(usize::MAX).clamp(LEAST, 64)));
        let targets = TargetSet::new(outcomes, counters.clone(), &options, &pool);
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
        let level = Level { directory: Directory::root(), before: None, parent_unreadable: false };
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
            locks,
        };
        for number in 0..threads {
            let worker = Worker::new(writer.session.clone(), writer.options.compression)?;
            let thread =
                std::thread::Builder::new().name(format!("backup-{number}")).spawn(move || worker.run());
            writer.workers.push(thread.map_err(|cause| no_thread(&cause))?);
        }
        writer.levels[0].before = match (&mut writer.parent, writer.session.known.index(parent_target)) {
            (Some(parent), Some(index)) => parent.root(index),
            _ => None,
        };
        writer.levels[0].parent_unreadable = has_parent && writer.levels[0].before.is_none();
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
        let before = directory.name.clone();
        self.enter_after(directory, &before)
    }

    /// Goes down into a directory that goes on from the one of another name at the same place of the parent.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn enter_after(&mut self, directory: Entry, before: &[u8]) -> Result<(), RepositoryError> {
        let level = self.level()?;
        let before = level.before.as_mut().and_then(|tree| tree.find(before)).and_then(|node| node.subtree);
        let below = Directory::below(&level.directory, directory);
        add(&self.session.statistics.directories, 1);
        let there = before.is_some();
        let before = match (before, &mut self.parent, self.session.known.index(self.parent_target)) {
            (Some(id), Some(parent), Some(index)) => parent.load(index, &id),
            _ => None,
        };
        let parent_unreadable = there && before.is_none();
        self.levels.push(Level { directory: below, before, parent_unreadable });
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
        let streamed = self.stream_unless(entry, bytes, page_bytes, &|| false)?;
        streamed
            .ok_or_else(|| RepositoryError::Internal { what: "a stream was taken back unasked".to_owned() })
    }

    /// Adds a stream of which only its end tells whether it is what it should be: where reading fails and `is_void` then says
    /// so, nothing is added, `None` comes back, and the backup goes on.
    ///
    /// # Errors
    /// Those of [`BackupWriter::stream`].
    pub fn stream_unless(
        &mut self,
        entry: Entry,
        bytes: &mut dyn Read,
        page_bytes: Option<u32>,
        is_void: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, RepositoryError> {
        let directory = self.level()?.directory.clone();
        self.send_batch()?;
        directory.expect();
        let error = match self.own.stream(&directory, entry, bytes, page_bytes, self.workers.len()) {
            Ok(length) => return Ok(Some(length)),
            Err(RepositoryError::Source { .. }) if is_void() => {
                // Others may still work on its chunks: without an end they never become a file.
                self.own.release(directory).map_err(|stop| self.why(stop))?;
                return Ok(None);
            }
            Err(error) => error,
        };
        let error = if error.is_canceled() { self.why(error) } else { error };
        self.session.signals.stop();
        Err(error)
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

    /// Waits until every file that was added is read, also after a failure; nothing may be added afterwards.
    ///
    /// # Errors
    /// Why the backup stopped.
    pub fn settle(&mut self) -> Result<(), RepositoryError> {
        let sent = self.send_batch();
        self.session.queue.close();
        for worker in self.workers.drain(..) {
            // A panic was noted by the thread's own guard.
            let _ = worker.join();
        }
        sent?;
        self.session.check().map_err(|stop| self.why(stop))
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
        self.own.settle();
        self.session.check().and_then(|()| self.session.packers.flush()).map_err(|stop| self.why(stop))?;
        let root = *self.session.root.lock().unwrap_or_else(PoisonError::into_inner);
        let root =
            root.ok_or_else(|| RepositoryError::Internal { what: "the root's tree is missing".to_owned() })?;
        let seal = seal(&self.session.unreadable.lock().unwrap_or_else(PoisonError::into_inner));
        let snapshots = snapshots(&self.session, &self.options, self.has_parent, root, seal)?;
        self.drop_unlocked();
        commit(&self.session.targets, snapshots, &self.session.signals).map_err(|stop| self.why(stop))?;
        summary(&self.session)
    }

    /// Leaves out destinations whose lock was lost: what the backup refers to may have been pruned meanwhile.
    fn drop_unlocked(&self) {
        for (number, lock) in self.locks.iter().enumerate() {
            if let Some(Err(error)) = lock.as_ref().map(Lock::check) {
                self.session.targets.drop_target(number, error);
            }
        }
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

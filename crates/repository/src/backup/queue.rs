//! The work that waits for the worker threads: chunks first, then files.

use super::pack_pool::LOOK;
use super::session::Signals;
use super::worker::{ChunkJob, FileJob};
use crate::error::RepositoryError;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Files that wait; each takes about half a KiB.
const MOST_FILES: usize = 512;

pub(super) enum Job {
    Chunk(ChunkJob),
    File(FileJob),
}

#[derive(Default)]
struct State {
    chunks: VecDeque<ChunkJob>,
    files: VecDeque<FileJob>,
    idle: usize,
    /// Workers that read a file and may still add chunks of it.
    reading: usize,
    closed: bool,
}

/// A bounded queue with one reader side for all workers.
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds files, waiting while the queue is full. Only the walking thread calls this: workers never wait for room.
    pub(super) fn push_files(
        &self,
        files: &mut Vec<FileJob>,
        signals: &Signals,
    ) -> Result<(), RepositoryError> {
        let mut state = self.lock();
        if state.files.len() >= MOST_FILES {
            // Half empty before going on, so that the two sides do not wake each other for every file.
            while state.files.len() >= MOST_FILES / 2 {
                signals.check()?;
                state = self.emptied.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        let wake = state.idle.min(files.len());
        state.files.extend(files.drain(..));
        drop(state);
        for _ in 0..wake {
            self.filled.notify_one();
        }
        signals.check()
    }

    /// Says whether a chunk should be left to other threads: one of them has nothing to do, or `ahead` chunks may wait.
    pub(super) fn wants_chunk(&self, ahead: usize) -> bool {
        let state = self.lock();
        state.chunks.len() < state.idle.max(ahead)
    }

    pub(super) fn push_chunk(&self, chunk: ChunkJob) {
        let mut state = self.lock();
        state.chunks.push_back(chunk);
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the next piece of work; `None` once nothing more can come, or the backup stops. `after_file` says that the
    /// piece before was a file.
    pub(super) fn next(&self, signals: &Signals, after_file: bool) -> Option<Job> {
        let mut state = self.lock();
        if after_file {
            state.reading -= 1;
        }
        loop {
            if signals.check().is_err() {
                return None;
            }
            if let Some(chunk) = state.chunks.pop_front() {
                return Some(Job::Chunk(chunk));
            }
            if let Some(file) = state.files.pop_front() {
                if state.files.len() + 1 == MOST_FILES / 2 {
                    self.emptied.notify_one();
                }
                state.reading += 1;
                return Some(Job::File(file));
            }
            if state.closed && state.reading == 0 {
                self.filled.notify_all();
                return None;
            }
            state.idle += 1;
            state = self.filled.wait_timeout(state, LOOK * 4).unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
    }

    /// Says that nothing more will come from the walking thread.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}

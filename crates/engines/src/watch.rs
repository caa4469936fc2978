//! Tells when something in a database changed, by the file system's own events (inotify).

mod eyes;

use crate::error::EngineError;
use eyes::Eyes;
use larder_model::{Database, EngineKind, Source};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Events come in crowds: after each look, the next one is so far away. They gather in the kernel meanwhile.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What a watch has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// From now on nothing is missed.
    Watching,
    /// Something that a backup would hold changed.
    Changed,
    /// The watch has ended by itself, and why; it may be started again.
    Lost {
        /// What happened, and what may help.
        cause: String,
    },
}

/// A database that is watched, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    /// Its end is what the thread sees of the drop.
    _stop: PipeWriter,
}

/// What a thread that watches calls.
pub type Listener = Arc<dyn Fn(WatchEvent) + Send + Sync>;

impl Watch {
    /// Begins to watch, on a thread of its own that `tell` is called from.
    ///
    /// Of a tree, what a backup leaves out is not told; neither is reading. Changes made through memory maps are told
    /// when the file is closed.
    ///
    /// # Errors
    /// A thread or a pipe cannot be made. Everything else is told as [`WatchEvent::Lost`].
    pub fn start(
        source: &Source,
        database: &Database,
        own_directories: &[PathBuf],
        tell: Listener,
    ) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| EngineError::Failed {
            action: format!("watching {}", database.locator),
            cause: error.to_string(),
            remedy: "raise the limits of open files and threads".to_owned(),
        };
        let (ended, stop) = std::io::pipe().map_err(failed)?;
        let (source, database, own) = (source.clone(), database.clone(), own_directories.to_vec());
        let watching = move || {
            let path = Path::new(&database.locator);
            let eyes = match database.engine {
                EngineKind::Files => Eyes::on_tree(path, &source, &own),
                EngineKind::Sqlite => Eyes::on_file(path),
                other => Err(format!("a database of the engine {other} has no files that could be watched")),
            };
            if let Err(cause) = eyes.and_then(|eyes| look(eyes, &ended, &tell)) {
                tell(WatchEvent::Lost { cause });
            }
        };
        std::thread::Builder::new().name("watch".to_owned()).spawn(watching).map_err(failed)?;
        Ok(Self { _stop: stop })
    }
}

/// Looks until the watch is dropped.
fn look(mut eyes: Eyes, ended: &PipeReader, tell: &Listener) -> Result<(), String> {
    tell(WatchEvent::Watching);
    let stopped = |timeout: &Timespec| match poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(timeout)) {
        Ok(count) => count > 0,
        Err(error) => error != Errno::INTR,
    };
    loop {
        let mut both = [PollFd::new(&eyes, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut both, None) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(format!("waiting for changes failed: {error}")),
            Ok(_) => {}
        }
        if !both[1].revents().is_empty() {
            return Ok(());
        }
        if eyes.see()? {
            tell(WatchEvent::Changed);
        }
        if stopped(&PAUSE) {
            return Ok(());
        }
    }
}

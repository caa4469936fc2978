//! What a restore is told, and what it says in the end.

use crate::sources::SourceFault;
use std::time::Duration;

/// How a restore is to be made.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// What is restored: the path of a file or directory within the backup, parts separated by `/`; `None` for all.
    ///
    /// What is in a directory lands right below the target; a file lands there under its own name.
    pub path: Option<Vec<u8>>,
    /// Whether the target may hold something already. What is in the way of the backup is then replaced, but a
    /// directory never by a file; what already has the right bytes is left as it is, and nothing else is removed.
    pub overwrite: bool,
    /// Whether an existing file of the right size and modification time is taken to have the right bytes unread.
    pub trust_times: bool,
    /// Threads that decrypt and write; 0 means two more than there are cores.
    pub threads: usize,
    /// How often it is looked whether packs that were asked for from cold storage can be read; zero means every minute.
    pub poll_cold: Duration,
    /// How long one of several destinations may give nothing before another is asked; zero means two minutes. A single
    /// destination is waited for until somebody aborts.
    pub patience: Duration,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Files that are now as in the backup.
    pub files: u64,
    /// Files among them that were so before.
    pub files_unchanged: u64,
    /// Directories.
    pub directories: u64,
    /// Links, pipes, sockets and devices.
    pub specials: u64,
    /// Bytes written to files.
    pub written_bytes: u64,
    /// Bytes of files that were there already, or are holes.
    pub skipped_bytes: u64,
    /// What could not be restored besides the bytes, such as owners; the first thousand.
    pub warnings: Vec<String>,
    /// Each file that is not as in the backup, and why; the first thousand.
    pub failures: Vec<RestoreFailure>,
    /// How many such files there are.
    pub failed: u64,
    /// What destinations should have given and did not, whether another had it or not; the first thousand.
    pub faults: Vec<SourceFault>,
}

/// A file or directory that could not be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreFailure {
    /// Its path below the target.
    pub path: String,
    /// Why, naming the object or the system's own words.
    pub cause: String,
    /// Where the part that could be restored lies instead, below the target.
    pub partial: Option<String>,
}

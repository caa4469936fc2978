//! What a backup is told, and what it says in the end.

use crate::compress::Compression;
use crate::error::RepositoryError;
use jiff::Zoned;
use larder_model::BackupId;
use std::io::{self, Read};
use std::path::PathBuf;

/// How a backup is to be made.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// What is backed up, as the snapshot names it.
    pub paths: Vec<String>,
    /// The host that the snapshot names.
    pub hostname: String,
    /// The user that the snapshot names.
    pub username: String,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// When the backup was begun, in the zone that the snapshot shall show.
    pub time: Zoned,
    /// Which earlier backup unchanged files are taken from; `None` reads everything anew.
    pub parent: Option<ParentRule>,
    /// Worker threads; 0 means one for each core.
    pub threads: usize,
    /// The memory for buffers, in bytes. The index comes on top.
    pub memory_budget_bytes: u64,
    /// How hard to compress.
    pub compression: Compression,
    /// After how many seconds without any progress a destination that holds up the others is left out of the run.
    pub stall_seconds: u64,
    /// How many seconds the others wait for a destination whose lock and index are not read yet.
    pub opening_seconds: u64,
    /// After how many seconds without any progress the only destination left is given up, which ends the run.
    pub silence_seconds: u64,
    /// Where packs may wait that a destination is too slow for; where nothing is said, memory is all there is, and the slowest
    /// destination holds up the source and the others.
    pub spill: Option<SpillOptions>,
}

/// Where packs wait on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillOptions {
    /// A directory that only this user can enter. Nothing stays in it, however the process ends.
    pub directory: PathBuf,
    /// So many bytes wait there at most.
    pub most_bytes: u64,
    /// So many bytes stay free on its volume.
    pub keep_free_bytes: u64,
}

impl BackupOptions {
    /// Returns the usual options for a backup begun at this moment.
    #[must_use]
    pub const fn new(time: Zoned) -> Self {
        Self {
            paths: Vec::new(),
            hostname: String::new(),
            username: String::new(),
            tags: Vec::new(),
            time,
            parent: None,
            threads: 0,
            memory_budget_bytes: 128 << 20,
            compression: Compression::Optimal,
            stall_seconds: 60,
            opening_seconds: 300,
            silence_seconds: 1800,
            spill: None,
        }
    }
}

/// Which earlier backup may serve as the parent: the newest to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentRule {
    /// It has all these tags.
    pub tags: Vec<String>,
    /// It is of exactly these paths; `None` accepts any.
    pub paths: Option<Vec<String>>,
    /// It was made on this host; `None` accepts any.
    pub hostname: Option<String>,
}

/// The bytes of a file, opened only when they are wanted and on any thread.
pub trait FileContent: Send {
    /// Opens the bytes for reading from the beginning.
    ///
    /// # Errors
    /// The file system's; the file is then left out and named as unreadable.
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>>;

    /// Returns the path shown to people when the file cannot be read.
    fn display_path(&self) -> String;
}

/// What is known only once everything was read.
#[derive(Clone, Debug, Default)]
pub struct Seal {
    /// Tags besides those of [`BackupOptions::tags`].
    pub extra_tags: Vec<String>,
    /// What Larder keeps in the snapshot; stock restic ignores it.
    pub larder: Option<serde_json::Value>,
}

/// What a backup did.
#[derive(Debug, Default)]
pub struct BackupSummary {
    /// The outcome at each destination, in the order in which they were given.
    pub targets: Vec<TargetOutcome>,
    /// Files and streams in the backup.
    pub files: u64,
    /// Of those, files taken from the parent without opening them.
    pub files_unchanged: u64,
    /// Directories, without the root.
    pub directories: u64,
    /// Links, devices, pipes and sockets.
    pub specials: u64,
    /// Bytes of all files.
    pub bytes_processed: u64,
    /// Bytes really read from the source.
    pub bytes_read: u64,
    /// Pieces of files that at least one destination did not have.
    pub data_blobs_new: u64,
    /// Directories' trees that at least one destination did not have.
    pub tree_blobs_new: u64,
    /// Bytes of those pieces and trees before compression.
    pub bytes_new: u64,
    /// Bytes of packs that waited on disk for a slow destination.
    pub bytes_spilled: u64,
    /// Path and cause of everything that could not be read and is not in the backup.
    pub unreadable: Vec<(String, String)>,
}

/// What became of a backup at one destination.
#[derive(Debug)]
pub struct TargetOutcome {
    /// The destination, for messages.
    pub destination: String,
    /// The backup's name there, or why there is none.
    pub snapshot: Result<BackupId, RepositoryError>,
    /// Bytes written there: packs and index.
    pub bytes_stored: u64,
    /// The parent that its snapshot names.
    pub parent: Option<BackupId>,
}

//! The way of a backup into repositories: chunk, hash, known?, compress, encrypt, pack, every destination at once.
//!
//! The caller's thread walks; worker threads take files end to end; uploads run on the async runtime. On each
//! destination packs become durable before the index names them, and the index before the snapshot exists.

mod checkpoint;
mod chunker;
mod commit;
mod directory;
mod ending;
mod file_reader;
mod known;
mod naming;
mod opening;
mod options;
mod pack_pool;
mod packers;
mod parent;
mod proof;
mod queue;
mod reload;
mod session;
mod spill;
mod store;
mod target;
mod worker;
mod writer;

pub use chunker::{AVERAGE_CHUNK_BYTES, Chunker, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES};
pub use options::{BackupOptions, BackupSummary, FileContent, ParentRule, Seal, SpillOptions, TargetOutcome};
pub use writer::BackupWriter;

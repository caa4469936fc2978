//! The repository engine: restic's repository format, version 2, written and read by Larder's own code.
//!
//! It knows destinations by the trait [`larder_storage::Storage`] and entries by [`larder_model::Entry`]; it knows no
//! engine, task or database. Everything here blocks and belongs on threads of its own, never on an async thread.

mod archive;
mod backup;
mod blob;
mod blob_stream;
mod browse;
mod check;
mod cold;
mod compress;
mod config;
mod copy_blobs;
mod credentials;
mod crypto;
mod difference;
mod error;
mod fetch;
mod forget;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod go_text;
mod guarded;
mod heal;
mod id;
mod index;
mod index_file;
mod index_writer;
mod key_admin;
mod key_ring;
mod keys;
mod lanes;
mod layout;
mod load;
mod lock;
mod node;
mod objects;
mod pack;
mod pack_buffer;
mod polynomial;
mod presence;
mod protect;
mod prune;
mod repair;
mod repository;
mod restore;
mod salvage;
mod snapshot;
mod sources;
mod time_text;
mod tree;
mod tree_reader;
mod trees;
mod unlock;
mod unseal;
mod walk_blobs;

pub use archive::ArchiveSummary;
pub use backup::{
    AVERAGE_CHUNK_BYTES, BackupOptions, BackupSummary, BackupWriter, Chunker, FileContent, MAX_CHUNK_BYTES,
    MIN_CHUNK_BYTES, ParentRule, Seal, SpillOptions, TargetOutcome,
};
pub use blob::{BlobKind, PackedBlob};
pub use browse::{Browser, FileReader, Listed};
pub use check::{CheckOptions, CheckPart, CheckReport, InvalidPart, Loss, LostBlobs, LostEntry, Problem};
pub use compress::{Compression, Compressor, Decompressor};
pub use config::{Config, FORMAT_VERSION};
pub use credentials::{Credentials, InvalidKey, OPEN_PASSWORD, RawKey};
pub use crypto::{MasterKey, NoRandomness, NotAuthentic, OVERHEAD_BYTES};
pub use difference::{Alteration, Altered};
pub use error::RepositoryError;
pub use heal::{HealFailure, HealOptions, HealSummary, Lacking};
pub use id::{Id, InvalidId};
pub use index::{Index, IndexBuilder, IndexPack, Location};
pub use index_file::{IndexFile, IndexedBlob, IndexedPack, RetiredPack};
pub use key_admin::KeyInfo;
pub use key_ring::KeyRing;
pub use keys::{KeyError, KeyFile, KeyLabel};
pub use layout::{CONFIG_PATH, ObjectKind};
pub use lock::Lock;
pub use node::{Node, write_node};
pub use objects::VisitObject;
pub use pack::{FinishedPack, HeaderError, PACK_BYTES, PackBuilder, header_bytes, read_header, read_pack};
pub use pack_buffer::PackBuffer;
pub use polynomial::Polynomial;
pub use presence::{Presence, probe};
pub use protect::Protection;
pub use prune::{PruneOptions, PruneSummary};
pub use repair::{DamagedBackups, Remedy, RepairOptions, RepairReport, Repaired, VisitLoss, staged};
pub use repository::Repository;
pub use restore::{RestoreFailure, RestoreOptions, RestoreSummary, restore_from};
pub use snapshot::{Snapshot, SnapshotSummary};
pub use sources::SourceFault;
pub use tree::{Tree, TreeWriter};

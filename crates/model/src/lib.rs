//! The words of Larder: what users write and what they read, as plain values.
//!
//! Nothing here does I/O or looks at a clock. Every other room may import this one.

pub mod backup;
pub mod backup_path;
pub mod bandwidth;
pub mod clock;
pub mod control;
pub mod database;
pub mod date;
pub mod entry;
pub mod human;
pub mod name;
pub mod operation;
pub mod secret;
pub mod task;
pub mod timespan;

pub use backup::{BackupId, BackupKind, BackupQuality, RestorePoint};
pub use backup_path::{BackupPath, readable};
pub use bandwidth::{Bandwidth, BandwidthError};
pub use clock::Clock;
pub use control::{Cancel, Canceled, Counters, DestinationCount};
pub use database::{Database, EngineKind, Source, percent_decoded};
pub use entry::{Entry, EntryKind, Metadata, Timestamp};
pub use name::{DatabaseName, InvalidName};
pub use operation::{Operation, OperationId, OperationKind, OperationStatus};
pub use secret::Secret;
pub use task::{PeriodicBackupConfiguration, ServerWideBackupConfiguration};
pub use timespan::TimeSpan;

//! Tasks: how backups are made, said once.
//!
//! Names are RavenDB's where it has the thing; what is Larder's own follows its style. Every field may be absent.

mod address;
mod backup;
mod block;
mod destination;
mod hosts;
mod kind;
mod merge;
mod periodic;
mod read;
mod retention;
mod schedule;
mod secrets;
mod server_wide;
mod settings;

pub use backup::{
    BackupConfiguration, BackupEncryptionSettings, BackupType, BackupUploadMode, CompressionAlgorithm,
    CompressionLevel, EncryptionMode, SnapshotSettings,
};
pub use block::{Block, NamedDestination};
pub use destination::{
    AzureAccessTier, AzureSettings, ConfigurationScript, FtpSettings, GlacierRetrievalTier, GlacierSettings,
    GoogleCloudSettings, GoogleStorageClass, LocalSettings, S3ObjectLockMode, S3Settings, S3StorageClass,
    SftpSettings, WebDavSettings,
};
pub use kind::DestinationKind;
pub use merge::merge;
pub use periodic::{CatchUp, PeriodicBackupConfiguration};
pub use read::{WrongValue, read, unknown_key};
pub use retention::{Keep, RetentionPolicy};
pub use schedule::{BackupWindow, Periodicity, ScheduleEntry};
pub use secrets::SECRET_MASK;
pub use server_wide::{NamePrefix, Selector, ServerWideBackupConfiguration};
pub use settings::DestinationSettings;

/// What RavenDB puts before the name of a task that comes from a server-wide one.
pub const SERVER_WIDE_PREFIX: &str = "Server Wide Backup";

/// The backups that are kept whatever else a policy says.
pub const DEFAULT_MINIMUM_BACKUPS: u32 = 3;

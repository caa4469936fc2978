//! Destinations: the places that backups are written to, behind one trait.
//!
//! A destination holds named objects. It knows nothing of repositories, databases or tasks.

mod azure;
mod connect;
mod error;
mod folder;
mod ftp;
mod google;
mod http;
mod local;
mod local_direct;
mod local_file;
mod local_list;
mod objects;
mod pace;
mod pacer;
mod path;
mod patient;
mod prefix;
mod probe;
mod random;
mod range;
mod s3;
mod sftp;
mod storage;
mod unfinished;
mod vault;
mod webdav;

pub use connect::{Connector, ConnectorSettings};
pub use error::{StorageError, StorageErrorKind};
pub use folder::Folder;
pub use ftp::Ftp;
pub use local::Local;
pub use objects::{META, ObjectBytes, ObjectHead, ObjectPage, ObjectStore, ObjectUpload, OpenObject};
pub use patient::{
    AttemptLimits, BreakerSettings, CallKind, CallLimits, Patience, PatienceSettings, Patient, Standing,
    Traffic,
};
pub use probe::{Probe, ProbeAct, ProbeOutcome, ProbeReport, ProbeStep};
pub use s3::S3;
pub use sftp::Sftp;
pub use storage::{Availability, Capabilities, ObjectInfo, Storage};
pub use vault::Vault;
pub use webdav::WebDav;

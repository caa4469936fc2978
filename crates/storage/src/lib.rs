//! Destinations: the places that backups are written to, behind one trait.
//!
//! A destination holds named objects. It knows nothing of repositories, databases or tasks.

mod connect;
mod error;
mod folder;
mod ftp;
mod local;
mod local_direct;
mod local_file;
mod local_list;
mod path;
mod sftp;
mod storage;
mod unfinished;

pub use connect::{Connector, ConnectorSettings};
pub use error::{StorageError, StorageErrorKind};
pub use folder::Folder;
pub use ftp::Ftp;
pub use local::Local;
pub use sftp::Sftp;
pub use storage::{Availability, Capabilities, ObjectInfo, Storage};

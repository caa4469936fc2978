//! Destinations: the places that backups are written to, behind one trait.
//!
//! A destination holds named objects. It knows nothing of repositories, databases or tasks.

mod azure;
mod connect;
mod error;
mod folder;
mod google;
mod http;
mod local;
mod local_direct;
mod local_file;
mod local_list;
mod path;
mod prefix;
mod range;
mod storage;
mod webdav;

pub use connect::{Connector, ConnectorSettings};
pub use error::{StorageError, StorageErrorKind};
pub use folder::Folder;
pub use local::Local;
pub use storage::{Availability, Capabilities, ObjectInfo, Storage};
pub use webdav::WebDav;

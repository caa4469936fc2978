//! Destinations: the places that backups are written to, behind one trait.
//!
//! A destination holds named objects. It knows nothing of repositories, databases or tasks.

mod error;
mod folder;
mod storage;

pub use error::{StorageError, StorageErrorKind};
pub use folder::Folder;
pub use storage::{Capabilities, ObjectInfo, Storage};

//! A directory of this machine as a destination.

use crate::error::{StorageError, StorageErrorKind};
use crate::local_file::{self, Existing, Root};
use crate::local_list;
use crate::path;
use crate::storage::{Capabilities, ObjectInfo, Storage};
use async_trait::async_trait;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory as a destination: one object, one file.
///
/// An object is written under a temporary name below `<root>/.tmp`, synced, renamed into place, and its
/// directory synced, so that a crash leaves the old object or the new one. Temporary files of writers that
/// died are removed when the directory is opened.
#[derive(Clone, Debug)]
pub struct Local {
    root: Arc<Root>,
}

impl Local {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// `NotFound` where there is no such directory: it is not made, because a missing one is often a disk that is not
    /// mounted; and whatever the file system says.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        let opened = std::path::absolute(&root).and_then(Root::open);
        match opened {
            Ok(root) => Ok(Self { root: Arc::new(root) }),
            Err(error) => Err(failure("open", "", &root.display().to_string(), &error)),
        }
    }

    /// Makes a directory, with those above it, where it does not exist, and opens it.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        std::path::absolute(&root)
            .and_then(|root| local_file::make_root(&root))
            .map_err(|error| failure("create", "", &root.display().to_string(), &error))?;
        Self::open(root)
    }

    /// Runs file work on the blocking pool and puts an error into the words of a destination.
    async fn run<T, F>(&self, action: &'static str, path: &str, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&Root) -> io::Result<T> + Send + 'static,
    {
        let root = Arc::clone(&self.root);
        let outcome = match tokio::task::spawn_blocking(move || root.check().and_then(|()| work(&root))).await
        {
            Ok(outcome) => outcome,
            Err(stopped) => Err(io::Error::other(format!("the work was interrupted: {stopped}"))),
        };
        outcome.map_err(|error| failure(action, path, &self.describe(), &error))
    }

    fn accept(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        let objection = path::objection(path).or_else(|| {
            let first = path.split('/').next();
            (first == Some(local_file::TEMPORARY)).then_some("the folder .tmp is for unfinished writes")
        });
        objection.map_or(Ok(()), |cause| {
            Err(StorageError::new(StorageErrorKind::Invalid, action, path, self.describe(), cause))
        })
    }
}

#[async_trait]
impl Storage for Local {
    fn capabilities(&self) -> Capabilities {
        Capabilities { conditional_put: true, rename: true, free_space: true, ..Capabilities::default() }
    }

    fn describe(&self) -> String {
        self.root.path().display().to_string()
    }

    async fn put(&self, path: &str, data: Bytes) -> Result<(), StorageError> {
        self.accept("write", path)?;
        let name = path.to_owned();
        self.run("write", path, move |root| local_file::write(root, &name, &data, Existing::Replace)).await?;
        Ok(())
    }

    async fn put_new(&self, path: &str, data: Bytes) -> Result<bool, StorageError> {
        self.accept("write", path)?;
        let name = path.to_owned();
        self.run("write", path, move |root| local_file::write(root, &name, &data, Existing::Keep)).await
    }

    async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let name = path.to_owned();
        self.run("read", path, move |root| local_file::read(root, &name)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.accept("read", path)?;
        let name = path.to_owned();
        self.run("read", path, move |root| local_file::read_range(root, &name, range)).await
    }

    async fn stat(&self, path: &str) -> Result<Option<ObjectInfo>, StorageError> {
        self.accept("look up", path)?;
        let name = path.to_owned();
        let size = self.run("look up", path, move |root| local_file::size(root, &name)).await?;
        Ok(size.map(|size_bytes| ObjectInfo { path: path.to_owned(), size_bytes }))
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            self.accept("list", folder)?;
        }
        let name = folder.to_owned();
        self.run("list", folder, move |root| local_list::list(root, &name)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.accept("delete", path)?;
        let name = path.to_owned();
        self.run("delete", path, move |root| local_file::delete(root, &name)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.run("look up", "", |root| {
            let volume = rustix::fs::statvfs(root.path())?;
            Ok(Some(volume.f_bavail.saturating_mul(volume.f_frsize)))
        })
        .await
    }
}

fn failure(action: &'static str, path: &str, destination: &str, error: &io::Error) -> StorageError {
    let kind = kind_of(action, error);
    let mut cause = plain_words(error);
    if kind == StorageErrorKind::Denied {
        cause.push_str("; check the permissions of the user that Larder runs as");
    }
    StorageError::new(kind, action, path, destination, cause)
}

/// Tells the kinds of failure apart by the error number, as errno(3) and each call's manual page define them.
fn kind_of(action: &str, error: &io::Error) -> StorageErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => StorageErrorKind::NotFound,
        Io::NotADirectory if action == "read" => StorageErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => StorageErrorKind::Denied,
        Io::StorageFull | Io::QuotaExceeded => StorageErrorKind::Full,
        Io::UnexpectedEof | Io::InvalidData => StorageErrorKind::Damaged,
        Io::StaleNetworkFileHandle
        | Io::TimedOut
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::NotConnected
        | Io::ConnectionAborted
        | Io::ResourceBusy
        | Io::WouldBlock => StorageErrorKind::Unavailable,
        Io::NotADirectory | Io::IsADirectory | Io::InvalidInput | Io::InvalidFilename => {
            StorageErrorKind::Invalid
        }
        _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::IO) if action == "read" => StorageErrorKind::Damaged,
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE | rustix::io::Errno::NODEV) => {
                StorageErrorKind::Unavailable
            }
            Some(rustix::io::Errno::LOOP) => StorageErrorKind::Invalid,
            _ => StorageErrorKind::Other,
        },
    }
}

/// Leaves out the number that the standard library adds to the words of the system.
fn plain_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn error_numbers_are_told_apart() {
        let kinds = [
            (Errno::NOENT, StorageErrorKind::NotFound),
            (Errno::ACCESS, StorageErrorKind::Denied),
            (Errno::PERM, StorageErrorKind::Denied),
            (Errno::ROFS, StorageErrorKind::Denied),
            (Errno::NOSPC, StorageErrorKind::Full),
            (Errno::DQUOT, StorageErrorKind::Full),
            (Errno::IO, StorageErrorKind::Other),
            (Errno::STALE, StorageErrorKind::Unavailable),
            (Errno::TIMEDOUT, StorageErrorKind::Unavailable),
            (Errno::NAMETOOLONG, StorageErrorKind::Invalid),
            (Errno::NOTDIR, StorageErrorKind::Invalid),
        ];
        for (errno, kind) in kinds {
            assert_eq!(kind_of("write", &io::Error::from(errno)), kind, "{errno}");
        }
        assert_eq!(kind_of("read", &io::Error::from(Errno::IO)), StorageErrorKind::Damaged);
    }

    #[test]
    fn messages_carry_no_error_numbers() {
        let error = failure("write", "data/ab", "/srv/backups", &io::Error::from(Errno::NOSPC));
        assert_eq!(
            error.to_string(),
            "could not write 'data/ab' at /srv/backups: no space left on device; free space there, or choose another destination"
        );
    }
}

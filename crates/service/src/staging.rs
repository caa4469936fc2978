//! The directory for what cannot be streamed.

use crate::error::ServiceError;
use larder_model::OperationId;
use std::io;
use std::path::{Path, PathBuf};

/// How the directory of one operation begins; nothing else in the staging directory is touched.
const PREFIX: &str = "operation-";

/// Makes the staging directory, and removes what a crash left in it.
pub(crate) async fn empty(staging: &Path) -> Result<(), ServiceError> {
    let staging = staging.to_owned();
    let path = staging.display().to_string();
    let failed = |action, cause: String| ServiceError::Directory { action, path: path.clone(), cause };
    let emptied = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&staging).map_err(|cause| ("create", cause))?;
        remove_leftovers(&staging).map_err(|cause| ("empty", cause))
    });
    match emptied.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err((action, cause))) => Err(failed(action, cause.to_string())),
        Err(error) => Err(failed("empty", error.to_string())),
    }
}

fn remove_leftovers(staging: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(staging)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// The staging directory of one operation; it goes when this does.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes the directory of an operation. Blocking.
    pub(crate) fn create(staging: &Path, operation: OperationId) -> Result<Self, ServiceError> {
        let path = staging.join(format!("{PREFIX}{operation}"));
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self { path }),
            Err(cause) => Err(ServiceError::Directory {
                action: "create",
                path: path.display().to_string(),
                cause: cause.to_string(),
            }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a staging directory could not be removed; the next start does it");
        }
    }
}

/// Removes a directory with all that is in it, also below restored directories that nobody may write to.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            allow_removal(path)?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn allow_removal(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            allow_removal(&entry.path())?;
        }
    }
    Ok(())
}

//! Larder's own directory, and what lies in it.

use crate::exit::Failure;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directory given with `--data`, by its absolute path.
#[derive(Clone, Debug)]
pub(crate) struct DataDirectory {
    root: PathBuf,
}

impl DataDirectory {
    /// Makes the directory where there is none; only its owner may look into a new one.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let path = path.display();
            Failure::new(format!(
                "could not make the data directory '{path}': {error}; choose another with --data, or give this user the right to it"
            ))
        };
        private_directory(path).map_err(failed)?;
        let root = fs::canonicalize(path).map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let data = Self { root };
        private_directory(&data.staging()).map_err(failed)?;
        Ok(data)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.redb")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("larder.toml")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Returns the directory of the default destination, which each database gets a folder in.
    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Makes the directory of the default destination.
    pub(crate) fn make_backups(&self) -> Result<PathBuf, Failure> {
        let path = self.backups();
        private_directory(&path).map_err(|error| {
            let path = path.display();
            Failure::new(format!("could not make '{path}' for backups: {error}; check the disk it lies on"))
        })?;
        Ok(path)
    }

    /// Says whether a server ran here before, so that a missing key is a loss and not a beginning.
    pub(crate) fn was_used(&self) -> bool {
        let holds_something =
            |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        self.state().exists() || holds_something(&self.backups())
    }

    /// Says who else may look into the directory, as mode bits; 0 where nobody may.
    pub(crate) fn open_to_others(&self) -> u32 {
        fs::metadata(&self.root).map_or(0, |metadata| metadata.permissions().mode() & 0o077)
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

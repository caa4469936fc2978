//! How `ssh` gets secrets: from files that only their owner can read, and only while it logs in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Prints the password that lies beside it: `ssh` calls it when it is asked for one. Neither the environment nor the list
/// of processes shows more than its path.
const ASKPASS: &str = "#!/bin/sh\nexec cat \"${0%/*}/password\"\n";

/// A directory that only its owner can enter, removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    /// Makes one with a name that nobody can guess.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        let random = || RandomState::new().build_hasher().finish();
        let path = parent.join(format!("larder-ssh-{:016x}{:016x}", random(), random()));
        // Fails where something of that name is there.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Returns the path of a name inside.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.write_with_mode(name, text, 0o600)
    }

    /// Writes a password, and the program that hands it to `ssh`; returns the program's path.
    pub(super) fn write_askpass(&self, password: &str) -> io::Result<PathBuf> {
        if password.contains(['\r', '\n', '\0']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the password has a line break"));
        }
        self.write("password", &format!("{password}\n"))?;
        self.write_with_mode("askpass", ASKPASS, 0o700)
    }

    fn write_with_mode(&self, name: &str, text: &str, mode: u32) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

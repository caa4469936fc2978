//! A restored file before it has its name.

use crate::dump::file_failure;
use crate::error::EngineError;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that goes away unless it was renamed.
pub(crate) struct Temporary {
    /// Where it is now.
    pub(crate) path: PathBuf,
}

impl Temporary {
    /// Makes a new file in the same directory, so that renaming it into place is one step.
    pub(crate) fn beside(target: &Path) -> Result<Self, EngineError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let short: String = name.chars().take(40).collect();
        for number in 0..1_000 {
            let path = target.with_file_name(format!(".{short}.restoring-{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(_) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(file_failure(&path, error)),
            }
        }
        Err(file_failure(target, io::Error::other("no temporary name is free beside it")))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

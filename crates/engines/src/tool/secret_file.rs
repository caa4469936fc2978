//! A password in a file, for programs that take it no other way.

use crate::error::EngineError;
use crate::words::plain;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that only its owner can read, in a directory that only its owner can enter; both go away when it is dropped.
#[derive(Debug)]
pub(crate) struct SecretFile {
    directory: PathBuf,
    path: PathBuf,
}

impl SecretFile {
    /// Writes a file below a directory: the job's staging or scratch.
    pub(crate) fn write(below: &Path, name: &str, contents: &str) -> Result<Self, EngineError> {
        let failed = |error: io::Error| EngineError::Failed {
            action: format!("writing a password below {}", below.display()),
            cause: plain(error),
            remedy: "check the space and the permissions of the directory".to_owned(),
        };
        let directory = (0..1_000)
            .map(|number| below.join(format!(".secret-{number}")))
            .find_map(|directory| match DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                outcome => Some(outcome.map(|()| directory)),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
            .map_err(failed)?;
        let file = Self { path: directory.join(name), directory };
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&file.path);
        opened.and_then(|mut opened| opened.write_all(contents.as_bytes())).map_err(failed)?;
        Ok(file)
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::SecretFile;
    use larder_testbed::TempDir;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_may_look_and_nothing_is_left() {
        let below = TempDir::new();
        let first = SecretFile::write(below.path(), "pass", "open sesame").unwrap();
        let second = SecretFile::write(below.path(), "pass", "other").unwrap();
        assert_eq!(std::fs::read_to_string(first.path()).unwrap(), "open sesame");
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(first.path()), mode(first.path().parent().unwrap())), (0o600, 0o700));
        drop((first, second));
        assert_eq!(below.path().read_dir().unwrap().count(), 0);
    }
}

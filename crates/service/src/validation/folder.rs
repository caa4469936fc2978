//! Whether a local folder can be written to, found out before the first backup.

use crate::destination;
use crate::error::ServiceError;
use larder_model::task::BackupConfiguration;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a folder may take to be tried out.
const LONGEST_TRY: Duration = Duration::from_secs(10);

/// Tries every local root that is known now; nothing is left behind, so that the first backup makes the root and
/// from then on knows it.
pub(crate) async fn check_writable(backup: &BackupConfiguration) -> Result<(), ServiceError> {
    let roots = destination::directories(backup);
    let tried = tokio::task::spawn_blocking(move || {
        roots.into_iter().find_map(|root| try_out(&root).err().map(|cause| (root, cause)))
    });
    // A disk that does not answer must not hold up every other change.
    let Ok(tried) = tokio::time::timeout(LONGEST_TRY, tried).await else {
        return Err(ServiceError::invalid(
            "LocalSettings.FolderPath",
            format!(
                "the disk of the folder does not answer within {} s; check that it is mounted and works",
                LONGEST_TRY.as_secs()
            ),
        ));
    };
    match tried {
        Ok(None) => Ok(()),
        Ok(Some((root, cause))) => Err(ServiceError::invalid(
            "LocalSettings.FolderPath",
            format!(
                "'{}' cannot be written to: {cause}; give Larder the right to it, or choose another folder",
                root.display()
            ),
        )),
        Err(error) => Err(ServiceError::conflict(format!(
            "trying the folder out ended by a fault of the program: {error}; please report it"
        ))),
    }
}

/// Tries a folder out; the error is the middle of a sentence.
pub(crate) async fn try_folder(root: PathBuf) -> Result<(), String> {
    let tried = tokio::task::spawn_blocking(move || try_out(&root).map_err(|error| error.to_string()));
    match tokio::time::timeout(LONGEST_TRY, tried).await {
        Ok(Ok(tried)) => tried,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("its disk does not answer within {} s", LONGEST_TRY.as_secs())),
    }
}

fn try_out(root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root.ancestors().take_while(|path| !path.exists()).collect();
    let tried = fs::create_dir_all(root).and_then(|()| write_in(root));
    for path in missing {
        // Only what is empty goes, and only what was not there before.
        if fs::remove_dir(path).is_err() {
            break;
        }
    }
    tried
}

fn write_in(root: &Path) -> io::Result<()> {
    let probe = root.join(format!(".larder-can-write-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

    #[test]
    fn trying_a_folder_out_leaves_nothing_behind() {
        let directory = TempDir::new();
        try_out(&directory.join("a/b/c")).unwrap();
        assert!(!directory.join("a").exists());
        fs::create_dir(directory.join("there")).unwrap();
        try_out(&directory.join("there/below")).unwrap();
        assert_eq!(fs::read_dir(directory.join("there")).unwrap().count(), 0);
        fs::write(directory.join("file"), "x").unwrap();
        assert!(try_out(&directory.join("file/below")).is_err());
        assert!(try_out(Path::new("/proc/nope")).is_err());
    }
}

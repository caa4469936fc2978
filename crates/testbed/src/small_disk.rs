//! A disk that is soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Says whether the tests run as root, who alone may mount, and open ports below 1024.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A small file system in memory, mounted on a directory until dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts so many MiB on a directory; nothing where the tests may not mount, which only root may.
    #[must_use]
    pub fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(path);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self { path: path.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server that is ended after this may have its working directory there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}

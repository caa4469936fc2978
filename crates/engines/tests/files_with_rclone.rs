//! A bucket mounted below a tree: rclone mounts a directory of this host, which to the kernel is any cloud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod memory;

use larder_engines::{BackupJob, BackupReport, Engine, Files};
use larder_model::task::BackupType;
use larder_model::{BackupKind, Cancel, Counters, EngineKind, Source};
use larder_testbed::{TempDir, from_pypi, installed, wait_until};
use memory::{MemoryBackup, database, source};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A mount in user space, which ends with this.
struct Mount {
    child: Child,
    at: PathBuf,
}

impl Mount {
    fn new(shows: &Path, at: &Path) -> Self {
        let child = Command::new(from_pypi("rclone"))
            .args(["mount", "--config", "/dev/null", "--vfs-cache-mode", "off"])
            .arg(format!(":local:{}", shows.display()))
            .arg(at)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut mount = Self { child, at: at.to_owned() };
        let wanted = at.display().to_string();
        wait_until("the mount", Duration::from_secs(30), || {
            let ended = mount.child.try_wait().unwrap();
            assert!(ended.is_none(), "rclone could not mount; is the Debian package fuse3 installed?");
            fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&wanted).then_some(())
        });
        mount
    }

    /// Kills the other side, so that whatever looks at the mount is told that nobody is there.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new(installed("fusermount3", "fuse3")).args(["-u", "-z"]).arg(&self.at).output();
        self.kill();
    }
}

fn backup(source: &Source) -> (MemoryBackup, BackupReport) {
    let (mut sink, counters) = (MemoryBackup::default(), Counters::default());
    let job = BackupJob {
        source,
        database: &database(source, &source.address),
        kind: BackupKind::Full,
        backup_type: BackupType::default(),
        chain: "test",
        previous: None,
        staging: Path::new("/nonexistent"),
        own_directories: &[],
        cancel: &Cancel::new(),
        counters: &counters,
    };
    let report = Files::default().backup(&job, &mut sink).unwrap();
    assert_eq!(sink.unreadable, []);
    (sink, report)
}

#[test]
fn a_cloud_mount_is_left_alone_and_said_to_have_no_backup_unless_it_is_asked_for() {
    let (directory, cloud) = (TempDir::new(), TempDir::new());
    fs::create_dir_all(directory.join("tree/media")).unwrap();
    fs::write(directory.join("tree/page"), "here").unwrap();
    fs::write(cloud.join("picture"), "far away").unwrap();
    let mut mount = Mount::new(cloud.path(), &directory.join("tree/media"));
    let mut source = source(EngineKind::Files, &directory.join("tree"));
    let (sink, report) = backup(&source);
    assert_eq!(sink.names(), ["page"]);
    let told = report.messages.join("; ");
    assert!(told.contains("not backed up") && told.contains("media is fuse.rclone"), "{told}");
    // Whoever asks for it gets it, and so does who names it.
    source.options.insert("CloudMounts".to_owned(), "read".to_owned());
    let (sink, report) = backup(&source);
    assert_eq!(sink.names(), ["media", "media/picture", "page"]);
    assert_eq!(report.messages, [""; 0]);
    let itself = Source { address: directory.join("tree/media").display().to_string(), ..source.clone() };
    assert_eq!(backup(&itself).0.names(), ["picture"]);
    // The other side is gone: the rest of the tree does not suffer from it.
    source.options.clear();
    mount.kill();
    assert!(fs::read_dir(directory.join("tree/media")).is_err());
    let (sink, report) = backup(&source);
    assert_eq!(sink.names(), ["page"]);
    assert!(report.messages.join("; ").contains("fuse.rclone"));
}

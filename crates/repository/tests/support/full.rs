//! The drill of the full disk: a small disk of its own, filled to each percent of the space that a run needs.

use super::specimen::{Specimen, check, prune};
use larder_model::BackupId;
use larder_repository::{Repository, RepositoryError};
use larder_storage::Local;
use larder_testbed::Random;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Tells the process that has a disk of its own how many percent lie between two cases.
const STEP: &str = "LARDER_TEST_DISK_STEP";
/// A disk with space for everything, in bytes.
const AMPLE: u64 = 64 << 20;
const FILES: u64 = 40;
const FILE_BYTES: usize = 30_000;

/// Runs an ignored test of this binary where it may mount disks: in a mount namespace, which ends with it.
pub fn with_a_disk_of_its_own(test: &str, step: usize) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user"]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(STEP, step.to_string());
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if said.starts_with("unshare:") {
        let skipped = format!("SKIPPED: this needs a mount namespace, which is not permitted here: {said}");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return;
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn step() -> Option<usize> {
    std::env::var(STEP).ok().map(|step| step.parse().unwrap())
}

struct Disk {
    specimen: Specimen,
    path: PathBuf,
    /// What lies on it when a case begins.
    template: PathBuf,
    /// The tree of the backup that is made, or that stays.
    tree: PathBuf,
}

fn mount(options: &str, path: &Path) {
    let mut command = Command::new("mount");
    let status = command.args(["-t", "tmpfs", "-o", options, "none"]).arg(path).status();
    assert!(status.unwrap().success(), "mount -o {options}");
}

impl Disk {
    fn new() -> Self {
        let specimen = Specimen::new();
        let (path, template) = (specimen.bench.path("disk"), specimen.bench.path("template"));
        let tree = specimen.bench.path("new");
        for directory in [&path, &template, &tree] {
            fs::create_dir(directory).unwrap();
        }
        for number in 0..FILES {
            fs::write(tree.join(number.to_string()), Random::new(number + 50).bytes(FILE_BYTES)).unwrap();
        }
        mount(&format!("size={AMPLE}"), &path);
        for (object, bytes) in &specimen.objects {
            let file = path.join(object);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        Self { specimen, path, template, tree }
    }

    fn resize(&self, bytes: u64) {
        mount(&format!("remount,size={bytes}"), &self.path);
    }

    fn copy(from: &Path, to: &Path) {
        let status = Command::new("sh")
            .args(["-c", r#"rm -rf "$2"/* "$2"/.tmp && cp -a "$1"/. "$2""#, "sh"])
            .args([from, to])
            .status();
        assert!(status.unwrap().success());
    }

    fn save(&self) {
        Self::copy(&self.path, &self.template);
    }

    fn reset(&self) {
        self.resize(AMPLE);
        Self::copy(&self.template, &self.path);
    }

    fn used(&self) -> u64 {
        let volume = rustix::fs::statvfs(&self.path).unwrap();
        (volume.f_blocks - volume.f_bfree) * volume.f_frsize
    }

    fn open(&self) -> Repository {
        self.specimen.try_open(Arc::new(Local::open(&self.path).unwrap())).unwrap()
    }

    /// Restores every backup there is, to another disk, and returns how many there are.
    fn assert_all_restore(&self, when: &str) -> usize {
        let repository = self.open();
        let snapshots = repository.snapshots().unwrap();
        for snapshot in &snapshots {
            let known = self.specimen.backups.iter().find(|backup| backup.id == snapshot.id);
            let tree = known.map_or(&self.tree, |backup| &backup.tree);
            let restored = self.specimen.restore(&repository, snapshot, tree);
            restored.unwrap_or_else(|error| panic!("{when}: {error}"));
        }
        snapshots.len()
    }

    fn assert_sound(&self, when: &str) {
        let report = check(&self.open()).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
    }

    /// The error says that the disk is full, which one, and what to do.
    fn assert_names_the_disk(&self, error: &RepositoryError, when: &str) {
        let said = error.to_string();
        let disk = self.path.display().to_string();
        for part in ["no space left on device", disk.as_str(), "free space there"] {
            assert!(said.contains(part), "{when}: {said}");
        }
    }
}

/// Backs up onto a disk that has only so much of the space that it takes.
pub fn back_up_onto_full_disks() {
    let Some(step) = step() else { return };
    let disk = Disk::new();
    disk.save();
    let before = disk.used();
    disk.specimen.back_up(&disk.open(), &disk.tree).unwrap();
    let needed = disk.used() - before;
    let mut full = 0;
    for percent in (0..100).step_by(step) {
        let when = format!("with {percent} % of the space for a backup");
        disk.reset();
        disk.resize(before + needed * percent / 100);
        match disk.specimen.back_up(&disk.open(), &disk.tree) {
            Ok(_) => assert_eq!(disk.assert_all_restore(&when), 3, "{when}: a false green"),
            Err(error) => {
                full += 1;
                disk.assert_names_the_disk(&error, &when);
                assert_eq!(disk.assert_all_restore(&when), 2, "{when}");
            }
        }
        disk.assert_sound(&when);
        disk.resize(AMPLE);
        disk.specimen
            .back_up(&disk.open(), &disk.tree)
            .unwrap_or_else(|error| panic!("{when}, then: {error}"));
        prune(&disk.open()).unwrap();
        disk.assert_sound(&when);
        disk.assert_all_restore(&when);
    }
    assert!(full * step >= 90, "only {full} cases were full");
}

/// Prunes on a disk that has only so much of the space that the new packs take.
pub fn prune_on_full_disks() {
    let Some(step) = step() else { return };
    let disk = Disk::new();
    let first = made(disk.specimen.back_up(&disk.open(), &disk.tree).unwrap());
    for number in 0..FILES / 2 {
        fs::remove_file(disk.tree.join((2 * number).to_string())).unwrap();
    }
    disk.specimen.back_up(&disk.open(), &disk.tree).unwrap();
    disk.open().remove_snapshots(&[first]).unwrap();
    disk.save();
    let (before, planned) = (disk.used(), prune(&disk.open()).unwrap());
    assert!(planned.repacked_bytes > FILES / 3 * FILE_BYTES as u64, "{planned:?}");
    // The lock, and the new index, come on top of the packs.
    let needed = planned.repacked_bytes + 16_384;
    let mut full = 0;
    for percent in (0..100).step_by(step) {
        let when = format!("with {percent} % of the space for a prune");
        disk.reset();
        disk.resize(before + needed * percent / 100);
        if let Err(error) = prune(&disk.open()) {
            full += 1;
            disk.assert_names_the_disk(&error, &when);
        }
        disk.assert_sound(&when);
        assert_eq!(disk.assert_all_restore(&when), 3, "{when}");
        disk.resize(AMPLE);
        prune(&disk.open()).unwrap_or_else(|error| panic!("{when}, then: {error}"));
        disk.assert_sound(&when);
        assert_eq!(disk.assert_all_restore(&when), 3, "{when}");
        assert!(disk.used() < before, "{when}");
    }
    assert!(full * step >= 80, "only {full} cases were full");
}

fn made(summary: larder_repository::BackupSummary) -> BackupId {
    summary.targets.into_iter().next().unwrap().snapshot.unwrap()
}

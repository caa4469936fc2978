//! The drill of kill -9: a run is killed at a random moment, and the next must start unaided.

use larder_testbed::{Random, Restic, TempDir, compare_trees, kill_after};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const FILES: u64 = 400;

/// Kills so many runs while they back up, each at a random moment; every run after a kill must end well, and the
/// repository stay sound.
pub fn kill_at_random_moments(kills: u32) {
    let place = TempDir::new();
    let (tree, data, said) = (place.join("tree"), place.join("data"), place.join("said"));
    let mut random = Random::new(4711);
    write_tree(&tree, &mut random);

    let begun = Instant::now();
    run_to_the_end(&data, &tree);
    // About when the backup is done and the proof begins; later kills would hit no backup.
    let backup = begun.elapsed().mul_f64(0.6);

    let (mut killed, mut tries) = (0, 0);
    while killed < kills {
        tries += 1;
        assert!(tries <= 8 * kills, "only {killed} of {tries} kills hit a backup");
        change_tree(&tree, &mut random);
        let mut child = quickstart(&data, &tree).stderr(File::create(&said).unwrap()).spawn().unwrap();
        kill_after(&mut child, backup.mul_f64(random.below(10_000) as f64 / 10_000.0));
        let said = fs::read_to_string(&said).unwrap();
        if said.contains("Backing up") && !said.contains("backup completed") {
            killed += 1;
            run_to_the_end(&data, &tree);
        }
    }

    let password = fs::read_to_string(data.join("key")).unwrap();
    let restic = Restic::new(data.join("backups/tree"), password.trim());
    restic.check_read_data();
    assert!(restic.list("locks").is_empty(), "a lock was left behind");
    let restored = place.join("restored");
    restic.restore("latest", &restored);
    assert_eq!(compare_trees(&tree, &restored), Vec::<String>::new());
}

fn quickstart(data: &Path, tree: &Path) -> Command {
    let mut command = super::larder();
    command.arg("quickstart").arg("--once").arg("--data").arg(data).arg(tree);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn run_to_the_end(data: &Path, tree: &Path) {
    let output = quickstart(data, tree).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(
        output.status.success(),
        "the run after a kill did not end well:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write_tree(tree: &Path, random: &mut Random) {
    fs::create_dir(tree).unwrap();
    for number in 0..FILES {
        let folder = tree.join(format!("folder{}", number % 20));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("file{number}")), random.bytes(60_000)).unwrap();
    }
}

/// Rewrites some files, so that every run has something to store.
fn change_tree(tree: &Path, random: &mut Random) {
    for _ in 0..20 {
        let number = random.below(FILES);
        let path = tree.join(format!("folder{}/file{number}", number % 20));
        fs::write(path, random.bytes(60_000)).unwrap();
    }
}

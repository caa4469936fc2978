//! The drill of kill -9 in a prune: it is killed at a random moment, and everything goes on unaided.

use super::Bench;
use super::specimen::{check, prune};
use larder_model::{Cancel, Counters};
use larder_repository::{Repository, RestoreOptions};
use larder_storage::Local;
use larder_testbed::{Random, Restic, compare_trees, kill_after};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILES: u64 = 300;
const FILE_BYTES: usize = 60_000;
/// How many backups there are at each prune; the oldest is removed before it.
const KEPT: usize = 2;
/// Names the repository to the process that is to be killed.
const PLACE: &str = "LARDER_TEST_PRUNE";

/// The work of the process that is killed; call it from an ignored test of this name: `prunes_until_it_is_killed`.
pub fn prune_as_told() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let bench = Bench::new();
    let repository = bench.open(Arc::new(Local::open(PathBuf::from(path)).unwrap()));
    // The one who kills waits for this line, so that every kill is aimed at a prune.
    std::io::Write::write_all(&mut std::io::stdout(), b"\nprune begins\n").unwrap();
    prune(&repository).unwrap();
}

fn start_pruning(repository: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["prunes_until_it_is_killed", "--exact", "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env(PLACE, repository).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        said.any(|line| line.unwrap().contains("prune begins")),
        "the process to be killed did not begin"
    );
    // Whoever reads no more must not stop the writer.
    std::thread::spawn(move || said.for_each(drop));
    child
}

struct Drill {
    bench: Bench,
    path: PathBuf,
    /// Each backup that is there, and a copy of the tree that it is of.
    trees: Vec<(larder_model::BackupId, PathBuf)>,
    source: PathBuf,
    random: Random,
    made: u32,
}

impl Drill {
    /// Rewrites a fifth of the files, backs up, and removes the oldest backup: a prune then has much to copy.
    fn back_up_and_forget(&mut self, repository: &Repository) {
        let rewritten = if self.made == 0 { FILES } else { FILES / 5 };
        for number in 0..rewritten {
            let number = if self.made == 0 { number } else { self.random.below(FILES) };
            fs::write(self.source.join(number.to_string()), self.random.bytes(FILE_BYTES)).unwrap();
        }
        let done = self.bench.back_up(std::slice::from_ref(repository), &self.source);
        let id = done.targets.into_iter().next().unwrap().snapshot.unwrap();
        self.made += 1;
        let copy = self.bench.path(&format!("copy-{}", self.made));
        let copied = Command::new("cp").args(["-a", "--reflink=auto"]).args([&self.source, &copy]).status();
        assert!(copied.unwrap().success());
        self.trees.push((id, copy));
        if self.trees.len() > KEPT {
            let (oldest, copy) = self.trees.remove(0);
            repository.remove_snapshots(&[oldest]).unwrap();
            fs::remove_dir_all(copy).unwrap();
        }
    }

    fn open(&self) -> Repository {
        self.bench.open(Arc::new(Local::open(&self.path).unwrap()))
    }

    /// Every backup that was finished comes back as it was.
    fn assert_all_restore(&self, repository: &Repository) {
        let snapshots = repository.snapshots().unwrap();
        assert_eq!(snapshots.len(), self.trees.len());
        for (id, tree) in &self.trees {
            let snapshot = snapshots.iter().find(|snapshot| snapshot.id == *id).expect("a finished backup");
            let target = self.bench.path("restored");
            let options = RestoreOptions::default();
            repository
                .restore(snapshot, &target, &options, &Cancel::new(), &Arc::new(Counters::default()))
                .unwrap();
            assert_eq!(compare_trees(tree, &target), [""; 0]);
            fs::remove_dir_all(target).unwrap();
        }
    }
}

/// Kills so many prunes, each at a random moment while it runs.
pub fn kill_prunes(kills: u32) {
    let bench = Bench::new();
    let (path, source) = (bench.path("repository"), bench.path("source"));
    fs::create_dir(&source).unwrap();
    bench.create(Arc::new(Local::create(&path).unwrap()));
    let restic = Restic::new(&path, super::PASSWORD);
    let (trees, random) = (Vec::new(), Random::new(4711));
    let mut drill = Drill { bench, path, trees, source, random, made: 0 };
    let repository = drill.open();
    for _ in 0..=KEPT {
        drill.back_up_and_forget(&repository);
    }
    let began = Instant::now();
    assert!(start_pruning(&drill.path).wait().unwrap().success());
    let mut usual = began.elapsed();

    let (mut killed, mut tries) = (0, 0);
    while killed < kills {
        tries += 1;
        assert!(tries <= 4 * kills, "only {killed} of {tries} kills hit a prune");
        drill.back_up_and_forget(&repository);
        let mut child = start_pruning(&drill.path);
        let began = Instant::now();
        let ending = kill_after(&mut child, usual.mul_f64(drill.random.below(10_000) as f64 / 10_000.0));
        if !ending.was_killed {
            assert!(ending.status.success(), "a prune ended badly");
            usual = usual.min(began.elapsed()).max(Duration::from_millis(5));
            continue;
        }
        killed += 1;
        // Unaided: no unlock, no repair. Every second time a backup comes first, as it may.
        let next = drill.open();
        if killed % 2 == 0 {
            prune(&next).unwrap_or_else(|error| panic!("the prune after kill {killed}: {error}"));
        }
        if killed % 10 == 0 {
            let report = check(&next).unwrap();
            assert!(report.is_clean(), "after kill {killed}: {:?}", report.problems);
            drill.assert_all_restore(&next);
        }
        if killed % 20 == 0 {
            restic.check_read_data();
        }
    }
    prune(&repository).unwrap();
    drill.assert_all_restore(&repository);
    restic.check_read_data();
    assert!(restic.list("locks").is_empty(), "a lock was left behind");
    let (last, tree) = drill.trees.last().unwrap();
    let restored = drill.bench.path("restored by restic");
    restic.restore(&last.0, &restored);
    assert_eq!(compare_trees(tree, &restored), [""; 0]);
}

//! The drill of the power cut: a recorded run of backups, a removal and a prune is cut at random moments.

use super::Bench;
use super::specimen::{Specimen, check, prune, write_tree};
use larder_model::BackupId;
use larder_repository::Repository;
use larder_storage::Local;
use larder_testbed::{Journal, Random, TempDir};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Names the directory of the specimen to the process that is recorded.
const PLACE: &str = "LARDER_TEST_POWER_CUT";
/// Trees that the recorded process backs up one after another.
const TREES: u64 = 3;

fn say(text: &str) {
    std::io::Write::write_all(&mut std::io::stdout(), format!("\n{text}\n").as_bytes()).unwrap();
}

/// The work that is recorded; call it from an ignored test of this name: `backs_up_and_prunes_to_be_recorded`.
pub fn work_to_be_recorded() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let bench = Bench::new();
    let repository = bench.open(Arc::new(Local::open(place.join("repository")).unwrap()));
    let mut oldest: Vec<BackupId> = repository.snapshots().unwrap().into_iter().map(|s| s.id).collect();
    for number in 0..TREES {
        let done = bench.back_up(std::slice::from_ref(&repository), &place.join(format!("new-{number}")));
        let id = done.targets.into_iter().next().unwrap().snapshot.unwrap();
        say(&format!("made {number} {id}"));
        let removed = oldest.remove(0);
        say(&format!("removes {removed}"));
        repository.remove_snapshots(&[removed]).unwrap();
        prune(&repository).unwrap();
        oldest.push(id);
    }
}

struct Recording {
    specimen: Specimen,
    journal: Journal,
    /// What the repository held when the recorded process began.
    before: PathBuf,
    place: PathBuf,
}

fn record() -> Recording {
    let specimen = Specimen::new();
    let place = specimen.bench.path("recorded");
    let (repository, before) = (place.join("repository"), place.join("before"));
    for directory in [&repository, &before] {
        for (object, bytes) in &specimen.objects {
            let file = directory.join(object);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }
    // Each holds most of what the one before holds, so that a prune has to copy.
    for number in 0..TREES {
        let tree = place.join(format!("new-{number}"));
        write_tree(&tree, 10);
        for own in 0..=number {
            fs::write(tree.join(format!("own-{own}")), Random::new(own + 99).bytes(20_000)).unwrap();
        }
        fs::remove_file(tree.join(format!("random-{number}"))).unwrap();
        fs::write(tree.join("changing"), Random::new(number).bytes(30_000)).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["backs_up_and_prunes_to_be_recorded", "--exact", "--ignored", "--nocapture"]);
    command.args(["--test-threads", "1"]).env(PLACE, &place);
    let journal = Journal::record(&command, &repository);
    Recording { specimen, journal, before, place }
}

/// Cuts the power so many times, each time at a random moment.
pub fn cut_the_power(seeds: u64) {
    let recording = record();
    assert!(recording.journal.renames() > 15, "{}", recording.journal.renames());
    assert_eq!(recording.journal.careless_renames(), [""; 0]);
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    recording.cut(seed);
                }
            });
        }
    });
}

impl Recording {
    fn cut(&self, seed: u64) {
        let mut random = Random::new(seed + 1);
        let moment = random.below(self.journal.moments() as u64 + 1) as usize;
        let when = format!("seed {seed}, cut at {moment} of {}", self.journal.moments());
        let memory = Path::new("/dev/shm");
        let left = if memory.is_dir() { TempDir::inside(memory) } else { TempDir::new() };
        let path = left.join("repository");
        self.journal.play_back(&self.before, &path, moment, &mut random);

        let (trees, must_be_there) = self.promised(moment);
        // Unaided: no unlock, no repair.
        let repository = self.specimen.try_open(Arc::new(Local::open(&path).unwrap()));
        let repository = repository.unwrap_or_else(|error| panic!("{when}: {error}"));
        self.assert_backups(&repository, &trees, &must_be_there, &when);
        let newest = self.place.join(format!("new-{}", TREES - 1));
        let made = self.specimen.back_up(&repository, &newest);
        let made = made.unwrap_or_else(|error| panic!("{when}, the next backup: {error}"));
        let made = made.targets.into_iter().next().unwrap().snapshot.unwrap();
        prune(&repository).unwrap_or_else(|error| panic!("{when}, the next prune: {error}"));
        let report = check(&repository).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        let mut trees = trees;
        trees.insert(made.clone(), newest);
        self.assert_backups(&repository, &trees, &[must_be_there, vec![made]].concat(), &when);
        assert_eq!(fs::read_dir(path.join("locks")).unwrap().count(), 0, "{when}: a lock stays");
        let unfinished = fs::read_dir(path.join(".tmp")).map_or(0, Iterator::count);
        assert_eq!(unfinished, 0, "{when}: an unfinished write stays");
    }

    /// Returns the tree of each backup there may be, and the backups that must be there after a cut.
    fn promised(&self, moment: usize) -> (BTreeMap<BackupId, PathBuf>, Vec<BackupId>) {
        let all = self.journal.said_before(usize::MAX);
        let before = self.journal.said_before(moment);
        let mut trees: BTreeMap<BackupId, PathBuf> =
            self.specimen.backups.iter().map(|backup| (backup.id.clone(), backup.tree.clone())).collect();
        let mut there: Vec<BackupId> = trees.keys().cloned().collect();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for line in all.lines().map(words).filter(|words| words.len() == 3 && words[0] == "made") {
            trees.insert(BackupId(line[2].clone()), self.place.join(format!("new-{}", line[1])));
        }
        for line in before.lines().map(words) {
            match line.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["made", _, id] => there.push(BackupId(id.to_owned())),
                ["removes", id] => there.retain(|other| other.0 != id),
                _ => {}
            }
        }
        (trees, there)
    }

    /// Every backup that is listed comes back whole, and those that must be listed are.
    fn assert_backups(
        &self,
        repository: &Repository,
        trees: &BTreeMap<BackupId, PathBuf>,
        must_be_there: &[BackupId],
        when: &str,
    ) {
        let snapshots = repository.snapshots().unwrap_or_else(|error| panic!("{when}: {error}"));
        for id in must_be_there {
            assert!(snapshots.iter().any(|snapshot| snapshot.id == *id), "{when}: the backup {id} is lost");
        }
        for snapshot in &snapshots {
            let restored = self.specimen.restore(repository, snapshot, &trees[&snapshot.id]);
            restored.unwrap_or_else(|error| panic!("{when}: the backup {}: {error}", snapshot.id));
        }
    }
}

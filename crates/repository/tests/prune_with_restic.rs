//! Stock restic judges what a prune leaves: of backups of ours and of its own in one repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupId, Cancel, Counters};
use larder_repository::{ObjectKind, PruneOptions, PruneSummary, Repository};
use larder_storage::{Local, StorageErrorKind};
use larder_testbed::{Fault, FaultyStorage, Random, Restic, compare_trees_restored_by_restic};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::Bench;

fn thorough() -> PruneOptions {
    PruneOptions { max_unused_percent: 0.0, ..PruneOptions::default() }
}

fn prune(repository: &Repository, options: &PruneOptions) -> PruneSummary {
    repository.prune(options, &Cancel::new(), &Counters::default()).unwrap()
}

fn pack_bytes(repository: &Repository) -> u64 {
    repository.list(ObjectKind::Pack).unwrap().iter().map(|(_, bytes)| bytes).sum()
}

/// A repository, its judge, and a copy of what each of its backups saw.
struct History {
    bench: Bench,
    repository: Repository,
    restic: Restic,
    saw: BTreeMap<String, PathBuf>,
}

impl History {
    /// Makes backups of a changing directory, in turn with Larder and with restic.
    fn of(rounds: u64, file_bytes: usize) -> Self {
        let bench = Bench::new();
        let (repository, restic) = bench.local("repository");
        let mut this = Self { bench, repository, restic, saw: BTreeMap::new() };
        let source = this.bench.path("source");
        fs::create_dir_all(source.join("a/b")).unwrap();
        fs::write(source.join("large"), Random::new(1000).bytes(file_bytes * 10)).unwrap();
        for round in 0..rounds {
            for number in 0..8 {
                let path = source.join(format!("a/b/{number}"));
                if number < 3 || round == 0 {
                    fs::write(path, Random::new(round * 100 + number + 1).bytes(file_bytes)).unwrap();
                }
            }
            if round % 2 == 0 {
                this.bench.back_up(std::slice::from_ref(&this.repository), &source);
            } else {
                this.restic.backup(&source);
            }
            this.note(&source, round);
        }
        this
    }

    fn note(&mut self, source: &Path, round: u64) {
        let copy = self.bench.path(&format!("saw-{round}"));
        assert!(Command::new("cp").arg("-a").arg(source).arg(&copy).status().unwrap().success());
        for snapshot in self.repository.snapshots().unwrap() {
            self.saw.entry(snapshot.id.0).or_insert_with(|| copy.clone());
        }
    }

    /// Removes all backups but those that saw the rounds named.
    fn keep(&mut self, rounds: &[u64]) {
        let kept: Vec<PathBuf> =
            rounds.iter().map(|round| self.bench.path(&format!("saw-{round}"))).collect();
        let (stay, go) = std::mem::take(&mut self.saw).into_iter().partition(|(_, saw)| kept.contains(saw));
        self.saw = stay;
        let go: BTreeMap<String, PathBuf> = go;
        self.repository.remove_snapshots(&go.into_keys().map(BackupId).collect::<Vec<_>>()).unwrap();
    }

    /// Lets restic check everything and restore every backup.
    fn judge(&self, when: &str) {
        self.restic.check_read_data();
        assert_eq!(self.repository.snapshots().unwrap().len(), self.saw.len(), "{when}");
        for (snapshot, saw) in &self.saw {
            let target = self.bench.path("restored");
            let _ = fs::remove_dir_all(&target);
            fs::create_dir(&target).unwrap();
            self.restic.restore(snapshot, &target);
            assert_eq!(compare_trees_restored_by_restic(saw, &target), [""; 0], "{when}: {snapshot}");
        }
    }
}

#[test]
fn restic_restores_all_that_is_left_after_each_of_several_prunes() {
    let mut history = History::of(6, 300_000);
    let mut before = pack_bytes(&history.repository);
    for keep in [&[0, 1, 3, 4, 5][..], &[1, 3, 5], &[5]] {
        history.keep(keep);
        let planned = prune(&history.repository, &PruneOptions { dry_run: true, ..thorough() });
        assert_eq!(pack_bytes(&history.repository), before, "a dry run changes nothing");
        let done = prune(&history.repository, &thorough());
        assert_eq!(PruneSummary { packs_written: 0, ..done.clone() }, planned);
        let now = pack_bytes(&history.repository);
        assert!(now < before && done.removed_bytes >= before - now, "{before} -> {now}: {done:?}");
        assert_eq!(done.unused_bytes, 0, "{done:?}");
        before = now;
        history.judge(&format!("{keep:?}"));
        let again = prune(&history.repository, &thorough());
        assert_eq!((again.removed_bytes, again.indexes_removed), (0, 0), "{again:?}");
    }
    // One backup of 8 small files and one of ten times their size is left, none of which compresses.
    assert!(before < 18 * 300_000 + 50_000, "{before}");
}

#[test]
fn little_waste_stays_and_nothing_is_written_for_it() {
    let mut history = History::of(2, 10_000);
    fs::write(history.bench.path("source/large"), Random::new(7).bytes(2_000_000)).unwrap();
    history.bench.back_up(std::slice::from_ref(&history.repository), &history.bench.path("source"));
    history.note(&history.bench.path("source"), 2);
    history.keep(&[1, 2]);
    let done = prune(&history.repository, &PruneOptions { max_unused_percent: 50.0, ..thorough() });
    assert!(done.unused_bytes > 0 && done.packs_written == 0 && done.packs_repacked == 0, "{done:?}");
    history.judge("after a prune that had little to do");
}

#[test]
fn many_small_packs_and_index_objects_are_put_together() {
    let mut history = History::of(1, 5_000);
    let source = history.bench.path("source");
    for round in 1..36 {
        fs::write(source.join("a/b/0"), Random::new(5000 + round).bytes(5_000)).unwrap();
        history.bench.back_up(std::slice::from_ref(&history.repository), &source);
        if round == 20 || round == 35 {
            history.note(&source, round);
        } else {
            for snapshot in history.repository.snapshots().unwrap() {
                history.saw.entry(snapshot.id.0).or_insert_with(|| PathBuf::from("not copied"));
            }
        }
    }
    assert!(history.repository.list(ObjectKind::Index).unwrap().len() >= 36);
    let done = prune(&history.repository, &PruneOptions::default());
    assert_eq!(done.leftover_packs_removed + done.unused_bytes, 0, "{done:?}");
    assert_eq!(history.repository.list(ObjectKind::Index).unwrap().len(), 1);
    assert_eq!(
        history.repository.list(ObjectKind::Pack).unwrap().len(),
        2,
        "one of files, one of directories"
    );
    history.restic.check_read_data();
    history.keep(&[0, 20, 35]);
    let again = prune(&history.repository, &PruneOptions::default());
    assert_eq!((again.packs_repacked, again.packs_kept, again.unused_bytes), (2, 0, 0), "{again:?}");
    history.judge("after two prunes");
}

#[test]
fn a_prune_that_breaks_off_anywhere_leaves_what_restic_finds_clean() {
    let mut history = History::of(4, 40_000);
    history.keep(&[2, 3]);
    let pristine = history.bench.path("repository");
    let mut got_through = false;
    for nth in (1..400).step_by(3) {
        let place = history.bench.path("crashed");
        let _ = fs::remove_dir_all(&place);
        assert!(Command::new("cp").arg("-a").arg(&pristine).arg(&place).status().unwrap().success());
        let storage = FaultyStorage::new(Arc::new(Local::open(&place).unwrap()));
        let repository = history.bench.open(storage.clone());
        storage.down_from(nth, Fault::FailAfter(StorageErrorKind::Other));
        let outcome = repository.prune(&thorough(), &Cancel::new(), &Counters::default());
        storage.heal();
        let restic = Restic::new(&place, support::PASSWORD);
        let said = restic.command(["check", "--no-lock", "--read-data"]).output().unwrap();
        assert!(said.status.success(), "from call {nth}: {}", String::from_utf8_lossy(&said.stderr));
        prune(&repository, &thorough());
        restic.check_read_data();
        if outcome.is_ok() {
            got_through = true;
            break;
        }
    }
    assert!(got_through, "the prune never got through");
}

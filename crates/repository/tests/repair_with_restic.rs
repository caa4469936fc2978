//! Stock restic judges what a repair leaves, and tolerates what a prune retires.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{Cancel, Counters};
use larder_repository::{
    BlobKind, DamagedBackups, Id, KeyRing, ObjectKind, PruneOptions, Remedy, RepairOptions, RepairReport,
    Repository,
};
use larder_storage::Local;
use larder_testbed::{ManualClock, Random, Restic, compare_trees_restored_by_restic};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{Bench, PASSWORD};

fn repair(
    repository: &Repository,
    twins: &[Repository],
    options: &RepairOptions,
) -> (RepairReport, Vec<String>) {
    let mut lost = Vec::new();
    let mut note = |loss: larder_repository::Loss| lost.push(loss.path);
    let report = repository.repair(twins, options, &mut note, &Cancel::new(), &Counters::default()).unwrap();
    (report, lost)
}

fn source(bench: &Bench) -> PathBuf {
    let source = bench.path("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    for number in 0..6 {
        fs::write(source.join(format!("a/b/{number}")), Random::new(number + 1).bytes(100_000)).unwrap();
        fs::write(source.join(format!("a/{number}")), format!("{number}")).unwrap();
    }
    source
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn assert_restores(bench: &Bench, judge: &Restic, source: &Path, name: &str) {
    judge.check_read_data();
    let target = bench.path(name);
    judge.restore("latest", &target);
    assert_eq!(compare_trees_restored_by_restic(source, &target), [""; 0], "{name}");
}

#[test]
fn restic_finds_nothing_wrong_with_what_came_back_from_a_twin() {
    let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
    let bench = Bench { clock: clock.clone(), ..Bench::new() };
    let source = source(&bench);
    let (repository, judge) = bench.local("one");
    let storage = Arc::new(Local::create(bench.path("two")).unwrap());
    let twin = repository.create_twin(storage, &Bench::credentials()).unwrap();
    bench.back_up(&[repository.clone(), twin.clone()], &source);
    fs::write(source.join("new"), Random::new(77).bytes(50_000)).unwrap();
    clock.advance(SignedDuration::from_mins(1));
    bench.back_up(&[repository.clone(), twin.clone()], &source);
    let packs = repository.list(ObjectKind::Pack).unwrap();
    fs::remove_file(bench.path("one").join(ObjectKind::Pack.path(&packs[0].0))).unwrap();
    flip(&bench.path("one").join(ObjectKind::Pack.path(&packs[1].0)), 60);
    for (id, _) in repository.list(ObjectKind::Index).unwrap() {
        fs::remove_file(bench.path("one").join(ObjectKind::Index.path(&id))).unwrap();
    }
    assert!(!judge.command(["check", "--read-data"]).output().unwrap().status.success());
    // Without an index nothing here says that the first pack is missing: the backups and the twin do.
    let options = RepairOptions { read_data: true, ..RepairOptions::default() };
    let (report, lost) = repair(&repository, std::slice::from_ref(&twin), &options);
    assert!(report.packs_fetched == 1 && lost.is_empty(), "{report:?}");
    assert!(matches!(report.objects[0].remedy, Remedy::Refetched { .. }), "{report:?}");
    assert_restores(&bench, &judge, &source, "restored");
    assert_restores(&bench, &Restic::new(bench.path("two"), PASSWORD), &source, "restored-two");
}

#[test]
fn restic_opens_what_was_given_a_new_configuration_and_key_file() {
    let bench = Bench::new();
    let source = source(&bench);
    let (repository, judge) = bench.local("one");
    let storage = Arc::new(Local::create(bench.path("two")).unwrap());
    let twin = repository.create_twin(storage, &Bench::credentials()).unwrap();
    bench.back_up(&[repository.clone(), twin.clone()], &source);
    let place = bench.path("one");
    for round in 0..3 {
        let key = place.join(ObjectKind::Key.path(&repository.list(ObjectKind::Key).unwrap()[0].0));
        match round {
            0 => fs::remove_file(place.join("config")).unwrap(),
            1 => flip(&key, 0),
            _ => {
                flip(&place.join("config"), 40);
                fs::remove_file(&key).unwrap();
            }
        }
        assert!(!judge.command(["snapshots"]).output().unwrap().status.success(), "{round}");
        let at: (_, Arc<dyn larder_storage::Storage>) =
            (bench.runtime.handle(), Arc::new(Local::open(&place).unwrap()));
        let (ring, clock, cancel) = (KeyRing::new(), bench.clock.clone(), Cancel::new());
        let twins = std::slice::from_ref(&twin);
        let credentials = [Bench::credentials()];
        let (revived, made) = Repository::revive(at, &credentials, &ring, clock, twins, &cancel).unwrap();
        assert!(!made.is_empty() && made.iter().all(|one| one.remedy == Remedy::Remade), "{made:?}");
        assert_restores(&bench, &judge, &source, &format!("restored-{round}"));
        // Both go on from there.
        bench.back_up(&[revived], &source);
        judge.backup(&source);
        judge.check_read_data();
    }
}

#[test]
fn restic_finds_nothing_wrong_with_what_is_left_after_a_loss() {
    let bench = Bench::new();
    let source = source(&bench);
    let (repository, judge) = bench.local("one");
    bench.back_up(std::slice::from_ref(&repository), &source);
    judge.backup(&source);
    let index = repository.load_index(&Cancel::new()).unwrap();
    let id = Id::of(&fs::read(source.join("a/b/3")).unwrap());
    let place = index.locate(BlobKind::Data, &id).unwrap();
    flip(&bench.path("one").join(ObjectKind::Pack.path(&place.pack)), place.blob.offset as usize + 100);
    let options = RepairOptions {
        read_data: true,
        damaged_backups: DamagedBackups::Replace,
        ..RepairOptions::default()
    };
    let (report, lost) = repair(&repository, &[], &options);
    assert_eq!((report.rewritten.len(), report.removed.len()), (2, 2), "{report:?}");
    assert_eq!(lost, ["/a/b/3", "/a/b/3"]);
    let leftovers = PruneOptions { max_unused_percent: 0.0, ..PruneOptions::default() };
    repository.prune(&leftovers, &Cancel::new(), &Counters::default()).unwrap();
    fs::remove_file(source.join("a/b/3")).unwrap();
    judge.check_read_data();
    for (number, snapshot) in judge.snapshots().iter().enumerate() {
        let target = bench.path(&format!("restored-{number}"));
        judge.restore(snapshot["id"].as_str().unwrap(), &target);
        assert!(!target.join("a/b/3").exists());
        for kept in ["a/b/2", "a/b/5", "a/1"] {
            assert_eq!(fs::read(target.join(kept)).unwrap(), fs::read(source.join(kept)).unwrap());
        }
    }
    judge.backup(&source);
    assert_restores(&bench, &judge, &source, "restored-anew");
}

#[test]
fn restic_tolerates_retired_packs_and_may_prune_them_itself() {
    for by_restic in [false, true] {
        let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
        let bench = Bench { clock: clock.clone(), ..Bench::new() };
        let source = source(&bench);
        let (repository, judge) = bench.local("one");
        bench.back_up(std::slice::from_ref(&repository), &source);
        for number in 0..4 {
            fs::remove_file(source.join(format!("a/b/{number}"))).unwrap();
        }
        clock.advance(SignedDuration::from_mins(1));
        bench.back_up(std::slice::from_ref(&repository), &source);
        let first = repository.snapshots().unwrap().remove(0).id;
        repository.remove_snapshots(&[first]).unwrap();
        let options = PruneOptions {
            max_unused_percent: 0.0,
            grace: Duration::from_secs(3600),
            ..PruneOptions::default()
        };
        let retired = repository.prune(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(retired.packs_retired > 0 && retired.packs_removed == 0, "{retired:?}");
        assert_restores(&bench, &judge, &source, "in-the-grace-period");
        // A backup of restic stores anew what lies in retired packs only.
        fs::write(source.join("a/b/0"), Random::new(1).bytes(100_000)).unwrap();
        judge.backup(&source);
        if by_restic {
            judge.run(["prune"]);
        }
        clock.advance(SignedDuration::from_hours(2));
        let done = repository.prune(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert_eq!(done.packs_removed, if by_restic { 0 } else { retired.packs_retired }, "{done:?}");
        assert_restores(&bench, &judge, &source, "after-the-grace-period");
    }
}

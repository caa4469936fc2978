//! A destination that missed backups gets them from another one, and the source is not read again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use larder_model::{Cancel, Counters};
use larder_repository::{
    CheckOptions, HealOptions, HealSummary, Lock, ObjectKind, PruneOptions, Repository, RepositoryError,
    RestoreOptions,
};
use larder_storage::{Storage, StorageErrorKind};
use larder_testbed::{
    Call, Fault, FaultyStorage, ManualClock, MemoryStorage, Random, compare_trees, wait_until,
};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;

struct Place {
    storage: Arc<FaultyStorage>,
    inner: Arc<MemoryStorage>,
    repository: Repository,
}

struct World {
    bench: Bench,
    clock: Arc<ManualClock>,
    places: Vec<Place>,
    source: PathBuf,
    round: u64,
}

impl World {
    fn new(count: usize) -> Self {
        let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
        let bench = Bench { clock: clock.clone(), ..Bench::new() };
        let source = bench.path("source");
        fs::create_dir_all(source.join("deep/er")).unwrap();
        let mut places: Vec<Place> = Vec::new();
        for _ in 0..count {
            let inner = Arc::new(MemoryStorage::new());
            let storage = FaultyStorage::new(inner.clone());
            let repository = match places.first() {
                None => bench.create(storage.clone()),
                Some(first) => first.repository.create_twin(storage.clone(), &Bench::credentials()).unwrap(),
            };
            places.push(Place { storage, inner, repository });
        }
        Self { bench, clock, places, source, round: 0 }
    }

    /// Changes the source and backs it up to some of the places.
    fn back_up(&mut self, to: &[usize]) {
        self.round += 1;
        self.clock.advance(SignedDuration::from_mins(1));
        for number in 0..5 {
            let bytes = Random::new(self.round * 100 + number + 1).bytes(30_000);
            fs::write(self.source.join(format!("deep/file-{number}")), bytes).unwrap();
        }
        fs::write(self.source.join("deep/er/one"), self.round.to_string()).unwrap();
        let targets: Vec<Repository> = to.iter().map(|at| self.places[*at].repository.clone()).collect();
        self.bench.back_up(&targets, &self.source);
    }

    fn heal(&self, at: usize, from: &[usize]) -> Result<HealSummary, RepositoryError> {
        self.heal_with(at, from, &HealOptions::default(), &Cancel::new())
    }

    fn heal_with(
        &self,
        at: usize,
        from: &[usize],
        options: &HealOptions,
        cancel: &Cancel,
    ) -> Result<HealSummary, RepositoryError> {
        let sources: Vec<Repository> = from.iter().map(|at| self.places[*at].repository.clone()).collect();
        self.places[at].repository.heal_from(&sources, options, cancel, &Counters::default())
    }

    fn assert_sound(&self, at: usize, backups: usize, when: &str) {
        let repository = &self.places[at].repository;
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        assert_eq!(report.snapshots as usize, backups, "{when}");
        assert!(repository.list(ObjectKind::Lock).unwrap().is_empty(), "{when}");
    }

    fn assert_newest_equals_source(&self, at: usize) {
        let repository = &self.places[at].repository;
        let target = self.bench.path("target");
        let _ = fs::remove_dir_all(&target);
        let newest = repository.snapshots().unwrap().pop().unwrap();
        let (options, cancel) = (RestoreOptions::default(), Cancel::new());
        repository.restore(&newest, &target, &options, &cancel, &Counters::default()).unwrap();
        assert_eq!(compare_trees(&self.source, &target), [""; 0]);
    }

    /// Damages the largest packs of a place by a function.
    fn damage_packs(
        &self,
        at: usize,
        damage: impl Fn(&mut std::collections::BTreeMap<String, bytes::Bytes>, &str),
    ) {
        self.places[at].inner.with_objects(|objects| {
            let packs: Vec<String> =
                objects.keys().filter(|path| path.starts_with("data/")).cloned().collect();
            for path in packs {
                damage(objects, &path);
            }
        });
    }
}

#[test]
fn one_of_three_that_missed_runs_heals_from_another_without_the_source() {
    let mut world = World::new(3);
    world.back_up(&[0, 1, 2]);
    for _ in 0..3 {
        world.back_up(&[0, 1]);
    }
    let backup_of_source = world.bench.path("kept");
    fs::rename(&world.source, &backup_of_source).unwrap();
    let healed = world.heal(2, &[0, 1]).unwrap();
    assert_eq!(healed.backups.len(), 3);
    assert!(healed.failures.is_empty() && healed.packs_copied >= 3, "{healed:?}");
    world.assert_sound(2, 4, "healed");
    fs::rename(&backup_of_source, &world.source).unwrap();
    world.assert_newest_equals_source(2);
    let again = world.heal(2, &[0, 1]).unwrap();
    assert_eq!(again, HealSummary::default());
}

#[test]
fn what_was_copied_has_the_names_it_had() {
    let mut world = World::new(2);
    world.back_up(&[0]);
    world.heal(1, &[0]).unwrap();
    let names = |at: usize, folder: &str| {
        let of = |path: &&String| path.starts_with(folder);
        world.places[at].inner.with_objects(|all| all.keys().filter(of).cloned().collect::<Vec<_>>())
    };
    assert_eq!(names(0, "data/"), names(1, "data/"));
    assert_eq!(names(0, "snapshots/"), names(1, "snapshots/"));
    world.assert_newest_equals_source(1);
}

#[test]
fn only_the_backups_asked_for_are_copied() {
    let mut world = World::new(2);
    for _ in 0..3 {
        world.back_up(&[0]);
    }
    let newest = world.places[0].repository.snapshots().unwrap().pop().unwrap().id;
    let options = HealOptions { backups: Some(vec![newest.clone()]), ..HealOptions::default() };
    let healed = world.heal_with(1, &[0], &options, &Cancel::new()).unwrap();
    assert_eq!(healed.backups, [newest]);
    world.assert_sound(1, 1, "one backup");
    world.assert_newest_equals_source(1);
}

#[test]
fn a_source_that_arranged_its_packs_anew_gives_only_what_is_lacking() {
    let mut world = World::new(2);
    for _ in 0..13 {
        world.back_up(&[0, 1]);
    }
    world.back_up(&[0]);
    // The source now holds everything in one pack of each kind, most of which the other one has.
    let options = PruneOptions { max_unused_percent: 0.0, wait: Duration::ZERO, ..PruneOptions::default() };
    let snapshots = world.places[0].repository.snapshots().unwrap();
    world.places[0].repository.remove_snapshots(std::slice::from_ref(&snapshots[0].id)).unwrap();
    for place in &world.places[..1] {
        place.repository.prune(&options, &Cancel::new(), &Counters::default()).unwrap();
    }
    let before: u64 = world.places[1].repository.list(ObjectKind::Pack).unwrap().iter().map(|p| p.1).sum();
    let healed = world.heal(1, &[0]).unwrap();
    assert_eq!(healed.backups.len(), 1);
    let after: u64 = world.places[1].repository.list(ObjectKind::Pack).unwrap().iter().map(|p| p.1).sum();
    assert!(after - before < 2 * 5 * 30_000, "{} bytes: {healed:?}", after - before);
    world.assert_sound(1, 14, "healed");
    world.assert_newest_equals_source(1);
}

#[test]
fn a_pack_that_is_damaged_at_one_source_comes_from_another() {
    let mut world = World::new(3);
    world.back_up(&[0, 1]);
    world.damage_packs(0, |objects, path| {
        let mut bytes = objects[path].to_vec();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        objects.insert(path.to_owned(), bytes.into());
    });
    // The trees of the first cannot be read, so the second one leads.
    let healed = world.heal(2, &[0, 1]).unwrap();
    assert!(healed.backups.len() == 1 && healed.failures.is_empty(), "{healed:?}");
    world.assert_sound(2, 1, "healed");
    world.assert_newest_equals_source(2);
}

#[test]
fn a_backup_that_no_source_has_whole_is_named_and_the_others_are_copied() {
    let mut world = World::new(2);
    world.back_up(&[0]);
    let sound = world.places[0].repository.list(ObjectKind::Pack).unwrap();
    world.back_up(&[0]);
    world.damage_packs(0, |objects, path| {
        if !sound.iter().any(|(id, _)| path.ends_with(&id.to_hex())) && objects[path].len() > 10_000 {
            objects.remove(path);
        }
    });
    let healed = world.heal(1, &[0]).unwrap();
    assert_eq!((healed.backups.len(), healed.failures.len()), (1, 1), "{healed:?}");
    assert!(healed.failures[0].cause.contains("data blob"), "{healed:?}");
    world.assert_sound(1, 1, "the rest");
}

#[test]
fn a_healing_that_broke_off_anywhere_leaves_a_sound_repository_and_goes_on_from_there() {
    let mut copied_after_a_break = Vec::new();
    for at in [1, 0] {
        for nth in (1..100).step_by(4) {
            let mut world = World::new(2);
            world.back_up(&[0, 1]);
            world.back_up(&[0]);
            world.back_up(&[0]);
            world.places[at].storage.down_from(nth, Fault::FailAfter(StorageErrorKind::Other));
            let outcome = world.heal(1, &[0]);
            world.places[at].storage.heal();
            let when = format!("call {nth} at {at}");
            let there = world.places[1].repository.snapshots().unwrap().len();
            world.assert_sound_but_for_locks(1, there, &when);
            let healed = world.heal(1, &[0]).unwrap_or_else(|error| panic!("{when}: {error}"));
            copied_after_a_break.push(healed.packs_copied);
            world.assert_sound(1, 3, &when);
            if outcome.is_ok() {
                break;
            }
        }
    }
    assert!(copied_after_a_break.contains(&0), "what arrived is not copied again");
}

impl World {
    fn assert_sound_but_for_locks(&self, at: usize, backups: usize, when: &str) {
        for place in &self.places {
            // A lock whose removal failed is removed by the next one who looks.
            drop(Lock::shared(&place.repository, Duration::from_secs(5), &Cancel::new()).unwrap());
        }
        self.assert_sound(at, backups, when);
    }
}

#[test]
fn an_object_that_a_destination_lost_or_cut_is_no_healing() {
    for (text, fault) in [
        ("data/", Fault::Lose),
        ("data/", Fault::Cut(500)),
        ("index/", Fault::Lose),
        ("index/", Fault::FlipBit(100)),
        ("snapshots/", Fault::Cut(20)),
    ] {
        let mut world = World::new(2);
        world.back_up(&[0]);
        world.places[1].storage.always(Call::Put, text, fault);
        let outcome = world.heal(1, &[0]);
        world.places[1].storage.heal();
        assert!(outcome.is_err(), "{text} {fault:?}: {outcome:?}");
        let healed = world.heal(1, &[0]).unwrap();
        assert_eq!(healed.backups.len(), 1, "{text} {fault:?}");
        world.assert_newest_equals_source(1);
    }
}

#[test]
fn a_source_out_of_reach_is_an_error_and_no_loss() {
    let mut world = World::new(2);
    world.back_up(&[0]);
    world.places[0].storage.always(Call::Get, "data/", Fault::Fail(StorageErrorKind::Other));
    world.heal(1, &[0]).unwrap_err();
    world.places[0].storage.heal();
    assert_eq!(world.heal(1, &[0]).unwrap().backups.len(), 1);
}

#[test]
fn repositories_of_different_keys_are_refused() {
    let mut world = World::new(1);
    world.back_up(&[0]);
    let stranger = world.bench.create(Arc::new(MemoryStorage::new()));
    let sources = [world.places[0].repository.clone()];
    let error = stranger
        .heal_from(&sources, &HealOptions::default(), &Cancel::new(), &Counters::default())
        .unwrap_err();
    assert!(matches!(error, RepositoryError::NotTwins { .. }), "{error}");
}

#[test]
fn backups_go_on_during_a_healing_and_an_abort_is_heard_at_once() {
    let mut world = World::new(2);
    world.back_up(&[0]);
    world.places[1].storage.always(Call::Put, "data/", Fault::Stall(Duration::from_secs(3)));
    let cancel = Cancel::new();
    let began = std::thread::scope(|scope| {
        let work = scope.spawn(|| world.heal_with(1, &[0], &HealOptions::default(), &cancel));
        wait_until("a pack on its way", Duration::from_secs(20), || {
            let put = |(call, path): &(Call, String)| *call == Call::Put && path.starts_with("data/");
            world.places[1].storage.calls().iter().any(put).then_some(())
        });
        drop(Lock::shared(&world.places[1].repository, Duration::ZERO, &Cancel::new()).unwrap());
        let excluded = Lock::exclusive(&world.places[0].repository, Duration::ZERO, &Cancel::new());
        assert!(matches!(excluded.unwrap_err(), RepositoryError::Locked { .. }));
        cancel.cancel();
        let began = Instant::now();
        assert!(work.join().unwrap().unwrap_err().is_canceled());
        began
    });
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    world.places[1].storage.heal();
    assert_eq!(world.heal(1, &[0]).unwrap().backups.len(), 1);
    let _ = world.bench.runtime.block_on(world.places[1].storage.list("")).unwrap();
}

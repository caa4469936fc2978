//! What a check finds, and what it says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{CheckOptions, CheckReport, Repository};
use larder_testbed::{MemoryStorage, Random};
use std::fs;
use std::sync::Arc;
use support::Bench;

fn place() -> (Bench, Arc<MemoryStorage>, Repository) {
    let bench = Bench::new();
    let storage = Arc::new(MemoryStorage::new());
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    for number in 0..20 {
        fs::write(source.join(format!("sub/f{number}")), Random::new(number + 1).bytes(9_000)).unwrap();
        fs::write(source.join(format!("t{number}")), format!("line {number}\n").repeat(300)).unwrap();
    }
    bench.back_up(std::slice::from_ref(&repository), &source);
    (bench, storage, repository)
}

fn check(repository: &Repository, read_data: bool) -> CheckReport {
    let options = CheckOptions { read_data, threads: 2 };
    repository.check(&options, &Cancel::new(), &Counters::default()).unwrap()
}

#[test]
fn a_sound_repository_is_clean() {
    let (_bench, _, repository) = place();
    let report = check(&repository, true);
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.snapshots, report.packs, report.unindexed_packs), (1, 2, 0));
    assert!(report.verified_bytes > 180_000);
}

#[test]
fn three_hundred_flipped_bits_in_packs_are_all_found() {
    let (_bench, storage, repository) = place();
    let mut random = Random::new(7);
    let packs: Vec<String> = storage
        .with_objects(|objects| objects.keys().filter(|path| path.starts_with("data/")).cloned().collect());
    for flip in 0..300 {
        let path = &packs[flip % packs.len()];
        let whole = storage.with_objects(|objects| objects[path].clone());
        let mut bytes = whole.to_vec();
        let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[place] ^= 1 << random.below(8);
        storage.with_objects(|objects| objects.insert(path.clone(), bytes.into()));
        let report = check(&repository, true);
        assert!(report.problems.iter().any(|problem| problem.object == *path), "{path} byte {place}");
        storage.with_objects(|objects| objects.insert(path.clone(), whole));
    }
    assert!(check(&repository, true).is_clean());
}

#[test]
fn each_kind_of_damage_to_each_kind_of_object_is_named() {
    type Damage = (&'static str, fn(&mut Vec<u8>));
    let damages: [Damage; 3] = [
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("flipped", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("emptied", Vec::clear),
    ];
    let (_bench, storage, repository) = place();
    let paths: Vec<String> = storage.with_objects(|objects| objects.keys().cloned().collect());
    for path in paths.iter().filter(|path| *path != "config") {
        let whole = storage.with_objects(|objects| objects[path].clone());
        for (name, damage) in damages {
            let mut bytes = whole.to_vec();
            damage(&mut bytes);
            storage.with_objects(|objects| objects.insert(path.clone(), bytes.into()));
            let report = check(&repository, true);
            let found = report.problems.iter().find(|problem| problem.object == *path);
            let found = found.unwrap_or_else(|| panic!("{path} {name}: {:?}", report.problems));
            assert!(!found.cause.is_empty() && !found.remedy.is_empty(), "{path} {name}");
        }
        storage.with_objects(|objects| objects.remove(path));
        let report = check(&repository, true);
        let harmless = path.starts_with("keys/") || path.starts_with("snapshots/");
        assert_eq!(report.is_clean(), harmless, "{path} removed: {:?}", report.problems);
        storage.with_objects(|objects| objects.insert(path.clone(), whole));
    }
}

#[test]
fn a_problem_names_the_files_and_backups_that_are_lost_with_it() {
    let (bench, storage, repository) = place();
    bench.back_up(std::slice::from_ref(&repository), &bench.path("source"));
    let largest = storage.with_objects(|objects| {
        let packs = objects.iter().filter(|(path, _)| path.starts_with("data/"));
        packs.max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone()
    });
    storage.with_objects(|objects| objects.remove(&largest));
    let report = check(&repository, false);
    let problem = report.problems.iter().find(|problem| problem.object == largest).unwrap();
    assert_eq!(problem.cause, "it is missing");
    assert_eq!(problem.lost_count, 80);
    assert!(problem.lost.iter().any(|loss| loss.path == "/sub/f3"), "{:?}", problem.lost);
}

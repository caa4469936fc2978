//! What a check finds, and what it says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    BlobKind, CheckOptions, CheckPart, CheckReport, LostBlobs, LostEntry, Repository, RepositoryError,
    RestoreOptions,
};
use larder_testbed::{Call, FaultyStorage, MemoryStorage, Random};
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
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
    let options = CheckOptions { read_data, threads: 2, ..CheckOptions::default() };
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

/// Makes a repository with many packs: as many backups as packs of data, each of a file of its own.
fn place_of_many_packs(files: u64) -> (Bench, Arc<MemoryStorage>, Repository) {
    let bench = Bench::new();
    let storage = Arc::new(MemoryStorage::new());
    let repository = bench.create(storage.clone());
    let source = bench.path("source");
    fs::create_dir(&source).unwrap();
    for number in 0..files {
        fs::write(source.join(format!("f{number}")), Random::new(number + 1).bytes(5_000)).unwrap();
        bench.back_up(std::slice::from_ref(&repository), &source);
    }
    (bench, storage, repository)
}

#[test]
fn the_parts_of_a_rotation_read_every_pack_once_and_find_what_is_in_them() {
    let (bench, inner, _) = place_of_many_packs(12);
    let storage = FaultyStorage::new(inner.clone());
    let repository = bench.open(storage.clone());
    let all: BTreeSet<String> = inner
        .with_objects(|objects| objects.keys().filter(|path| path.starts_with("data/")).cloned().collect());
    assert!(all.len() >= 24);
    for of in [1, 3, 7] {
        let mut read = Vec::new();
        for number in 1..=of {
            storage.forget_calls();
            let options =
                CheckOptions { read_data: true, part: CheckPart::new(number, of), ..CheckOptions::default() };
            let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
            assert!(report.is_clean());
            let whole = storage.calls().into_iter().filter(|(call, _)| *call == Call::Get);
            let packs: Vec<String> =
                whole.map(|(_, path)| path).filter(|path| path.starts_with("data/")).collect();
            assert_eq!(report.read_packs, packs.len() as u64);
            read.extend(packs);
        }
        assert_eq!(read.len(), all.len(), "{of}");
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), all, "{of}");
    }
    // A flipped bit is found by the one part that it lies in.
    let spoilt = all.first().unwrap();
    inner.with_objects(|objects| {
        let mut bytes = objects[spoilt].to_vec();
        bytes[40] ^= 2;
        objects.insert(spoilt.clone(), bytes.into());
    });
    let finds = (1..=7).filter(|number| {
        let part = CheckPart::new(*number, 7);
        let options = CheckOptions { read_data: true, part, ..CheckOptions::default() };
        let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        report.problems.iter().any(|problem| problem.object == *spoilt)
    });
    assert_eq!(finds.count(), 1);
}

#[test]
fn lost_packs_and_blobs_name_exactly_the_files_that_cannot_be_restored() {
    let (bench, storage, repository) = place_of_many_packs(8);
    let cancel = Cancel::new();
    let index = repository.load_index(&cancel).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let packs: Vec<_> = index.packs().iter().filter(|pack| pack.kind == BlobKind::Data).collect();
    let mut lost = LostBlobs::new();
    lost.add_pack(packs[2].id);
    let blob = index.blobs(BlobKind::Data).find(|place| place.pack == packs[5].id).unwrap().blob.id;
    lost.add_blob(BlobKind::Data, blob);
    let mut named = BTreeSet::new();
    repository
        .lost_entries(&index, &snapshots, &lost, &cancel, &mut |entry| {
            assert_eq!(entry.kind, BlobKind::Data);
            let path = String::from_utf8(entry.path.to_vec()).unwrap();
            assert!(named.insert((entry.snapshot.clone(), path)), "named twice");
            ControlFlow::Continue(())
        })
        .unwrap();
    // The judge: what a restore cannot give back once they are really gone.
    for pack in [packs[2].id, packs[5].id] {
        let path = format!("data/{}/{pack}", &pack.to_hex()[..2]);
        storage.with_objects(|objects| objects.remove(&path).unwrap());
    }
    let mut missing = BTreeSet::new();
    for (number, snapshot) in snapshots.iter().enumerate() {
        let target = bench.path(&format!("target-{number}"));
        let restored =
            repository.restore(snapshot, &target, &RestoreOptions::default(), &cancel, &Counters::default());
        if let Err(RepositoryError::Incomplete { summary, .. }) = restored {
            let paths = summary.failures.into_iter().map(|failure| format!("/{}", failure.path));
            missing.extend(paths.map(|path| (snapshot.id.clone(), path)));
        }
    }
    assert_eq!(named, missing);
    assert!(named.len() >= 2);
    // Whoever has seen enough is not shown more.
    let mut seen = 0;
    let stop = &mut |_: LostEntry<'_>| {
        seen += 1;
        ControlFlow::Break(())
    };
    repository.lost_entries(&index, &snapshots, &lost, &cancel, stop).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_lost_tree_is_named_as_the_directory_that_it_was() {
    let (_bench, _, repository) = place();
    let cancel = Cancel::new();
    let index = repository.load_index(&cancel).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let root = repository.load_tree(&index, &snapshots[0].tree).unwrap();
    let mut lost = LostBlobs::new();
    lost.add_blob(BlobKind::Tree, root.find(b"sub").unwrap().subtree.unwrap());
    let mut named = Vec::new();
    let mut note = |entry: LostEntry<'_>| {
        named.push((entry.kind, String::from_utf8(entry.path.to_vec()).unwrap()));
        ControlFlow::Continue(())
    };
    repository.lost_entries(&index, &snapshots, &lost, &cancel, &mut note).unwrap();
    lost.add_blob(BlobKind::Tree, snapshots[0].tree);
    repository.lost_entries(&index, &snapshots, &lost, &cancel, &mut note).unwrap();
    assert_eq!(named, [(BlobKind::Tree, "/sub".to_owned()), (BlobKind::Tree, "/".to_owned())]);
}

//! What a restore gives back, what it refuses, and what damage leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{
    BackupSummary, Repository, RepositoryError, RestoreOptions, RestoreSummary, Snapshot,
};
use larder_storage::Local;
use larder_testbed::{Call, Fault, FaultyStorage, Random, TreeShape, compare_trees};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;

fn newest(repository: &Repository) -> Snapshot {
    repository.snapshots().unwrap().pop().unwrap()
}

fn restore(
    repository: &Repository,
    target: &Path,
    options: &RestoreOptions,
) -> Result<RestoreSummary, RepositoryError> {
    let snapshot = newest(repository);
    repository.restore(&snapshot, target, options, &Cancel::new(), &Counters::default())
}

fn overwriting() -> RestoreOptions {
    RestoreOptions { overwrite: true, ..RestoreOptions::default() }
}

fn backed_up(bench: &Bench, name: &str, build: impl FnOnce(&Path)) -> (Repository, BackupSummary) {
    let source = bench.path(&format!("{name}-source"));
    fs::create_dir(&source).unwrap();
    build(&source);
    let (repository, _) = bench.local(name);
    let summary = bench.back_up(std::slice::from_ref(&repository), &source);
    (repository, summary)
}

#[test]
fn every_shape_of_tree_comes_back_identical() {
    let bench = Bench::new();
    for shape in TreeShape::ALL {
        let (repository, _) = backed_up(&bench, shape.name, |source| shape.build(source));
        let target = bench.path(&format!("{}-target", shape.name));
        let summary = restore(&repository, &target, &RestoreOptions::default()).unwrap();
        assert_eq!(summary.warnings, [""; 0], "{}", shape.name);
        let source = bench.path(&format!("{}-source", shape.name));
        assert_eq!(compare_trees(&source, &target), [""; 0], "{}", shape.name);
        // Once more over what is there: nothing is written.
        let again = restore(&repository, &target, &overwriting()).unwrap();
        assert_eq!(again.written_bytes, 0, "{}", shape.name);
        assert_eq!(compare_trees(&source, &target), [""; 0], "{}", shape.name);
    }
}

#[test]
fn only_the_chunks_that_differ_are_written() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::write(source.join("large"), Random::new(3).bytes(12 << 20)).unwrap();
        fs::write(source.join("other"), "unchanged").unwrap();
    });
    let target = bench.path("target");
    restore(&repository, &target, &RestoreOptions::default()).unwrap();
    let mut bytes = fs::read(target.join("large")).unwrap();
    bytes[6 << 20] ^= 1;
    bytes.extend_from_slice(b"too long");
    fs::write(target.join("large"), &bytes).unwrap();
    let summary = restore(&repository, &target, &overwriting()).unwrap();
    assert!((1..=8 << 20).contains(&summary.written_bytes), "{}", summary.written_bytes);
    assert_eq!(summary.files_unchanged, 1);
    assert_eq!(compare_trees(&bench.path("r-source"), &target), [""; 0]);
}

#[test]
fn other_names_of_an_existing_file_keep_their_bytes() {
    let bench = Bench::new();
    let (repository, _) =
        backed_up(&bench, "r", |source| fs::write(source.join("a"), "from the backup").unwrap());
    let target = bench.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(bench.path("elsewhere"), "my own").unwrap();
    fs::hard_link(bench.path("elsewhere"), target.join("a")).unwrap();
    restore(&repository, &target, &overwriting()).unwrap();
    assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "from the backup");
    assert_eq!(fs::read_to_string(bench.path("elsewhere")).unwrap(), "my own");
}

#[test]
fn links_in_the_way_are_replaced_and_never_followed() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::create_dir(source.join("d")).unwrap();
        fs::write(source.join("d/f"), "new").unwrap();
        fs::write(source.join("g"), "new").unwrap();
    });
    let (target, outside) = (bench.path("target"), bench.path("outside"));
    fs::create_dir(&target).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "old").unwrap();
    std::os::unix::fs::symlink(&outside, target.join("d")).unwrap();
    std::os::unix::fs::symlink(outside.join("f"), target.join("g")).unwrap();
    std::os::unix::fs::symlink(outside.join("f"), target.join("g.larder-partial")).unwrap();
    restore(&repository, &target, &overwriting()).unwrap();
    assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "old");
    assert_eq!(compare_trees(&bench.path("r-source"), &target), [""; 0]);
}

#[test]
fn a_target_that_is_not_empty_is_refused_unless_told_otherwise() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| fs::write(source.join("a"), "x").unwrap());
    let target = bench.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "mine").unwrap();
    let error = restore(&repository, &target, &RestoreOptions::default()).unwrap_err().to_string();
    assert!(error.contains("it is not empty"), "{error}");
    restore(&repository, &target, &overwriting()).unwrap();
    assert_eq!(fs::read_to_string(target.join("mine")).unwrap(), "mine");
}

#[test]
fn a_part_of_a_backup_is_restored_alone() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::create_dir_all(source.join("a/b")).unwrap();
        fs::write(source.join("a/b/f"), "f").unwrap();
        fs::write(source.join("a/g"), "g").unwrap();
    });
    let of = |path: &str| RestoreOptions { path: Some(path.into()), ..RestoreOptions::default() };
    restore(&repository, &bench.path("t1"), &of("/a/")).unwrap();
    assert_eq!(compare_trees(&bench.path("r-source/a"), &bench.path("t1")), [""; 0]);
    restore(&repository, &bench.path("t2"), &of("a/b/f")).unwrap();
    assert_eq!(fs::read_to_string(bench.path("t2/f")).unwrap(), "f");
    let error = restore(&repository, &bench.path("t3"), &of("a/g/x")).unwrap_err().to_string();
    assert!(error.contains("'a/g/x'"), "{error}");
}

#[test]
fn a_damaged_blob_costs_its_file_alone() {
    let bench = Bench::new();
    let (_, _) = backed_up(&bench, "r", |source| {
        fs::write(source.join("damaged"), Random::new(1).bytes(9 << 20)).unwrap();
        for number in 0..50 {
            fs::write(source.join(format!("small-{number}")), Random::new(number + 9).bytes(3000)).unwrap();
        }
    });
    // A flipped bit in the first pack's first blob is damage to exactly one blob.
    let storage = FaultyStorage::new(Arc::new(Local::open(bench.path("r")).unwrap()));
    let repository = bench.open(storage.clone());
    storage.always(Call::GetRange, "data/", Fault::FlipBit(8 * 1000));
    let error = restore(&repository, &bench.path("bad"), &RestoreOptions::default());
    assert!(error.is_err());
    storage.heal();
    let pack = larger_pack(&bench.path("r/data"));
    let mut bytes = fs::read(&pack).unwrap();
    bytes[1000] ^= 4;
    fs::write(&pack, bytes).unwrap();
    let target = bench.path("target");
    let error = restore(&repository, &target, &RestoreOptions::default()).unwrap_err();
    let RepositoryError::Incomplete { failed, summary, .. } = &error else { panic!("{error}") };
    assert_eq!(*failed, summary.failures.len() as u64);
    let differences = compare_trees(&bench.path("r-source"), &target);
    for failure in &summary.failures {
        assert!(failure.cause.contains("blob") && failure.cause.contains("data/"), "{}", failure.cause);
        assert!(!target.join(&failure.path).exists());
        if let Some(partial) = &failure.partial {
            assert!(target.join(partial).exists());
        }
    }
    let missing = differences.iter().filter(|d| d.contains("only in the first")).count();
    assert_eq!(missing as u64, *failed, "{differences:?}");
    assert_eq!(*failed, 1, "{error}");
}

fn larger_pack(data: &Path) -> std::path::PathBuf {
    let folders = fs::read_dir(data).unwrap().map(|folder| folder.unwrap().path());
    let packs = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|pack| pack.unwrap().path()));
    packs.max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap()
}

#[test]
fn a_missing_pack_is_named_and_the_rest_is_restored() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::write(source.join("large"), Random::new(1).bytes(40 << 20)).unwrap();
        fs::write(source.join("small"), "small").unwrap();
    });
    fs::remove_file(larger_pack(&bench.path("r/data"))).unwrap();
    let error = restore(&repository, &bench.path("target"), &RestoreOptions::default()).unwrap_err();
    let RepositoryError::Incomplete { summary, .. } = &error else { panic!("{error}") };
    assert!(summary.failures.iter().all(|failure| failure.cause.contains("data/")), "{error}");
    assert!(bench.path("target/large.larder-partial").exists());
    assert!(!bench.path("target/large").exists());
}

#[test]
fn holes_stay_holes() {
    let bench = Bench::new();
    let (repository, _) = backed_up(&bench, "r", |source| {
        let file = fs::File::create(source.join("sparse")).unwrap();
        file.set_len(64 << 20).unwrap();
    });
    restore(&repository, &bench.path("target"), &RestoreOptions::default()).unwrap();
    let found = fs::metadata(bench.path("target/sparse")).unwrap();
    assert_eq!(found.len(), 64 << 20);
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
}

#[test]
fn an_abort_ends_a_restore_within_a_second_and_the_next_one_goes_on() {
    let bench = Bench::new();
    let _ = backed_up(&bench, "r", |source| {
        fs::write(source.join("large"), Random::new(1).bytes(40 << 20)).unwrap();
    });
    let storage = FaultyStorage::new(Arc::new(Local::open(bench.path("r")).unwrap()));
    let repository = bench.open(storage.clone());
    let snapshot = newest(&repository);
    // The tree and some of the file come, then the destination falls silent.
    for nth in 5..9 {
        storage.on_call(Call::GetRange, nth, Fault::Hang);
    }
    let cancel = Cancel::new();
    let target = bench.path("target");
    let options = RestoreOptions { threads: 4, ..RestoreOptions::default() };
    let (outcome, took) = std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let outcome = repository.restore(&snapshot, &target, &options, &cancel, &Counters::default());
            (outcome, Instant::now())
        });
        let limit = Instant::now() + Duration::from_secs(30);
        while storage.count(Call::GetRange) < 8 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        cancel.cancel();
        let aborted = Instant::now();
        let (outcome, ended) = work.join().unwrap();
        (outcome, ended.saturating_duration_since(aborted))
    });
    assert!(outcome.unwrap_err().is_canceled());
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!target.join("large").exists());
    storage.heal();
    let summary = restore(&repository, &target, &overwriting()).unwrap();
    assert!(summary.skipped_bytes > 0, "the second restore began anew");
    assert_eq!(compare_trees(&bench.path("r-source"), &target), [""; 0]);
}

#[test]
fn entries_are_listed_and_files_are_read_without_a_restore() {
    let bench = Bench::new();
    let bytes = Random::new(8).bytes(5 << 20);
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::create_dir(source.join("d")).unwrap();
        fs::write(source.join("d/large"), &bytes).unwrap();
    });
    let snapshot = newest(&repository);
    let mut paths = Vec::new();
    let browser = repository.browse(&snapshot, &Cancel::new()).unwrap();
    let visited = browser.for_each_entry(&mut |path, _| {
        paths.push(String::from_utf8(path.to_vec()).unwrap());
        ControlFlow::Continue(())
    });
    visited.unwrap();
    assert_eq!(paths, ["d", "d/large"]);
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut browser.open_file(b"/d/large").unwrap(), &mut read).unwrap();
    assert!(read == bytes);
    assert!(browser.open_file(b"d").is_err());
}

#[test]
fn attributes_and_modes_that_the_backup_does_not_have_are_taken_away_again() {
    let bench = Bench::new();
    let set = |path: &Path, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    let (repository, _) = backed_up(&bench, "r", |source| {
        fs::create_dir(source.join("d")).unwrap();
        fs::write(source.join("d/f"), "the same").unwrap();
        fs::write(source.join("d/g"), "from the backup").unwrap();
        set(&source.join("d/f"), "user.kept", b"1");
    });
    let target = bench.path("target");
    restore(&repository, &target, &RestoreOptions::default()).unwrap();
    for path in ["d", "d/f", "d/g"] {
        set(&target.join(path), "user.surplus", b"x");
    }
    set(&target.join("d/f"), "user.kept", b"other");
    fs::write(target.join("d/g"), "changed").unwrap();
    fs::set_permissions(target.join("d/f"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let summary = restore(&repository, &target, &overwriting()).unwrap();
    assert_eq!(summary.warnings, [""; 0]);
    assert_eq!(compare_trees(&bench.path("r-source"), &target), [""; 0]);
}

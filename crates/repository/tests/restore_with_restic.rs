//! What stock restic wrote, read from two damaged copies at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters};
use larder_repository::{Browser, CheckOptions, RestoreOptions, restore_from};
use larder_storage::Local;
use larder_testbed::{Random, Restic, compare_trees};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::{Bench, PASSWORD};

fn packs(repository: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(repository.join("data")).unwrap().map(|folder| folder.unwrap().path());
    let packs = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|pack| pack.unwrap().path()));
    let mut packs: Vec<PathBuf> = packs.collect();
    packs.sort();
    packs
}

#[test]
fn two_damaged_copies_of_a_repository_give_back_together_what_restic_backed_up() {
    let bench = Bench::new();
    let source = bench.path("source");
    fs::create_dir_all(source.join("d")).unwrap();
    fs::write(source.join("large"), Random::new(1).bytes(40 << 20)).unwrap();
    for number in 0..300 {
        fs::write(source.join(format!("d/text-{number}")), format!("{number} and more\n").repeat(400))
            .unwrap();
    }
    let copies = [bench.path("one"), bench.path("two")];
    let judge = Restic::new(&copies[0], PASSWORD);
    judge.init();
    judge.backup(&source);
    let copied = Command::new("cp").arg("-a").args(&copies).status().unwrap();
    assert!(copied.success());
    let all = packs(&copies[0]);
    assert!(all.len() >= 4);
    for (number, pack) in all.iter().enumerate() {
        // The odd ones are bad in the one copy, the even ones in the other.
        let pack = copies[number % 2].join(pack.strip_prefix(&copies[0]).unwrap());
        fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut bytes = fs::read(&pack).unwrap();
        match number % 3 {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes[50] ^= 1,
            _ => {
                fs::remove_file(&pack).unwrap();
                continue;
            }
        }
        fs::write(&pack, bytes).unwrap();
    }
    let both = copies.clone().map(|path| bench.open(Arc::new(Local::open(path).unwrap())));
    for repository in &both {
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(!report.is_clean());
    }
    let snapshot = both[0].snapshots().unwrap().pop().unwrap();
    let (target, options) = (bench.path("target"), RestoreOptions::default());
    let summary =
        restore_from(&both, &snapshot, &target, &options, &Cancel::new(), &Counters::default()).unwrap();
    assert_eq!(compare_trees(&source, &target), [""; 0]);
    assert!(!summary.faults.is_empty());
    let browser = Browser::open(&both, &snapshot, &Cancel::new()).unwrap();
    let mut large = Vec::new();
    browser.write_file(b"large", &mut large, &Counters::default()).unwrap();
    assert!(large == fs::read(source.join("large")).unwrap());
}

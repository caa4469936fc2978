//! One bit of one object is flipped: a deep check finds it, and a restore gives no wrong byte.

use super::specimen::{Specimen, check};
use larder_testbed::Random;

/// What came of so many flips.
#[derive(Debug, Default)]
pub struct Tally {
    /// Flips by the folder they were in.
    pub by_folder: std::collections::BTreeMap<String, u32>,
    /// Backups that came back whole, and backups whose restore named an error.
    pub whole: u32,
    pub failed: u32,
}

/// Flips single bits, each in a fresh copy, taking the kinds of object in turn; every one must be found.
pub fn flip_bits(flips: u32, seed: u64) -> Tally {
    let specimen = Specimen::new();
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let folders = ["config", "keys/", "index/", "snapshots/", "data/"];
    for flip in 0..flips {
        let folder = folders[flip as usize % folders.len()];
        let paths: Vec<&String> = specimen.objects.keys().filter(|path| path.starts_with(folder)).collect();
        let path = paths[random.below(paths.len() as u64) as usize];
        let mut bytes = specimen.objects[path].to_vec();
        let (byte, bit) = (random.below(bytes.len() as u64) as usize, random.below(8));
        bytes[byte] ^= 1 << bit;
        let storage = specimen.copy();
        storage.with_objects(|objects| objects.insert(path.clone(), bytes.into()));
        let when = format!("flip {flip}: bit {bit} of byte {byte} of {path}");
        *tally.by_folder.entry(folder.to_owned()).or_default() += 1;

        let repository = match specimen.try_open(storage) {
            Err(error) => {
                assert!(error.to_string().contains(path.as_str()), "{when}: {error}");
                continue;
            }
            Ok(repository) => repository,
        };
        let report = check(&repository).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(report.problems.iter().any(|problem| problem.object == *path), "{when} was not found");
        let (snapshots, _) = repository.readable_snapshots(&larder_model::Cancel::new()).unwrap();
        for original in &specimen.backups {
            let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.id == original.id) else {
                continue;
            };
            // Fails by itself where a byte is wrong under a right name.
            match specimen.restore(&repository, snapshot, &original.tree) {
                Ok(()) => tally.whole += 1,
                Err(error) => {
                    assert!(error.to_string().contains(path.as_str()), "{when}: {error}");
                    tally.failed += 1;
                }
            }
        }
    }
    tally
}

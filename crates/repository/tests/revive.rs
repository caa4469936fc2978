//! A repository that does not open any more, because its configuration or key file is damaged or gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{Cancel, Counters, Secret};
use larder_repository::{
    CheckOptions, Credentials, KeyRing, Remedy, Repaired, Repository, RepositoryError, RestoreOptions,
};
use larder_storage::Storage;
use larder_testbed::{MemoryStorage, Random, compare_trees};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use support::Bench;

/// One backup at two destinations.
struct Place {
    bench: Bench,
    storage: Arc<MemoryStorage>,
    twin: Repository,
    twin_storage: Arc<MemoryStorage>,
    source: PathBuf,
}

fn place() -> Place {
    let bench = Bench::new();
    let (storage, twin_storage) = (Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new()));
    let repository = bench.create(storage.clone());
    let twin = repository.create_twin(twin_storage.clone(), &Bench::credentials()).unwrap();
    let source = bench.path("source");
    fs::create_dir_all(source.join("below")).unwrap();
    fs::write(source.join("below/one"), Random::new(1).bytes(50_000)).unwrap();
    fs::write(source.join("two"), "two").unwrap();
    bench.back_up(&[repository, twin.clone()], &source);
    Place { bench, storage, twin, twin_storage, source }
}

fn password(text: &str) -> Credentials {
    Credentials::Password(Secret::new(text.to_owned()))
}

impl Place {
    fn revive(
        &self,
        credentials: &[Credentials],
        twins: &[Repository],
    ) -> Result<(Repository, Vec<Repaired>), RepositoryError> {
        let storage: Arc<dyn Storage> = self.storage.clone();
        let at = (self.bench.runtime.handle(), storage);
        let (ring, clock) = (KeyRing::new(), self.bench.clock.clone());
        Repository::revive(at, credentials, &ring, clock, twins, &Cancel::new())
    }

    fn revived(&self, twins: &[Repository]) -> (Repository, Vec<Repaired>) {
        self.revive(&[Bench::credentials()], twins).unwrap()
    }

    fn opens(&self) -> Result<Repository, RepositoryError> {
        let (handle, clock) = (self.bench.runtime.handle(), self.bench.clock.clone());
        Repository::open(handle, self.storage.clone(), &Bench::credentials(), clock)
    }

    /// Opens it as anybody would, checks every byte of it and restores it.
    fn assert_whole(&self, when: &str) {
        let repository = self.opens().unwrap();
        let options = CheckOptions { read_data: true, ..CheckOptions::default() };
        let report = repository.check(&options, &Cancel::new(), &Counters::default()).unwrap();
        assert!(report.is_clean(), "{when}: {:?}", report.problems);
        assert!(repository.is_twin_of(&self.twin), "{when}");
        let backup = repository.snapshots().unwrap().remove(0);
        let target = self.bench.path("target");
        let _ = fs::remove_dir_all(&target);
        let options = RestoreOptions::default();
        repository.restore(&backup, &target, &options, &Cancel::new(), &Counters::default()).unwrap();
        assert_eq!(compare_trees(&self.source, &target), [""; 0], "{when}");
    }

    fn key(&self) -> String {
        let is_key = |path: &&String| path.starts_with("keys/");
        self.storage.with_objects(|objects| objects.keys().find(is_key).cloned().unwrap())
    }

    fn damage(&self, path: &str, how: &str) {
        self.storage.with_objects(|objects| {
            let mut bytes = objects[path].to_vec();
            match how {
                "missing" => return drop(objects.remove(path)),
                "truncated" => bytes.truncate(bytes.len() / 2),
                "empty" => bytes.clear(),
                // In the last quarter: for a key file, within the sealed master key.
                "flipped" => {
                    let at = bytes.len() - bytes.len() / 4;
                    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                }
                _ => bytes = self.twin_storage.with_objects(|objects| objects["config"].to_vec()),
            }
            objects.insert(path.to_owned(), bytes.into());
        });
    }

    fn objects(&self) -> Vec<(String, Vec<u8>)> {
        self.storage.with_objects(|objects| {
            objects.iter().map(|(path, bytes)| (path.clone(), bytes.to_vec())).collect()
        })
    }
}

#[test]
fn a_configuration_is_made_anew_with_nothing_but_the_key() {
    for how in ["missing", "truncated", "empty", "flipped"] {
        let place = place();
        place.damage("config", how);
        assert!(place.opens().unwrap_err().bars_the_way(), "{how}");
        let (_, made) = place.revived(&[]);
        assert_eq!(made.len(), 1, "{how}");
        assert_eq!((made[0].object.as_str(), &made[0].remedy), ("config", &Remedy::Remade), "{how}");
        place.assert_whole(how);
        assert_eq!(place.revived(&[]).1, [], "{how}: once is enough");
    }
}

#[test]
fn a_key_file_is_made_anew_with_the_master_key_of_a_twin() {
    for how in ["missing", "truncated", "empty", "flipped"] {
        for config in [None, Some("missing"), Some("flipped")] {
            let place = place();
            let key = place.key();
            place.damage(&key, how);
            config.iter().for_each(|how| place.damage("config", how));
            assert!(place.opens().unwrap_err().bars_the_way(), "{how} {config:?}");
            let before = place.objects();
            let error = place.revive(&[Bench::credentials()], &[]).unwrap_err();
            assert!(matches!(error, RepositoryError::Missing { .. }), "{how} {config:?}: {error}");
            assert!(error.to_string().contains("another destination"), "{error}");
            assert_eq!(place.objects(), before, "{how} {config:?}: nothing was written");
            let (_, made) = place.revived(std::slice::from_ref(&place.twin));
            assert!(made.iter().all(|one| one.remedy == Remedy::Remade), "{made:?}");
            assert_eq!(made.len(), 1 + usize::from(config.is_some()), "{made:?}");
            place.assert_whole(how);
            assert_ne!(place.key(), key, "{how}: the damaged one is gone");
        }
    }
}

#[test]
fn a_key_file_that_is_damaged_and_opens_nevertheless_is_replaced_unaided() {
    let place = place();
    let key = place.key();
    place.storage.with_objects(|objects| {
        let text = String::from_utf8(objects[&key].to_vec()).unwrap();
        objects.insert(key.clone(), text.replace("\"created\":\"2", "\"created\":\"3").into());
    });
    place.damage("config", "missing");
    assert_eq!(place.revived(&[]).1.len(), 2);
    place.assert_whole("it opened");
    assert_ne!(place.key(), key);
}

#[test]
fn nobody_gets_a_key_to_a_repository_that_has_another_password() {
    let place = place();
    let before = place.objects();
    let twins = std::slice::from_ref(&place.twin);
    let error = place.revive(&[password("another")], twins).unwrap_err();
    assert!(matches!(error, RepositoryError::WrongKey { .. }), "{error}");
    assert_eq!(place.objects(), before);
    place.damage("config", "missing");
    let before = place.objects();
    let error = place.revive(&[password("another")], twins).unwrap_err();
    assert!(matches!(error, RepositoryError::WrongKey { .. }), "{error}");
    assert_eq!(place.objects(), before);
}

#[test]
fn a_master_key_is_right_only_where_it_opens_what_was_written() {
    let (place, other) = (place(), place());
    let key = place.key();
    place.damage(&key, "missing");
    place.damage("config", "missing");
    let before = place.objects();
    let error = place.revive(&[Bench::credentials()], std::slice::from_ref(&other.twin)).unwrap_err();
    assert!(matches!(error, RepositoryError::NotTwins { .. }), "{error}");
    assert_eq!(place.objects(), before);
    // Of several the right one is found.
    place.revived(&[other.twin.clone(), place.twin.clone()]);
    place.assert_whole("of several");
}

#[test]
fn a_key_file_that_nobody_can_read_goes_where_another_one_opens_the_repository() {
    let place = place();
    let repository = place.opens().unwrap();
    let label = larder_repository::KeyLabel { username: "ann".to_owned(), hostname: "desk".to_owned() };
    let anns = format!("keys/{}", repository.add_key(&password("anns"), &label, &Cancel::new()).unwrap());
    drop(repository);
    place.damage(&anns, "truncated");
    let (_, made) = place.revived(&[]);
    assert_eq!((made.len(), &made[0].object, &made[0].remedy), (1, &anns, &Remedy::Removed));
    place.assert_whole("with the other key");
}

#[test]
fn the_key_file_of_another_user_stays_and_so_does_its_password() {
    let place = place();
    let repository = place.opens().unwrap();
    let label = larder_repository::KeyLabel { username: "ann".to_owned(), hostname: "desk".to_owned() };
    let anns = repository.add_key(&password("anns"), &label, &Cancel::new()).unwrap();
    drop(repository);
    let anns = format!("keys/{anns}");
    for path in place.objects().into_iter().map(|(path, _)| path).filter(|path| path.starts_with("keys/")) {
        place.damage(&path, if path == anns { "flipped" } else { "missing" });
    }
    let (_, made) = place.revived(std::slice::from_ref(&place.twin));
    assert_eq!((&made[0].object, &made[0].remedy), (&anns, &Remedy::None));
    assert_eq!((made.len(), &made[1].remedy), (2, &Remedy::Remade));
    assert!(place.objects().iter().any(|(path, _)| *path == anns));
    place.opens().unwrap();
}

#[test]
fn where_there_is_nothing_of_a_repository_none_is_made() {
    let place = place();
    place.storage.with_objects(|objects| objects.clear());
    let error = place.revive(&[Bench::credentials()], std::slice::from_ref(&place.twin)).unwrap_err();
    assert!(matches!(error, RepositoryError::NotARepository { .. }), "{error}");
    assert_eq!(place.objects(), []);
}

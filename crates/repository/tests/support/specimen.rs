//! A small repository in memory; each case of a drill gets a copy of its own to damage.

use super::{Bench, PASSWORD};
use bytes::Bytes;
use larder_model::{BackupId, Cancel, Counters, Secret};
use larder_repository::{
    BackupSummary, CheckOptions, CheckReport, Credentials, Id, IndexFile, KeyFile, MasterKey, ObjectKind,
    PruneOptions, PruneSummary, Repository, RepositoryError, RestoreOptions, Seal, Snapshot,
};
use larder_storage::Storage;
use larder_testbed::{ManualClock, MemoryStorage, Random, TempDir, compare_trees};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The objects of a repository by their paths.
pub type Objects = BTreeMap<String, Bytes>;

/// A repository with two backups that share nothing, and what they are of.
pub struct Specimen {
    pub bench: Bench,
    pub clock: Arc<ManualClock>,
    pub objects: Objects,
    pub backups: Vec<Original>,
    pub key: MasterKey,
}

/// A backup, and the tree that it is of.
pub struct Original {
    pub id: BackupId,
    pub tree: PathBuf,
    /// The objects that it added.
    pub objects: Vec<String>,
}

/// The path of one object, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Index,
    Snapshot,
    DataPack,
    TreePack,
}

impl Specimen {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::starting("2026-03-01T12:00:00Z"));
        let bench = Bench { clock: clock.clone(), ..Bench::new() };
        let storage = Arc::new(MemoryStorage::new());
        let repository = bench.create(storage.clone());
        let key = make_opening_cheap(&storage, &bench);
        let mut backups = Vec::new();
        for number in 0..2 {
            let tree = bench.path(&format!("tree-{number}"));
            write_tree(&tree, number + 1);
            let before: Vec<String> = storage.with_objects(|objects| objects.keys().cloned().collect());
            let done = bench.back_up(std::slice::from_ref(&repository), &tree);
            let id = done.targets.into_iter().next().unwrap().snapshot.unwrap();
            let objects = storage.with_objects(|objects| {
                objects.keys().filter(|path| !before.contains(path)).cloned().collect()
            });
            backups.push(Original { id, tree, objects });
            clock.advance(jiff::SignedDuration::from_hours(1));
        }
        let objects = storage.with_objects(|objects| objects.clone());
        Self { bench, clock, objects, backups, key }
    }

    /// Makes a copy that a case may damage.
    pub fn copy(&self) -> Arc<MemoryStorage> {
        let storage = MemoryStorage::new();
        storage.with_objects(|objects| objects.clone_from(&self.objects));
        Arc::new(storage)
    }

    pub fn try_open(&self, storage: Arc<dyn Storage>) -> Result<Repository, RepositoryError> {
        Repository::open(self.bench.runtime.handle(), storage, &Bench::credentials(), self.clock.clone())
    }

    /// Finds the object of a kind that a backup added.
    pub fn path(&self, backup: usize, part: Part) -> String {
        let folder = match part {
            Part::Index => "index/",
            Part::Snapshot => "snapshots/",
            Part::DataPack | Part::TreePack => "data/",
        };
        let kind = if part == Part::TreePack { "tree" } else { "data" };
        let mut own = self.backups[backup].objects.iter().filter(|path| path.starts_with(folder));
        let is_kind = |path: &&String| folder != "data/" || self.kind_of_pack(path) == kind;
        own.find(is_kind).unwrap_or_else(|| panic!("{part:?} of {backup}")).clone()
    }

    /// Returns what the blobs of a pack are, by the index.
    fn kind_of_pack(&self, path: &str) -> &'static str {
        for (_, sealed) in self.objects.iter().filter(|(path, _)| path.starts_with("index/")) {
            let file = self.index_file(sealed);
            if let Some(pack) = file.packs.iter().find(|pack| ObjectKind::Pack.path(&pack.id) == path) {
                return pack.blobs[0].kind.as_str();
            }
        }
        panic!("{path} is in no index")
    }

    /// Reads an index object.
    pub fn index_file(&self, sealed: &[u8]) -> IndexFile {
        let plain = self.key.open_copy(sealed).unwrap();
        let json = if plain[0] == 2 { zstd::decode_all(&plain[1..]).unwrap() } else { plain };
        serde_json::from_slice(&json).unwrap()
    }

    /// Backs up a tree.
    pub fn back_up(&self, repository: &Repository, tree: &Path) -> Result<BackupSummary, RepositoryError> {
        let mut writer = larder_repository::BackupWriter::start(
            std::slice::from_ref(repository),
            self.bench.options(),
            Cancel::new(),
            Arc::new(Counters::default()),
        )?;
        super::walk::walk(tree, &mut writer)?;
        writer.finish(Seal::default())
    }

    /// Returns everything in which the restore of a backup that went well differs from the original, and the restore's
    /// own error where it did not go well. Wrong bytes under a right name fail the test.
    pub fn restore(
        &self,
        repository: &Repository,
        snapshot: &Snapshot,
        tree: &Path,
    ) -> Result<(), RepositoryError> {
        let place = TempDir::new();
        let target = place.join("restored");
        let done = repository.restore(
            snapshot,
            &target,
            &RestoreOptions { threads: 2, ..RestoreOptions::default() },
            &Cancel::new(),
            &Counters::default(),
        );
        match done {
            Ok(_) => assert_eq!(compare_trees(tree, &target), [""; 0], "after a restore that went well"),
            Err(_) => assert_no_wrong_bytes(tree, &target),
        }
        done.map(drop)
    }
}

/// Fails where a file below `restored` has its right name but not the bytes of the original.
pub fn assert_no_wrong_bytes(original: &Path, restored: &Path) {
    let Ok(entries) = fs::read_dir(restored) else { return };
    for entry in entries {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path())).unwrap();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            assert_no_wrong_bytes(&original.join(name), &path);
        } else if !name.to_string_lossy().ends_with(".larder-partial") {
            assert!(fs::read(&path).unwrap() == fs::read(original.join(&name)).unwrap(), "{name:?} is wrong");
        }
    }
}

/// Checks a repository, reading every byte.
pub fn check(repository: &Repository) -> Result<CheckReport, RepositoryError> {
    let options = CheckOptions { read_data: true, threads: 2, ..CheckOptions::default() };
    repository.check(&options, &Cancel::new(), &Counters::default())
}

/// Removes everything that no backup needs.
pub fn prune(repository: &Repository) -> Result<PruneSummary, RepositoryError> {
    let options = PruneOptions { max_unused_percent: 0.0, wait: Duration::ZERO, ..PruneOptions::default() };
    repository.prune(&options, &Cancel::new(), &Counters::default())
}

/// Writes a small tree in which every file has other bytes than those of another seed.
pub fn write_tree(tree: &Path, seed: u64) {
    let mut random = Random::new(seed * 1000);
    for folder in ["", "one", "two/three"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
        for number in 0..3 {
            fs::write(tree.join(folder).join(format!("random-{number}")), random.bytes(5_000)).unwrap();
        }
        let text = format!("a line of {folder} with {}\n", random.next()).repeat(200);
        fs::write(tree.join(folder).join("text"), text).unwrap();
    }
    fs::write(tree.join("empty"), "").unwrap();
    std::os::unix::fs::symlink("one/text", tree.join("link")).unwrap();
}

/// Replaces the key file by one whose password is cheap to try: drills open a repository thousands of times.
/// Returns the master key.
pub fn make_opening_cheap(storage: &MemoryStorage, bench: &Bench) -> MasterKey {
    let (path, bytes) = storage.with_objects(|objects| {
        let key = objects.iter().find(|(path, _)| path.starts_with("keys/")).unwrap();
        (key.0.clone(), key.1.clone())
    });
    let file: KeyFile = serde_json::from_slice(&bytes).unwrap();
    let master = file.open(&Bench::credentials()).unwrap();
    let cheap = cheap_key(&master, PASSWORD, bench);
    storage.with_objects(|objects| {
        objects.remove(&path);
        objects.insert(ObjectKind::Key.path(&Id::of(&cheap)), cheap);
    });
    master
}

/// Makes a key file that costs next to nothing to open.
pub fn cheap_key(master: &MasterKey, password: &str, bench: &Bench) -> Bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let credentials = Credentials::Password(Secret::new(password.to_owned()));
    let mut file = KeyFile::create(master, &credentials, &*bench.clock).unwrap();
    let (encrypt, k, r) = master.parts();
    let json = format!(
        r#"{{"mac":{{"k":"{}","r":"{}"}},"encrypt":"{}"}}"#,
        STANDARD.encode(k),
        STANDARD.encode(r),
        STANDARD.encode(encrypt)
    );
    let salt = STANDARD.decode(&file.salt).unwrap();
    let mut derived = [0; 64];
    let params = scrypt::Params::new(1, 1, 1).unwrap();
    scrypt::scrypt(password.as_bytes(), &salt, &params, &mut derived).unwrap();
    (file.n, file.r, file.p) = (2, 1, 1);
    file.data = STANDARD.encode(MasterKey::from_bytes(&derived).seal_copy(json.as_bytes()).unwrap());
    Bytes::from(serde_json::to_vec(&file).unwrap())
}

//! `larder repair` with nothing but the key: no server, and repositories that may not even open. Stock restic judges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Restic, compare_trees_restored_by_restic};
use std::path::{Path, PathBuf};
use support::{Ended, Site, ask, run};

/// A tree with one backup at two destinations, and no server any more.
struct Left {
    site: Site,
    first: PathBuf,
    second: PathBuf,
    password: String,
}

fn left() -> Left {
    let site = Site::new();
    let (first, second) = (site.directory.join("first"), site.directory.join("second"));
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let task = serde_json::json!({
        "Name": "Twice", "FullBackupFrequency": "0 2 1 1 *",
        "LocalSettings": { "FolderPath": first },
        "Destinations": [{ "Name": "Second", "LocalSettings": { "FolderPath": second } }],
    });
    let file = site.directory.join("twice.json");
    std::fs::write(&file, task.to_string()).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["backup", "now", "tree", "--full", "--wait"]).expect(0);
    drop(server);
    let password = std::fs::read_to_string(site.data().join("key")).unwrap().trim().to_owned();
    Left { first: first.join("tree"), second: second.join("tree"), site, password }
}

impl Left {
    /// Runs `larder repair tree --read-data` over these repositories.
    fn repair(&self, repositories: &[&Path], more: &[&str]) -> Ended {
        let key = self.site.data().join("key");
        let mut words = vec!["repair", "tree", "--read-data", "--key-file", key.to_str().unwrap()];
        let roots: Vec<&str> =
            repositories.iter().map(|path| path.parent().unwrap().to_str().unwrap()).collect();
        roots.iter().for_each(|root| words.extend(["--destination", root]));
        run(words.into_iter().chain(more.iter().copied()))
    }

    fn judge(&self, repository: &Path) -> Restic {
        Restic::new(repository, &self.password)
    }

    /// Has restic check every byte of a repository and restore the newest backup of it.
    fn assert_whole(&self, repository: &Path, name: &str) {
        let judge = self.judge(repository);
        judge.check_read_data();
        let target = self.site.directory.join(name);
        judge.restore("latest", &target);
        assert_eq!(compare_trees_restored_by_restic(&self.site.tree(), &target), [""; 0], "{name}");
    }
}

/// Lists the objects in a folder of a repository.
fn objects(repository: &Path, folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut pending = vec![repository.join(folder)];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[byte] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Flips a bit in the largest pack, which holds bytes of files.
fn damage_pack(repository: &Path) {
    let packs = objects(repository, "data").into_iter();
    flip(&packs.max_by_key(|path| path.metadata().unwrap().len()).unwrap(), 100);
}

/// Takes from a repository what opens it and what finds things in it, and damages what is in it.
fn ruin(repository: &Path) {
    std::fs::remove_file(repository.join("config")).unwrap();
    objects(repository, "keys").iter().for_each(|path| flip(path, 5));
    objects(repository, "index").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    damage_pack(repository);
}

fn every_byte(repository: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = objects(repository, "").into_iter().filter(|path| !path.starts_with(repository.join("locks")));
    all.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_ruined_repository_comes_back_whole_from_another_destination() {
    let left = left();
    ruin(&left.first);
    let (before, other) = (every_byte(&left.first), every_byte(&left.second));
    let both = [left.first.as_path(), left.second.as_path()];
    let said = left.repair(&both, &["--dry-run"]).expect(0);
    assert!(said.said.contains("config: it is missing; it would be made anew"), "{said:?}");
    assert!(said.said.contains("it would be fetched again from"), "{said:?}");
    assert!(every_byte(&left.first) == before, "a dry run changes nothing");
    let done = left.repair(&both, &[]).expect(0);
    assert!(done.said.contains("it was made anew") && done.said.contains("fetched again from"), "{done:?}");
    left.assert_whole(&left.first, "restored");
    left.assert_whole(&left.second, "restored-two");
    assert!(every_byte(&left.second) == other, "the other one stays as it was");
    let again = left.repair(&both, &[]).expect(0);
    assert_eq!(again.said.matches("nothing is damaged").count(), 2, "{again:?}");
    // The server goes on with it.
    let server = left.site.serve();
    ask(&server, &["backup", "now", "tree", "--full", "--wait"]).expect(0);
    drop(server);
    left.assert_whole(&left.first, "restored-three");
}

#[test]
fn alone_a_repository_gets_a_new_configuration_and_index_and_names_what_is_lost() {
    let left = left();
    std::fs::remove_file(left.first.join("config")).unwrap();
    objects(&left.first, "index").iter().for_each(|path| flip(path, 60));
    let done = left.repair(&[&left.first], &[]).expect(0);
    assert!(done.said.contains("what it said was read from the packs"), "{done:?}");
    left.assert_whole(&left.first, "restored");
    damage_pack(&left.first);
    let lost = left.repair(&[&left.first], &[]).expect(1);
    let named = |file| lost.said.lines().any(|line| line.contains("lost of backup") && line.ends_with(file));
    let files = ["/readme.txt", "/shop.db", "/docs/stock.sqlite", "/docs/deep/large.bin"];
    assert!(files.into_iter().any(named), "{lost:?}");
    assert!(lost.remarked.contains("lost for good"), "{lost:?}");
    let refused = left.repair(&[&left.first], &["--damaged-backups", "replace"]).expect(1);
    assert!(refused.remarked.contains("only a server"), "{refused:?}");
    left.repair(&[&left.first], &["--damaged-backups", "supplement"]).expect(0);
    let judge = left.judge(&left.first);
    let backups = judge.snapshots();
    assert_eq!(backups.len(), 2);
    // Both are of the same moment.
    let mended = backups.iter().find(|one| one.get("original").is_some()).unwrap();
    let target = left.site.directory.join("supplement");
    judge.restore(mended["id"].as_str().unwrap(), &target);
    // With the other destination it is whole again, whatever was done meanwhile.
    left.repair(&[&left.first, &left.second], &[]).expect(0);
    judge.check_read_data();
}

#[test]
fn without_its_key_file_and_alone_it_says_what_would_help_and_changes_nothing() {
    let left = left();
    objects(&left.first, "keys").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let before = every_byte(&left.first);
    let refused = left.repair(&[&left.first], &[]).expect(1);
    assert!(refused.remarked.contains("name another destination of the same backups"), "{refused:?}");
    assert!(every_byte(&left.first) == before);
    left.repair(&[&left.first, &left.second], &[]).expect(0);
    left.assert_whole(&left.first, "restored");
}

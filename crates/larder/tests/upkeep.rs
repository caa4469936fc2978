//! `larder check`, `repair`, `prune` and `upkeep`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::Server;
use std::path::{Path, PathBuf};
use support::{Site, ask};

/// A server whose tree was backed up to two folders, and the repositories there.
fn backed_up(site: &Site) -> (Server, PathBuf, PathBuf) {
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let (first, second) = (site.directory.join("first"), site.directory.join("second"));
    let task = serde_json::json!({
        "Name": "Twice", "FullBackupFrequency": "0 2 1 1 *",
        "LocalSettings": { "FolderPath": first },
        "Destinations": [{ "Name": "Second", "LocalSettings": { "FolderPath": second } }],
    });
    let file = site.directory.join("twice.json");
    std::fs::write(&file, task.to_string()).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["backup", "now", "tree", "--full", "--wait"]).expect(0);
    (server, first.join("tree"), second.join("tree"))
}

fn packs(repository: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(repository.join("data")).unwrap();
    let below = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| below(folder.unwrap().path())).collect()
}

/// Flips a bit in the largest pack, which holds bytes of files.
fn damage(repository: &Path) {
    let largest = packs(repository).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&largest).unwrap();
    std::fs::write(&largest, bytes).unwrap();
}

#[test]
fn damage_is_found_part_by_part_and_mended_from_the_other_destination() {
    let site = Site::new();
    let (server, first, _) = backed_up(&site);
    damage(&first);
    let codes: Vec<i32> = ["1/2", "2/2"]
        .iter()
        .map(|part| ask(&server, &["check", "tree", "--destination", "Local", "--part", *part]).code)
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 1).count(), 1, "one part has the damage: {codes:?}");
    ask(&server, &["check", "tree", "--destination", "Local"]).expect(0);
    let tried = ask(&server, &["repair", "tree", "--read-data", "--dry-run"]).expect(0);
    assert!(tried.said.contains("it would be fetched again from"), "{tried:?}");
    ask(&server, &["check", "tree", "--read-data"]).expect(1);
    let mended = ask(&server, &["repair", "tree", "--read-data"]).expect(0);
    assert!(mended.said.contains("it was fetched again from"), "{mended:?}");
    let checked = ask(&server, &["check", "tree", "--read-data"]).expect(0);
    assert!(checked.said.contains("are all there"), "{checked:?}");
    let again = ask(&server, &["repair", "tree", "--read-data"]).expect(0);
    assert!(again.said.contains("nothing is damaged"), "{again:?}");
}

#[test]
fn what_is_lost_is_named_and_a_damaged_backup_goes_only_on_an_explicit_word() {
    let site = Site::new();
    let (server, first, second) = backed_up(&site);
    damage(&first);
    damage(&second);
    let said = ask(&server, &["repair", "tree", "--read-data"]).expect(1);
    assert!(said.said.contains("lost of backup") && said.remarked.contains("lost for good"), "{said:?}");
    let before = ask(&server, &["backup", "list", "tree", "--json"]).expect(0).json();
    assert_eq!(before["Backups"].as_array().unwrap().len(), 2);
    let replaced = ask(&server, &["repair", "tree", "--read-data", "--damaged-backups", "replace"]).expect(0);
    assert!(replaced.said.contains("removed"), "{replaced:?}");
    let after = ask(&server, &["backup", "list", "tree", "--json"]).expect(0).json();
    for backup in after["Backups"].as_array().unwrap() {
        assert_eq!(backup["Quality"], "Incomplete", "{after:#}");
    }
    ask(&server, &["check", "tree", "--read-data"]).expect(0);
}

#[test]
fn the_server_says_what_it_does_by_itself_and_a_prune_what_it_frees() {
    let site = Site::new();
    let (server, first, _) = backed_up(&site);
    let upkeep = ask(&server, &["upkeep", "tree", "--json"]).expect(0).json();
    assert_eq!(upkeep.as_array().unwrap().len(), 2, "{upkeep:#}");
    assert_eq!((&upkeep[0]["Round"]["Parts"], &upkeep[0]["Round"]["NextPart"]), (&30.into(), &1.into()));
    let table = ask(&server, &["upkeep", "tree"]).expect(0).said;
    assert!(table.contains("1 of 30") && table.contains("none known"), "{table}");
    let before = packs(&first).len();
    for arguments in [&["prune", "tree", "--dry-run"][..], &["prune", "tree"]] {
        let ended = ask(&server, arguments).expect(0);
        assert!(ended.said.contains("freed"), "{ended:?}");
    }
    assert_eq!(packs(&first).len(), before, "every pack is needed");
    drop(server);
    std::fs::write(site.data().join("larder.toml"), "[upkeep]\ncheck_days = 0\n").unwrap();
    let server = site.serve();
    let upkeep = ask(&server, &["upkeep", "tree", "--json"]).expect(0).json();
    assert!(upkeep[0]["Round"].is_null(), "{upkeep:#}");
}

#[test]
fn a_part_that_does_not_exist_is_refused_with_an_example() {
    let site = Site::new();
    let (server, ..) = backed_up(&site);
    let refused = ask(&server, &["check", "tree", "--part", "4/3"]).expect(2);
    assert!(refused.remarked.contains("3/30"), "{refused:?}");
}

//! `larder quickstart` as a newcomer runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Server, compare_trees};
use std::os::unix::fs::PermissionsExt;
use support::{Site, larder, make_database, run};

#[test]
fn it_ends_with_every_row_verified_and_says_where_the_key_is() {
    let site = Site::new();
    let first = site.quickstart(&[]).expect(0);
    assert!(first.said.contains("Found 1 file tree and 2 SQLite databases"), "{}", first.said);
    let rows: Vec<&str> = first.said.lines().filter(|line| line.ends_with("  verified")).collect();
    assert_eq!(rows.len(), 3, "{}", first.said);
    assert!(rows.iter().all(|row| row.contains(" full ")), "{}", first.said);
    let next = first.said.lines().filter(|line| line.contains(" CET ") || line.contains(" CEST "));
    // Once a week the next ones are full.
    let kinds: Vec<bool> = next.map(|run| run.ends_with(" incremental") || run.ends_with(" full")).collect();
    assert_eq!(kinds, [true; 5], "{}", first.said);
    let key = site.data().join("key");
    assert!(first.said.contains(&key.display().to_string()), "{}", first.said);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(site.data().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_start_picks_everything_up_and_makes_incrementals() {
    let site = Site::new();
    site.quickstart(&[]).expect(0);
    std::fs::write(site.tree().join("new.txt"), "new since\n").unwrap();
    let second = site.quickstart(&["--json"]).expect(0).json();
    let rows = second["Databases"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{second}");
    for row in rows {
        assert_eq!((&row["Kind"], &row["Verified"]), (&"incremental".into(), &true.into()), "{second}");
        assert_eq!(row["Unchanged"], row["Engine"] == "sqlite", "{second}");
    }
    assert_eq!(second["NextRuns"].as_array().unwrap().len(), 5);
}

#[test]
fn it_goes_on_as_a_server_until_it_is_told_to_stop() {
    let site = Site::new();
    let mut command = larder();
    command.arg("quickstart").arg(site.tree()).arg("--data").arg(site.data()).args(["--bind", "127.0.0.1:0"]);
    let server = Server::start_command(command);
    let said = server.said();
    assert_eq!(said.lines().filter(|line| line.ends_with("  verified")).count(), 3, "{said}");
    let status = support::ask(&server, &["status", "--json"]).expect(0).json();
    assert_eq!(status["Databases"], serde_json::json!([["Verified", 3]]), "{status}");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_path_that_does_not_exist_is_named_and_nothing_is_made() {
    let site = Site::new();
    let missing = site.directory.join("no-such-tree");
    let ended =
        run([std::ffi::OsStr::new("quickstart"), missing.as_ref(), "--data".as_ref(), site.data().as_ref()]);
    let ended = ended.expect(1);
    assert!(ended.remarked.contains("no-such-tree' does not exist; "), "{ended:?}");
    assert_eq!(ended.remarked.lines().count(), 1, "{ended:?}");
    assert!(!site.data().exists());
}

#[test]
fn a_corrupt_database_is_named_and_the_others_are_verified() {
    let site = Site::new();
    let corrupt = site.tree().join("broken.db");
    make_database(&corrupt, 5_000);
    let mut bytes = std::fs::read(&corrupt).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xa5);
    std::fs::write(&corrupt, bytes).unwrap();
    let ended = site.quickstart(&["--json"]).expect(1).json();
    for row in ended["Databases"].as_array().unwrap() {
        let is_broken = row["Database"].as_str().unwrap().contains("broken");
        assert_eq!(row["Verified"], !is_broken, "{ended}");
        if is_broken {
            assert_eq!(row["Outcome"], "Failed", "{ended}");
            assert!(row["Reason"].as_str().unwrap().contains("broken.db"), "{ended}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_leaves_an_incomplete_row_and_a_code_of_its_own() {
    let site = Site::new();
    let unreadable = site.tree().join("locked");
    std::fs::create_dir(&unreadable).unwrap();
    std::fs::write(unreadable.join("secret.txt"), "s").unwrap();
    std::fs::set_permissions(&unreadable, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads whatever the mode says, so the program runs without that privilege.
    let ended = support::quickstart_without_privilege(&site, &["--json"]);
    std::fs::set_permissions(&unreadable, std::fs::Permissions::from_mode(0o700)).unwrap();
    let ended = ended.expect(3).json();
    let tree = ended["Databases"].as_array().unwrap().iter().find(|row| row["Engine"] == "files").unwrap();
    assert_eq!(tree["Outcome"], "Incomplete", "{ended}");
    assert!(tree["Reason"].as_str().unwrap().contains("locked"), "{ended}");
    assert!(ended["Unsearched"][0].as_str().unwrap().contains("locked"), "{ended}");
}

#[test]
fn a_destination_that_holds_other_files_is_left_alone() {
    let site = Site::new();
    let foreign = site.data().join("backups/tree");
    std::fs::create_dir_all(&foreign).unwrap();
    std::fs::write(foreign.join("holiday.jpg"), "not ours").unwrap();
    // A data directory with something in it but no key is one that lost its key.
    std::fs::write(site.data().join("key"), "c29tZWJvZHkgbWFkZSB0aGlzIGtleSBmb3IgdGVzdHM=\n").unwrap();
    let ended = site.quickstart(&["--json"]).expect(1).json();
    let tree = ended["Databases"].as_array().unwrap().iter().find(|row| row["Engine"] == "files").unwrap();
    assert_eq!(tree["Outcome"], "Failed", "{ended}");
    assert!(tree["Reason"].as_str().unwrap().contains("holiday.jpg"), "{ended}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn a_restore_needs_neither_server_nor_state() {
    let site = Site::new();
    site.quickstart(&[]).expect(0);
    let (backups, key) = (site.data().join("backups"), site.data().join("key"));
    let offline = ["--destination", backups.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let target = site.directory.join("restored");
    let restore = ["restore", "tree", target.to_str().unwrap()].into_iter().chain(offline);
    run(restore.clone()).expect(0);
    assert_eq!(compare_trees(&site.tree(), &target), Vec::<String>::new());

    let again = run(restore).expect(1);
    assert!(again.remarked.contains("not empty"), "{again:?}");
    let list = run(["backup", "list", "tree", "--json"].into_iter().chain(offline)).expect(0).json();
    assert_eq!(list["Backups"].as_array().unwrap().len(), 1, "{list}");
    run(["check", "tree", "--read-data"].into_iter().chain(offline)).expect(0);

    let wrong = site.directory.join("wrong-key");
    std::fs::write(&wrong, "bm90IHRoZSBrZXkgYXQgYWxsLCBub3QgdGhlIGtleSE=\n").unwrap();
    let refused =
        run(["check", "tree", "--destination", offline[1], "--key-file", wrong.to_str().unwrap()]).expect(1);
    assert!(refused.remarked.contains("key") && refused.remarked.lines().count() == 1, "{refused:?}");
}

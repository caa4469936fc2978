//! A PostgreSQL server backed up, proved and got back with the program as a person uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Postgresql, Restic, Server, TempDir, wait_until};
use serde_json::json;
use std::fs;
use std::process::Command;
use std::time::Duration;
use support::{Site, ask};

/// A server of Larder's, a server of PostgreSQL's, and what the second is called in the first.
struct Both {
    site: Site,
    larder: Server,
    postgresql: Postgresql,
}

impl Both {
    fn new() -> Self {
        let site = Site::new();
        fs::create_dir_all(site.data()).unwrap();
        let tools =
            format!("discovery_interval = \"1s\"\n[tools]\ndirectories = [{:?}]\n", Postgresql::programs());
        fs::write(site.data().join("larder.toml"), tools).unwrap();
        let postgresql = Postgresql::start();
        postgresql.sql("postgres", "CREATE DATABASE shop");
        postgresql.sql(
            "shop",
            "CREATE TABLE items (id serial PRIMARY KEY, name text); INSERT INTO items (name) SELECT 'item ' || i FROM generate_series(1, 1000) i",
        );
        let both = Self { larder: site.serve(), site, postgresql };
        both.put_task(json!({}));
        both
    }

    fn ask(&self, arguments: &[&str]) -> String {
        ask(&self.larder, arguments).expect(0).said
    }

    /// Makes the task, or changes it.
    fn put_task(&self, more: serde_json::Value) {
        let folder = self.site.directory.join("backups");
        let mut task = json!({
            "Name": "Nightly", "FullBackupFrequency": "0 2 * * *",
            "LocalSettings": { "FolderPath": folder },
        });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file = self.site.directory.join("task.json");
        fs::write(&file, task.to_string()).unwrap();
        self.ask(&["task", "put", file.to_str().unwrap()]);
    }

    /// Waits until the server has so many replication slots of Larder's.
    fn has_slots(&self, wanted: u32) {
        let slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'larder%'";
        wait_until(&format!("{wanted} replication slots"), Duration::from_secs(30), || {
            (self.postgresql.sql("postgres", slots) == wanted.to_string()).then_some(())
        });
    }

    fn password_file(&self, password: &str) -> String {
        let file = self.site.directory.join("password");
        fs::write(&file, password).unwrap();
        file.display().to_string()
    }

    fn add(&self) {
        let (address, file) = (self.postgresql.address("postgres"), self.password_file(Postgresql::PASSWORD));
        let said = self.ask(&["source", "add", &address, "--password-file", &file]);
        assert!(said.contains("Added source postgresql (2 databases: postgres, shop)"), "{said}");
    }
}

#[test]
fn a_server_is_added_backed_up_proved_and_restored_under_a_new_name() {
    let both = Both::new();
    both.add();
    let listed = both.ask(&["source", "list", "--json"]);
    assert!(listed.contains("****") && !listed.contains(Postgresql::PASSWORD), "{listed}");
    assert!(both.ask(&["source", "check", "postgresql"]).contains("every right"));
    both.ask(&["backup", "now", "shop", "--full", "--wait"]);
    both.ask(&["verify", "shop"]);
    let verified = both.ask(&["operation", "list", "--kind", "verify", "--json"]);
    assert!(verified.contains("1 table, 1,000 rows"), "{verified}");
    both.ask(&["restore", "shop", "--into", "postgresql/shop copy"]);
    assert_eq!(both.postgresql.sql("shop copy", "SELECT count(*), max(name) FROM items"), "1000|item 999");
    // What is there is never touched unasked.
    let refused = ask(&both.larder, &["restore", "shop", "--into", "postgresql/shop copy"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let time =
        ask(&both.larder, &["restore", "shop", "--into", "postgresql/x", "--time", "2026-01-01T00:00:00Z"]);
    assert!(time.code != 0 && format!("{time:?}").contains("moments of its backups"), "{time:?}");
    // A database made now is found without anybody asking, with the password that was stored sealed.
    let state = fs::read(both.site.data().join("state.redb")).unwrap();
    let password = Postgresql::PASSWORD.as_bytes();
    assert!(!state.windows(password.len()).any(|bytes| bytes == password));
    assert!(both.ask(&["database", "list"]).contains("shop"));
}

#[test]
fn a_backup_is_a_dump_that_stock_restic_and_psql_get_back_without_larder() {
    let both = Both::new();
    both.add();
    both.ask(&["backup", "now", "shop", "--full", "--wait"]);
    let key = fs::read_to_string(both.site.data().join("key")).unwrap();
    let restic = Restic::new(both.site.directory.join("backups/shop"), key.trim());
    restic.check_read_data();
    let target = TempDir::new();
    restic.restore("latest", target.path());
    both.postgresql.sql("postgres", "CREATE DATABASE byhand");
    let mut client: Command = both.postgresql.client("byhand");
    let done = client.arg("-f").arg(target.join("dump.sql")).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(both.postgresql.sql("byhand", "SELECT count(*) FROM items"), "1000");
    assert!(fs::read_to_string(target.join("globals.sql")).unwrap().contains("CREATE ROLE postgres"));
}

#[test]
fn what_did_not_change_is_not_dumped_again_and_a_changed_password_is_an_error_until_it_is_told() {
    let both = Both::new();
    both.add();
    both.ask(&["backup", "now", "shop", "--full", "--wait"]);
    both.ask(&["backup", "now", "shop", "--wait"]);
    let operations = both.ask(&["operation", "list", "--kind", "backup", "--json"]);
    assert!(operations.contains("nothing changed since the last backup"), "{operations}");
    both.postgresql.sql("postgres", "ALTER ROLE postgres PASSWORD 'another one'");
    let failed = ask(&both.larder, &["backup", "now", "shop", "--full", "--wait"]);
    assert!(
        failed.code != 0 && format!("{failed:?}").contains("password authentication failed"),
        "{failed:?}"
    );
    let file = both.password_file("another one");
    both.ask(&["source", "change", "postgresql", "--password-file", &file]);
    both.ask(&["backup", "now", "shop", "--full", "--wait"]);
    // A change of something else keeps it.
    both.ask(&["source", "change", "postgresql", "--option", "LockTimeout=30"]);
    both.ask(&["backup", "now", "shop", "--full", "--wait"]);
    both.postgresql.sql("postgres", "CREATE ROLE poor LOGIN PASSWORD 'poor'");
    let (address, file) = (both.postgresql.address("poor"), both.password_file("poor"));
    both.ask(&["source", "add", &address, "--password-file", &file, "--name", "poor"]);
    let lacks = ask(&both.larder, &["source", "check", "poor"]);
    assert!(lacks.code != 0 && lacks.said.contains("GRANT pg_read_all_data TO \"poor\";"), "{lacks:?}");
}

#[test]
fn a_server_that_runs_is_found_and_accepted() {
    let both = Both::new();
    let socket = both.postgresql.socket_directory().display().to_string();
    let found = both.ask(&["source", "find"]);
    assert!(found.contains(&socket) && found.contains("postgresql"), "{found}");
}

#[test]
fn a_whole_server_is_backed_up_with_its_log_and_comes_back_to_a_named_moment() {
    let both = Both::new();
    let (address, file) = (both.postgresql.address("postgres"), both.password_file(Postgresql::PASSWORD));
    let add = ["source", "add", &address, "--password-file", &file, "--option", "WholeServer=true"];
    let said = both.ask(&add);
    assert!(said.contains("postgresql.server"), "{said}");
    assert!(both.ask(&["source", "check", "postgresql"]).contains("every right"));
    both.ask(&["backup", "now", "postgresql.server", "--full", "--wait"]);
    both.postgresql.sql("shop", "INSERT INTO items (name) VALUES ('one more')");
    both.postgresql.sql("shop", "SELECT pg_create_restore_point('before the mistake')");
    both.postgresql.sql("shop", "DELETE FROM items");
    both.ask(&["backup", "now", "postgresql.server", "--wait"]);
    both.ask(&["verify", "postgresql.server"]);
    let verified = both.ask(&["operation", "list", "--kind", "verify", "--json"]);
    assert!(verified.contains("read in a server started on the copy"), "{verified}");
    let directory = TempDir::new();
    let target = directory.join("data");
    let target_text = target.to_str().unwrap().to_owned();
    let missed = ["restore", "postgresql.server", &target_text, "--time", "2020-01-01T00:00:00Z"];
    let missed = ask(&both.larder, &missed);
    assert!(missed.code != 0 && format!("{missed:?}").contains("before the mistake"), "{missed:?}");
    both.ask(&["restore", "postgresql.server", &target_text, "--position", "before the mistake"]);
    let copy = Postgresql::start_on(directory);
    assert_eq!(copy.sql("shop", "SELECT count(*) FROM items"), "1001");
    // A full backup is smaller than a chain with its log, and no suspicion comes of that.
    let chain = both.ask(&["backup", "list", "postgresql.server", "--json"]);
    assert!(!chain.contains("\"suspicious\": true"), "{chain}");
    both.ask(&["backup", "now", "postgresql.server", "--full", "--wait"]);
    both.has_slots(1);
    both.ask(&["task", "delete", "Nightly"]);
    both.has_slots(0);
}

#[test]
fn whatever_ends_the_backups_of_a_whole_server_takes_its_replication_slot_along() {
    let both = Both::new();
    let (address, file) = (both.postgresql.address("postgres"), both.password_file(Postgresql::PASSWORD));
    let add = ["source", "add", &address, "--password-file", &file, "--option", "WholeServer=true"];
    both.ask(&add);
    let again = || {
        both.ask(&["backup", "now", "postgresql.server", "--wait"]);
        both.has_slots(1);
    };
    again();
    both.ask(&["task", "disable", "Nightly"]);
    both.has_slots(0);
    both.ask(&["task", "enable", "Nightly"]);
    again();
    both.put_task(json!({ "ExcludedDatabases": ["postgresql.server"] }));
    both.has_slots(0);
    both.put_task(json!({ "ExcludedDatabases": [] }));
    again();
    both.put_task(json!({ "Identifier": "another" }));
    both.has_slots(0);
    again();
    both.ask(&["source", "change", "postgresql", "--option", "WholeServer=false"]);
    both.has_slots(0);
    both.ask(&["source", "change", "postgresql", "--option", "WholeServer=true"]);
    again();
    both.ask(&["source", "remove", "postgresql"]);
    both.has_slots(0);
    both.ask(&add);
    again();
}

#[test]
fn a_source_removed_while_its_server_is_copied_leaves_no_slot() {
    let both = Both::new();
    let (address, file) = (both.postgresql.address("postgres"), both.password_file(Postgresql::PASSWORD));
    let add = ["source", "add", &address, "--password-file", &file, "--option", "WholeServer=true"];
    both.ask(&add);
    both.put_task(json!({ "MaxReadOpsPerSecond": 20 }));
    let begun = both.ask(&["backup", "now", "postgresql.server", "--full", "--json"]);
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    both.has_slots(1);
    both.ask(&["source", "remove", "postgresql"]);
    both.put_task(json!({ "Disabled": true }));
    // What is under way needs it to its end.
    both.has_slots(1);
    both.ask(&["operation", "abort", &begun["Operations"][0].to_string()]);
    both.has_slots(0);
}

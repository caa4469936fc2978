//! A backup that only a vendor's program can unpack, got back with nothing but the destination and the key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::MariaDb;
use serde_json::json;
use std::fs;
use support::{Site, ask, run};

#[test]
fn a_whole_server_is_restored_with_neither_server_nor_state() {
    let (site, mariadb) = (Site::new(), MariaDb::start());
    mariadb.sql("CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY, name TEXT); INSERT INTO shop.items VALUES (1, 'one')");
    let backups = site.directory.join("backups");
    let task = json!({ "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": backups } });
    let file = site.directory.join("task.json");
    fs::write(&file, task.to_string()).unwrap();
    let larder = site.serve();
    let address = format!("mariadb://root@127.0.0.1:{}", mariadb.port());
    let socket = format!("Socket={}", mariadb.socket().display());
    ask(&larder, &["source", "add", &address, "--option", &socket, "--option", "WholeServer=true"]).expect(0);
    ask(&larder, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&larder, &["backup", "now", "mariadb.server", "--full", "--wait"]).expect(0);
    drop((larder, mariadb));

    let key = site.data().join("key");
    let alone = ["--destination", backups.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let place = site.directory.join("place");
    fs::create_dir(&place).unwrap();
    let target = place.join("restored");
    run(["restore", "mariadb.server", target.to_str().unwrap()].into_iter().chain(alone)).expect(0);
    assert!(target.join("shop/items.ibd").is_file() && target.join("mysql").is_dir());
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "something was left beside what was restored");

    // A moment that no backup knows is refused, and nothing is written.
    let never = place.join("never");
    let moment = ["restore", "mariadb.server", never.to_str().unwrap(), "--time", "2001-01-01T00:00:00Z"];
    let refused = run(moment.into_iter().chain(alone));
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "{refused:?}");
}

//! A disk that is full where a copy of a server is proved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{RedisServer, Server};
use serde_json::json;
use std::fs;
use support::own_host::{is_inside, system};
use support::{Ended, Site, ask};

/// A server of Larder's with a task for everything that it will be told of.
fn serve(site: &Site) -> Server {
    fs::create_dir_all(site.data()).unwrap();
    let larder = site.serve();
    let folder = site.directory.join("backups");
    let task = json!({ "Name": "All", "FullBackupFrequency": "0 2 1 1 *", "LocalSettings": { "FolderPath": folder } });
    let file = site.directory.join("task.json");
    fs::write(&file, task.to_string()).unwrap();
    ask(&larder, &["task", "put", file.to_str().unwrap()]).expect(0);
    larder
}

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.said, ended.remarked).to_lowercase()
}

#[test]
fn a_copy_that_cannot_be_proved_for_want_of_space_is_neither_proved_nor_doubted() {
    if !is_inside("a_copy_that_cannot_be_proved_for_want_of_space_is_neither_proved_nor_doubted") {
        return;
    }
    let redis = RedisServer::start_with(&["--rdbcompression", "no"]);
    redis.ask(&["EVAL", "for i = 100, 300 do redis.call('SET', i, string.rep(tostring(i), 20000)) end", "0"]);
    let site = Site::new();
    let larder = serve(&site);
    ask(&larder, &["source", "add", &redis.address(), "--name", "cache"]).expect(0);
    let staging = site.data().join("staging").display().to_string();
    fs::create_dir_all(&staging).unwrap();
    system("mount", &["-t", "tmpfs", "-o", "size=4m", "none", &staging]);
    // What is streamed needs no space.
    ask(&larder, &["backup", "now", "cache", "--full", "--wait"]).expect(0);
    let refused = ask(&larder, &["verify", "cache"]);
    let told = said(&refused);
    assert!(refused.code != 0 && told.contains("no space left"), "{told}");
    assert!(told.contains(&staging.to_lowercase()) || told.contains("staging"), "the place is named: {told}");
    let listed = ask(&larder, &["backup", "list", "cache", "--json"]).expect(0).said;
    assert!(listed.contains("Good") && !listed.contains("Suspicious"), "{listed}");
    system("mount", &["-o", "remount,size=64m", &staging]);
    ask(&larder, &["verify", "cache"]).expect(0);
    assert!(ask(&larder, &["backup", "list", "cache", "--json"]).expect(0).said.contains("Verified"));
}

//! A disk that is full where a copy of a server is proved, or where a server is that a copy is restored into.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{MariaDb, Postgresql, RedisServer, Server};
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

#[test]
fn a_postgresql_server_without_space_keeps_what_it_had_and_the_restore_says_so() {
    if !is_inside("a_postgresql_server_without_space_keeps_what_it_had_and_the_restore_says_so") {
        return;
    }
    let mut postgresql = Postgresql::start();
    postgresql.sql("postgres", "CREATE DATABASE shop");
    let fill =
        "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS text FROM generate_series(1, 20000) AS i";
    postgresql.sql("shop", fill);
    let site = Site::new();
    fs::create_dir_all(site.data()).unwrap();
    let tools = format!("[tools]\ndirectories = [{:?}]\n", Postgresql::programs());
    fs::write(site.data().join("larder.toml"), tools).unwrap();
    let larder = serve(&site);
    let password = site.directory.join("password");
    fs::write(&password, Postgresql::PASSWORD).unwrap();
    let password = ["--password-file", password.to_str().unwrap()];
    let address = postgresql.address("postgres");
    ask(&larder, &["source", "add", &address, "--name", "pg", password[0], password[1]]).expect(0);
    ask(&larder, &["backup", "now", "shop", "--full", "--wait"]).expect(0);
    // Its databases get a volume that holds them, and another empty one, and no more. The log lies elsewhere.
    postgresql.shut_down();
    let base = postgresql.data_directory().join("base").display().to_string();
    let aside = site.directory.join("base").display().to_string();
    system("cp", &["-a", &base, &aside]);
    system("mount", &["-t", "tmpfs", "-o", "size=64m", "none", &base]);
    system("cp", &["-a", &format!("{aside}/."), &base]);
    postgresql.begin();
    let address = postgresql.address("postgres");
    ask(&larder, &["source", "add", &address, "--name", "small", password[0], password[1]]).expect(0);
    for more in [&["--into", "small/copy"][..], &["--into", "small/shop", "--overwrite"]] {
        let refused = ask(&larder, &[&["restore", "shop"], more].concat());
        let told = said(&refused);
        assert!(refused.code != 0 && told.contains("no space left on device"), "{told}");
        assert!(told.contains("free space on the server's volume"), "{told}");
        let names =
            "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
        assert_eq!(postgresql.sql("postgres", names), "postgres shop", "what was begun is gone");
        assert_eq!(postgresql.sql("shop", "SELECT count(*) FROM t"), "20000");
    }
    let faulted = ask(&larder, &["operation", "list", "--kind", "restore", "--json"]).expect(0).said;
    assert_eq!(faulted.matches("\"Faulted\"").count(), 2, "{faulted}");
    system("mount", &["-o", "remount,size=400m", &base]);
    ask(&larder, &["restore", "shop", "--into", "small/copy"]).expect(0);
    assert_eq!(postgresql.sql("copy", "SELECT count(*) FROM t"), "20000");
}

#[test]
fn a_mariadb_server_without_space_keeps_what_it_had_and_the_restore_says_so() {
    if !is_inside("a_mariadb_server_without_space_keeps_what_it_had_and_the_restore_says_so") {
        return;
    }
    // Both servers lie here; the second finds it full.
    system("mount", &["-t", "tmpfs", "-o", "size=700m", "none", "/dev/shm"]);
    // A server that keeps a log of changes would wait for space for ever.
    let (full, small) = (MariaDb::start_with([]), MariaDb::start_with([]));
    full.sql("CREATE DATABASE shop; USE shop; CREATE TABLE t (PRIMARY KEY (i)) AS SELECT seq AS i, REPEAT(MD5(seq), 30) AS text FROM seq_1_to_20000");
    small.sql("CREATE DATABASE shop; USE shop; CREATE TABLE t AS SELECT seq AS i FROM seq_1_to_100");
    let site = Site::new();
    let larder = serve(&site);
    let password = site.directory.join("password");
    fs::write(&password, "secret").unwrap();
    let add = |name: &str, server: &MariaDb| {
        server.user("larder", "secret", &["ALL ON *.*"]);
        let address = format!("mariadb://larder@127.0.0.1:{}", server.port());
        let add = ["source", "add", &address, "--name", name, "--password-file", password.to_str().unwrap()];
        ask(&larder, &add).expect(0);
    };
    add("full", &full);
    ask(&larder, &["backup", "now", "shop", "--full", "--wait"]).expect(0);
    add("small", &small);
    let volume = rustix::fs::statvfs("/dev/shm").unwrap();
    let ballast = (volume.f_bavail * volume.f_frsize) - (8 << 20);
    system("fallocate", &["--length", &ballast.to_string(), "/dev/shm/ballast"]);
    for more in [&["--into", "small/copy"][..], &["--into", "small/shop", "--overwrite"]] {
        let refused = ask(&larder, &[&["restore", "shop"], more].concat());
        let told = said(&refused);
        assert!(refused.code != 0 && told.contains("free space on the volume of the server"), "{told}");
        let names = small.sql("SHOW DATABASES");
        assert!(names.contains("shop\n") && !names.contains("copy") && !names.contains("larder"), "{names}");
        assert_eq!(small.sql("SELECT COUNT(*) FROM shop.t"), "100\n");
    }
    let faulted = ask(&larder, &["operation", "list", "--kind", "restore", "--json"]).expect(0).said;
    assert_eq!(faulted.matches("\"Faulted\"").count(), 2, "{faulted}");
    fs::remove_file("/dev/shm/ballast").unwrap();
    ask(&larder, &["restore", "shop", "--into", "small/copy"]).expect(0);
    assert_eq!(small.sql("SELECT COUNT(*) FROM copy.t"), "20000\n");
}

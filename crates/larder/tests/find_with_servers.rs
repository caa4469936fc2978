//! A host with servers where nobody would look for them: `source find` proposes all, and what is accepted is backed up.
//!
//! The test runs in a host of its own, as far as the kernel gives it one: with nothing but its own processes, ports, and
//! directories. Other tests' servers are not found so, nor what lies on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{MariaDb, Postgresql, RedisServer, Server, TempDir, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::own_host::{is_inside, system};
use support::{Site, ask, make_database};

/// Puts an empty or another directory in place of one of this machine's.
fn mount(what: Option<&Path>, at: &str) {
    if !Path::new(at).is_dir() {
        return;
    }
    match what {
        Some(what) => system("mount", &["--bind", what.to_str().unwrap(), at]),
        None => system("mount", &["-t", "tmpfs", "-o", "size=16m", "none", at]),
    }
}

/// A program that has a database open and does nothing else.
struct Holding(Child);

impl Holding {
    fn open(path: &Path) -> Self {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::from(fs::File::open(path).unwrap()));
        Self(command.spawn().unwrap())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Host {
    _postgresql: Postgresql,
    mariadb: MariaDb,
    _redis: RedisServer,
    _holding: Holding,
    _files: TempDir,
    site: Site,
    larder: Server,
}

impl Host {
    fn new() -> Self {
        for directory in ["/home", "/opt", "/var/lib", "/var/www"] {
            mount(None, directory);
        }
        let files = TempDir::new();
        for directory in ["srv/www", "srv/app", "mnt/elsewhere"] {
            fs::create_dir_all(files.join(directory)).unwrap();
        }
        fs::write(files.join("srv/www/index.html"), "<p>a page").unwrap();
        make_database(&files.join("srv/app/shop.db"), 50);
        make_database(&files.join("mnt/elsewhere/odd.sqlite"), 20);
        mount(Some(&files.join("srv")), "/srv");
        mount(Some(&files.join("mnt")), "/mnt");
        let postgresql = Postgresql::start();
        postgresql.sql("postgres", "CREATE DATABASE orders");
        postgresql.sql("orders", "CREATE TABLE o (id int); INSERT INTO o SELECT generate_series(1, 500)");
        let mariadb = MariaDb::start();
        mariadb.sql("CREATE DATABASE stock; CREATE TABLE stock.s (id int primary key); INSERT INTO stock.s VALUES (1), (2)");
        let redis = RedisServer::start();
        redis.ask(&["SET", "key", "value"]);
        let site = Site::new();
        fs::create_dir_all(site.data()).unwrap();
        let tools =
            format!("discovery_interval = \"1s\"\n[tools]\ndirectories = [{:?}]\n", Postgresql::programs());
        fs::write(site.data().join("larder.toml"), tools).unwrap();
        let larder = site.serve();
        let holding = Holding::open(Path::new("/mnt/elsewhere/odd.sqlite"));
        Self {
            _postgresql: postgresql,
            mariadb,
            _redis: redis,
            _holding: holding,
            _files: files,
            site,
            larder,
        }
    }

    fn ask(&self, arguments: &[&str]) -> String {
        ask(&self.larder, arguments).expect(0).said
    }

    fn task(&self, cron: &str) {
        let folder = self.site.directory.join("backups");
        let task =
            json!({ "Name": "All", "FullBackupFrequency": cron, "LocalSettings": { "FolderPath": folder } });
        let file = self.site.directory.join("task.json");
        fs::write(&file, task.to_string()).unwrap();
        self.ask(&["task", "put", file.to_str().unwrap()]);
    }

    /// Lists the databases, each with its engine.
    fn databases(&self) -> Vec<(String, String)> {
        let listed: Value = serde_json::from_str(&self.ask(&["database", "list", "--json"])).unwrap();
        let mut found = Vec::new();
        gather(&listed, &mut found);
        found
    }
}

/// Gathers everything that has a name and an engine.
fn gather(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather(one, found)),
        Value::Object(keys) => {
            if let (Some(Value::String(name)), Some(Value::String(engine))) =
                (keys.get("Name"), keys.get("Engine"))
            {
                found.push((engine.clone(), name.clone()));
            }
            keys.values().for_each(|one| gather(one, found));
        }
        _ => {}
    }
}

/// One database of each of the five, with its engine.
const WANTED: [(&str, &str); 5] = [
    ("postgresql", "orders"),
    ("mariadb", "stock"),
    ("redis", "redis"),
    ("files", "www"),
    ("sqlite", "shop.db"),
];

#[test]
fn servers_web_roots_and_sqlite_files_are_found_accepted_and_end_as_verified_databases() {
    if !is_inside("servers_web_roots_and_sqlite_files_are_found_accepted_and_end_as_verified_databases") {
        return;
    }
    let host = Host::new();
    let found = host.ask(&["source", "find"]);
    let socket = host.mariadb.socket().display().to_string();
    for one in ["postgresql", "mariadb", "redis", "/srv/www", "/srv/app", "/mnt/elsewhere", socket.as_str()] {
        assert!(found.contains(one), "{one} was not found:\n{found}");
    }
    host.ask(&["source", "find", "--accept"]);
    assert!(
        host.ask(&["source", "find"]).contains("Nothing was found"),
        "what was added is not proposed again"
    );
    let databases = host.databases();
    for wanted in WANTED {
        let (engine, name) = (wanted.0.to_owned(), wanted.1.to_owned());
        assert!(databases.contains(&(engine, name)), "{wanted:?}: {databases:?}");
    }
    host.task("0 2 1 1 *");
    host.ask(&["backup", "now", "--all", "--full", "--wait"]);
    for (engine, name) in WANTED {
        let proved = ask(&host.larder, &["verify", name]);
        assert_eq!(proved.code, 0, "{engine} {name}: {proved:?}");
        let backups = host.ask(&["backup", "list", name, "--json"]);
        assert!(backups.to_lowercase().contains("\"verified\""), "{engine} {name}: {backups}");
    }
}

#[test]
fn a_database_that_is_made_is_backed_up_within_its_period_and_one_search() {
    if !is_inside("a_database_that_is_made_is_backed_up_within_its_period_and_one_search") {
        return;
    }
    let host = Host::new();
    host.ask(&["source", "find", "--accept"]);
    host.task("* * * * *");
    host.mariadb.sql(
        "CREATE DATABASE fresh; CREATE TABLE fresh.t (id int primary key); INSERT INTO fresh.t VALUES (7)",
    );
    // The period is a minute, a search comes each second, and a run takes less than the rest.
    let longest = Duration::from_secs(60 + 1 + 30);
    wait_until("a backup of what was made", longest, || {
        let listed = ask(&host.larder, &["backup", "list", "fresh", "--json"]);
        (listed.code == 0 && listed.said.contains("\"Id\"")).then_some(())
    });
    host.ask(&["verify", "fresh"]);
}

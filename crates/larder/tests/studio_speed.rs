//! Pages stay quick with 500 databases of 1,000 backups each.
//!
//! Unoptimised code is several times slower than what people run, so the limit is generous there, and the history is of 200
//! backups each; `bench/studio` runs this same test optimised, with all of them and the real limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod support;

use jiff::{SignedDuration, Timestamp};
use larder_model::task::{Block, GoogleCloudSettings};
use larder_model::{Cancel, Clock, Counters, DatabaseName, Secret};
use larder_repository::{BackupOptions, BackupWriter, Credentials, ObjectKind, Repository, Seal};
use larder_state::RedbState;
use larder_storage::{Connector, ConnectorSettings, Folder, Local};
use larder_testbed::{GcsFake, Line, SeededHistory, Server, SlowProxy};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::{Site, ask, make_database};

const DATABASES: usize = 500;
/// How many backups of each the server remembers.
const REMEMBERED: u64 = if cfg!(debug_assertions) { 200 } else { 1000 };
/// How many backups the repository of one of them holds.
const KEPT: u64 = 1000;
/// The longest that any page may take.
const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 300 });
/// The most that the first page may weigh with all that it needs, in bytes.
const FIRST_PAGE: usize = 100 * 1024;

/// How much later what is asked of a distant destination arrives, and its answer too.
const DISTANCE: Duration = Duration::from_millis(20);
/// The longest that a thousand backups there may take to be listed for the first time.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// Held by whoever measures.
static QUIET: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A server with 500 databases, of which one has been backed up.
fn begin(site: &Site) -> Server {
    let folder = site.directory.join("many");
    std::fs::create_dir(&folder).unwrap();
    let first = folder.join("db-000.db");
    make_database(&first, 20);
    for number in 1..DATABASES {
        std::fs::copy(&first, folder.join(format!("db-{number:03}.db"))).unwrap();
    }
    std::fs::create_dir_all(site.data()).unwrap();
    std::fs::write(site.data().join("larder.toml"), "history_limit = 1000000\n").unwrap();
    let server = site.serve();
    let arguments = ["source", "add", folder.to_str().unwrap(), "--engine", "sqlite", "--name", "many"];
    ask(&server, &arguments).expect(0);
    let backups = site.directory.join("backups");
    std::fs::create_dir(&backups).unwrap();
    let task = format!(
        "Name = \"Hourly\"\nFullBackupFrequency = \"0 0 1 1 *\"\n[LocalSettings]\nFolderPath = {:?}\n",
        backups.to_str().unwrap()
    );
    let file = site.directory.join("hourly.toml");
    std::fs::write(&file, task).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["backup", "now", "db-000.db", "--wait"]).expect(0);
    server
}

/// Gives the repository of one database as many snapshots as it would have.
fn add_snapshots(runtime: &tokio::runtime::Runtime, directory: &Path, key: &Path) {
    let storage = Arc::new(Local::create(directory).unwrap());
    let key = std::fs::read_to_string(key).unwrap().trim().to_owned();
    let credentials = Credentials::from_text(&Secret::new(key));
    let repository =
        Repository::open(runtime.handle(), storage, &credentials, Arc::new(MachineClock)).unwrap();
    let made = repository.snapshots().unwrap().pop().unwrap();
    for number in 1..KEPT {
        let before = SignedDuration::from_hours(number.cast_signed());
        let time = made.time.checked_sub(before).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        let options = BackupOptions {
            paths: made.paths.clone(),
            hostname: made.hostname.clone(),
            tags: made.tags.clone(),
            threads: 1,
            ..BackupOptions::new(time)
        };
        let targets = std::slice::from_ref(&repository);
        let writer =
            BackupWriter::start(targets, options, Cancel::new(), Arc::new(Counters::default())).unwrap();
        writer.finish(Seal { larder: made.larder.clone(), ..Seal::default() }).unwrap();
    }
}

/// Gives the repository of a database in a bucket as many snapshots as it would have, each the first one at another hour.
fn add_distant_snapshots(runtime: &tokio::runtime::Runtime, cloud: &GcsFake, database: &str, key: &Path) {
    let settings = GoogleCloudSettings {
        bucket_name: Some(GcsFake::BUCKET.to_owned()),
        google_credentials_json: Some(Secret::new(cloud.credentials())),
        custom_server_url: Some(cloud.url()),
        ..GoogleCloudSettings::default()
    };
    let _within = runtime.enter();
    let connector = Connector::new(ConnectorSettings::default()).unwrap();
    let bucket = connector.connect(Block::GoogleCloud(&settings)).unwrap();
    let storage = Arc::new(Folder::new(bucket, database));
    let key = std::fs::read_to_string(key).unwrap().trim().to_owned();
    let credentials = Credentials::from_text(&Secret::new(key));
    let clock = Arc::new(MachineClock);
    let repository = Repository::open(runtime.handle(), storage, &credentials, clock).unwrap();
    let (first, _) = repository.list(ObjectKind::Snapshot).unwrap().pop().unwrap();
    let made = repository.read_object(ObjectKind::Snapshot, &first).unwrap();
    let mut snapshot: Value = serde_json::from_slice(&made).unwrap();
    let newest = Timestamp::now();
    for number in 1..KEPT {
        let before = SignedDuration::from_hours(number.cast_signed());
        snapshot["time"] = json!(newest.checked_sub(before).unwrap().to_string());
        repository.write_object(ObjectKind::Snapshot, &snapshot).unwrap();
    }
}

/// Asks for a page and returns how long it took and what came.
fn get(server: &Server, path: &str) -> (Duration, String) {
    let url = format!("{}{path}", server.url());
    let begun = Instant::now();
    let mut answer = ureq::get(url).call().unwrap_or_else(|error| panic!("{path}: {error}"));
    let body = answer.body_mut().read_to_string().unwrap();
    (begun.elapsed(), body)
}

#[test]
fn every_page_is_there_at_once_with_500_databases_and_a_long_history() {
    let _quiet = QUIET.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new();
    let server = begin(&site);
    let names: Vec<DatabaseName> = (0..DATABASES).map(|n| format!("db-{n:03}.db").parse().unwrap()).collect();
    server.stop();
    let root = site.directory.join("backups");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = Instant::now();
    {
        let state = RedbState::open(&site.data().join("state.redb")).unwrap();
        let history = SeededHistory {
            databases: names,
            backups: REMEMBERED,
            newest: Timestamp::now(),
            task: "Hourly".to_owned(),
            root: root.display().to_string(),
        };
        runtime.block_on(history.write(&state));
    }
    println!("state written in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    add_snapshots(&runtime, &root.join("db-000.db"), &site.data().join("key"));
    println!("snapshots written in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let server = site.serve();
    println!("server ready after {:.1} s", begun.elapsed().as_secs_f64());

    let pages = [
        ("/", "500 databases"),
        ("/studio/databases", "500 of 500"),
        ("/studio/databases?filter=state:good&sort=last&start=100", "500 of 500"),
        ("/studio/databases/db-000.db", "Last operations"),
        ("/studio/databases/db-000.db/points", "Verify"),
        ("/studio/databases/db-000.db/browse", "Download as tar"),
        ("/studio/databases/db-000.db/compare", "compared"),
        ("/studio/databases/db-000.db/retention", "played through"),
        ("/studio/databases/db-000.db/strip", "svg"),
        ("/studio/databases/db-499.db", "Last operations"),
        ("/studio/tasks", "Hourly"),
        ("/studio/tasks/Hourly", "Hourly"),
        ("/studio/tasks/new", "New server-wide task"),
        ("/studio/operations", "What was"),
        ("/studio/operations?status=failed", "the disk is full"),
        ("/studio/operations?database=db-250.db&kind=backup", "db-250.db"),
        ("/studio/operations/50000", "db-"),
        ("/studio/destinations", "good"),
        ("/studio/sources", "many"),
        ("/studio/settings", "Data directory"),
        ("/studio/recovery", "The way back"),
        ("/studio/restore", "Which database"),
        ("/studio/restore?database=db-000.db", "This one"),
    ];
    let mut slow = Vec::new();
    for (path, says) in pages {
        let mut times: Vec<Duration> = Vec::new();
        let mut bytes = 0;
        for _ in 0..3 {
            let (took, body) = get(&server, path);
            assert!(body.contains(says), "{path} does not say '{says}':\n{body}");
            bytes = body.len();
            times.push(took);
        }
        // The first answer counts as well: a person asks once.
        let longest = times.iter().max().copied().unwrap_or_default();
        println!("{path:<60} {:>6.0} ms {:>6.1} KiB", longest.as_secs_f64() * 1e3, bytes as f64 / 1024.0);
        if longest > LIMIT {
            slow.push(format!("{path} took {longest:?}"));
        }
    }
    let first: usize = ["/", "/studio/studio.css", "/studio/studio.js", "/studio/favicon.svg"]
        .iter()
        .map(|path| get(&server, path).1.len())
        .sum();
    println!("first page with all that it needs: {:.1} KiB", first as f64 / 1024.0);
    assert_eq!(slow, [""; 0], "the limit is {LIMIT:?}");
    assert!(first <= FIRST_PAGE, "the first page weighs {first} bytes");
}

#[test]
fn a_thousand_backups_at_a_distant_destination_are_read_once() {
    let _quiet = QUIET.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new();
    let cloud = GcsFake::start();
    let address = cloud.url().trim_start_matches("http://").parse().unwrap();
    let line = SlowProxy::start(address, Line::default());
    let server = site.serve();
    let tree = site.tree().join("docs");
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--name", "docs"]).expect(0);
    let task = json!({
        "Name": "Hourly",
        "FullBackupFrequency": "0 0 1 1 *",
        "RetentionPolicy": { "KeepLast": 2000 },
        "GoogleCloudSettings": {
            "BucketName": GcsFake::BUCKET,
            "GoogleCredentialsJson": cloud.credentials(),
            "CustomServerUrl": format!("http://{}", line.address()),
        },
    });
    let put = ureq::put(format!("{}/api/v1/tasks", server.url())).header("Content-Type", "application/json");
    put.send(task.to_string()).unwrap();
    ask(&server, &["backup", "now", "docs", "--wait"]).expect(0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    add_distant_snapshots(&runtime, &cloud, "docs", &site.data().join("key"));
    line.set_line(Line::delayed_by(DISTANCE));
    let mut slow = Vec::new();
    for (path, says, limit) in [
        ("/studio/databases/docs/points", "of 1000", FIRST_LIST),
        ("/studio/databases/docs/points", "of 1000", LIMIT),
        ("/studio/restore?database=docs", "This one", LIMIT),
        ("/studio/databases/docs/retention", "played through", LIMIT),
        // An index and a directory are read as well, one after the other.
        ("/studio/databases/docs/browse", "stock.sqlite", FIRST_LIST),
    ] {
        let (took, body) = get(&server, path);
        assert!(body.contains(says), "{path} does not say '{says}':\n{body}");
        println!("{:<60} {:>6.0} ms, {DISTANCE:?} away", path, took.as_secs_f64() * 1e3);
        if took > limit {
            slow.push(format!("{path} took {took:?}, the limit is {limit:?}"));
        }
    }
    assert_eq!(slow, [""; 0]);
}

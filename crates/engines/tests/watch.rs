//! Changes are told, and only those that a backup would hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_engines::{Watch, WatchEvent};
use larder_model::{Database, EngineKind, Source};
use larder_testbed::TempDir;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Longer than a watch rests between two looks.
const CALM: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(30);

fn watch(path: &Path, engine: EngineKind, exclude: &[&str]) -> (Watch, Receiver<WatchEvent>) {
    let source = Source {
        exclude: exclude.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..Source::new("web".parse().unwrap(), engine, path.to_str().unwrap().to_owned())
    };
    let database = Database {
        name: "web".parse().unwrap(),
        source: source.name.clone(),
        engine,
        locator: source.address.clone(),
        discovered: "2026-01-01T00:00:00Z".parse().unwrap(),
        missing_since: None,
    };
    let (sender, receiver) = channel();
    let tell = Arc::new(move |event| drop(sender.send(event)));
    let watch = Watch::start(&source, &database, &[], tell).unwrap();
    (watch, receiver)
}

fn next(events: &Receiver<WatchEvent>) -> WatchEvent {
    events.recv_timeout(LONG).expect("an event is told")
}

/// Waits until nothing is told any more.
fn settle(events: &Receiver<WatchEvent>) {
    while events.recv_timeout(CALM).is_ok() {}
}

fn assert_silent(events: &Receiver<WatchEvent>) {
    assert_eq!(events.recv_timeout(CALM), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_change_anywhere_in_a_tree_is_told_also_in_directories_made_later() {
    let place = TempDir::new();
    let root = place.join("tree");
    fs::create_dir_all(root.join("a/b")).unwrap();
    let (_watch, events) = watch(&root, EngineKind::Files, &[]);
    assert_eq!(next(&events), WatchEvent::Watching);
    fs::write(root.join("a/b/file"), "x").unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
    settle(&events);
    fs::create_dir_all(root.join("new/deep/er")).unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
    settle(&events);
    fs::write(root.join("new/deep/er/file"), "x").unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
    settle(&events);
    fs::rename(root.join("new"), root.join("a/moved")).unwrap();
    settle(&events);
    fs::write(root.join("a/moved/deep/er/file"), "y").unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
}

#[test]
fn reading_and_what_is_left_out_are_no_changes() {
    let place = TempDir::new();
    let root = place.join("tree");
    fs::create_dir_all(root.join("cache")).unwrap();
    fs::create_dir_all(root.join("kept")).unwrap();
    fs::write(root.join("kept/file"), "x").unwrap();
    let (_watch, events) = watch(&root, EngineKind::Files, &["cache/", "*.tmp"]);
    assert_eq!(next(&events), WatchEvent::Watching);
    fs::read(root.join("kept/file")).unwrap();
    fs::write(root.join("cache/x"), "x").unwrap();
    fs::create_dir(root.join("cache/deeper")).unwrap();
    fs::write(root.join("kept/a.tmp"), "x").unwrap();
    fs::remove_file(root.join("kept/a.tmp")).unwrap();
    fs::write(root.join("kept/access.log"), "a line").unwrap();
    assert_silent(&events);
    fs::remove_file(root.join("kept/file")).unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
}

#[test]
fn a_tree_that_goes_away_ends_the_watch_with_a_reason() {
    let place = TempDir::new();
    let root = place.join("tree");
    fs::create_dir(&root).unwrap();
    let (_watch, events) = watch(&root, EngineKind::Files, &[]);
    assert_eq!(next(&events), WatchEvent::Watching);
    fs::rename(&root, place.join("elsewhere")).unwrap();
    assert!(matches!(next(&events), WatchEvent::Lost { cause } if cause.contains("is gone")));
    let (_watch, events) = watch(&root, EngineKind::Files, &[]);
    assert!(matches!(next(&events), WatchEvent::Lost { cause } if cause.contains("tree")));
}

#[test]
fn a_database_file_is_told_to_change_when_it_is_written_and_not_when_it_is_read() {
    let place = TempDir::new();
    let path = place.join("shop.db");
    let open = || rusqlite::Connection::open(&path).unwrap();
    let writer = open();
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    writer.execute_batch("CREATE TABLE item (name TEXT)").unwrap();
    drop(writer);
    let (_watch, events) = watch(&path, EngineKind::Sqlite, &[]);
    assert_eq!(next(&events), WatchEvent::Watching);
    let count: i64 = open().query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
    fs::write(place.join("other.db"), "x").unwrap();
    assert_silent(&events);
    let writer = open();
    writer.execute_batch("INSERT INTO item VALUES ('a')").unwrap();
    assert_eq!(next(&events), WatchEvent::Changed);
}

#[test]
fn a_watch_that_is_dropped_tells_nothing_more() {
    let place = TempDir::new();
    let root = place.join("tree");
    fs::create_dir(&root).unwrap();
    let (watch, events) = watch(&root, EngineKind::Files, &[]);
    assert_eq!(next(&events), WatchEvent::Watching);
    drop(watch);
    // The thread ends, and with it the sender.
    assert_eq!(events.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

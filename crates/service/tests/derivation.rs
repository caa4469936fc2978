//! One template over many databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use larder_model::{Database, EngineKind, ServerWideBackupConfiguration};
use larder_service::{covers, derive};
use serde_json::json;
use std::time::Instant;

#[test]
fn a_hundred_thousand_databases_get_their_task_within_seconds() {
    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": "/backups" },
        "ExcludedDatabases": ["scratch", "test-*", "*-old"], "Selector": { "Patterns": ["*7", "*1*"] },
    });
    let task: ServerWideBackupConfiguration = larder_model::task::read(task.as_object().unwrap()).unwrap();
    let database = |number: u32| Database {
        name: format!("database-{number}").parse().unwrap(),
        source: "source".parse().unwrap(),
        engine: EngineKind::Sqlite,
        locator: format!("/srv/{number}"),
        discovered: jiff::Timestamp::UNIX_EPOCH,
        missing_since: None,
    };
    let databases: Vec<Database> = (0..100_000).map(database).collect();
    let begun = Instant::now();
    let derived = databases.iter().filter(|database| covers(&task, database));
    let folders = derived.map(|database| derive(&task, &database.name).backup.local_settings.unwrap());
    let count =
        folders.filter(|local| local.folder_path.as_ref().unwrap().starts_with("/backups/database-")).count();
    let expected =
        (0..100_000_u32).map(|n| n.to_string()).filter(|n| n.ends_with('7') || n.contains('1')).count();
    assert_eq!(count, expected);
    // A debug build on a busy machine; bench/scheduler has the figure.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    println!("{count} of 100,000 derived in {:?}", begun.elapsed());
}

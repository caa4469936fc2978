//! What RavenDB's status says of a backup that was killed: nothing, for its `Version` counts the runs that ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Server, wait_until};
use serde_json::Value;
use std::time::Duration;
use support::{Site, ask};

/// Asks as RavenDB's clients do.
fn status(server: &Server, task: u64) -> Value {
    let url = format!("{}/periodic-backup/status?name=tree&taskId={task}", server.url());
    let mut answer = ureq::get(&url).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["Status"].clone()
}

#[test]
fn a_backup_that_was_killed_after_good_runs_is_counted_once_it_has_ended_well_and_not_before() {
    let site = Site::new();
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    let file = site.directory.join("task.toml");
    let folder = site.directory.join("backups");
    let task = "Name = \"Yearly\"\nFullBackupFrequency = \"0 2 1 1 *\"\n";
    std::fs::write(&file, format!("{task}[LocalSettings]\nFolderPath = {:?}\n", folder.to_str().unwrap()))
        .unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    let tasks = ask(&server, &["task", "list", "--database", "tree", "--json"]).expect(0).json();
    let task = tasks[0]["TaskId"].as_u64().unwrap_or_else(|| panic!("{tasks:#}"));

    let mut seen = Vec::new();
    for number in 1..=2 {
        std::fs::write(site.tree().join("new.txt"), format!("run {number}\n")).unwrap();
        ask(&server, &["backup", "now", "tree", "--wait"]).expect(0);
        seen.push(status(&server, task));
    }
    assert_eq!((&seen[0]["Version"], &seen[1]["Version"]), (&1.into(), &2.into()), "{seen:#?}");

    let huge = site.tree().join("huge");
    std::fs::File::create(&huge).unwrap().set_len(500 << 30).unwrap();
    let begun = ask(&server, &["backup", "now", "tree", "--json"]).expect(0).json();
    let id = begun["Operations"][0].to_string();
    wait_until("bytes of the huge file are read", Duration::from_secs(60), || {
        let operation = ask(&server, &["operation", "show", &id, "--json"]).json();
        (operation["Progress"]["BytesDone"].as_u64()? > 1 << 20).then_some(())
    });
    server.kill();

    let server = site.serve();
    let operation = ask(&server, &["operation", "show", &id, "--json"]).json();
    assert_eq!(operation["Status"], "Faulted", "{operation:#}");
    assert_eq!(status(&server, task), seen[1], "a run that never ended changed nothing");
    std::fs::remove_file(&huge).unwrap();
    ask(&server, &["backup", "now", "tree", "--wait"]).expect(0);
    let after = status(&server, task);
    assert_eq!(after["Version"], 3, "{after:#}");
    assert!(after["LastOperationId"].as_u64() > seen[1]["LastOperationId"].as_u64(), "{after:#}");
    assert!(after["Error"].is_null(), "{after:#}");
}

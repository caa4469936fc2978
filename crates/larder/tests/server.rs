//! `larder serve` and the commands that talk to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Random, Server, wait_until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Site, ask, larder, run};

/// Starts a server that knows the tree and a task, with nothing backed up yet.
fn server_with_tree(site: &Site) -> Server {
    let server = site.serve();
    ask(&server, &["source", "add", site.tree().to_str().unwrap(), "--name", "tree"]).expect(0);
    put_task(site, &server, &site.data().join("backups"));
    server
}

fn put_task(site: &Site, server: &Server, folder: &std::path::Path) {
    let file = site.directory.join("nightly.toml");
    let task = format!(
        "Name = \"Nightly\"\nFullBackupFrequency = \"0 2 1 1 *\"\n[LocalSettings]\nFolderPath = {:?}\n",
        folder.to_str().unwrap()
    );
    std::fs::write(&file, task).unwrap();
    ask(server, &["task", "put", file.to_str().unwrap()]).expect(0);
}

#[test]
fn every_command_prints_one_json_value_when_asked_to() {
    let site = Site::new();
    let server = server_with_tree(&site);
    let file = site.directory.join("nightly.toml");
    let target = site.directory.join("restored");
    let sqlite = site.tree();
    let rules = site.directory.join("rules.toml");
    std::fs::write(&rules, "Name = \"tried\"\n[RetentionPolicy]\nKeepLast = 1\n").unwrap();
    let commands: Vec<Vec<&str>> = vec![
        vec!["source", "list"],
        vec!["source", "add", sqlite.to_str().unwrap(), "--engine", "sqlite", "--name", "dbs"],
        vec!["database", "list"],
        vec!["task", "list"],
        vec!["task", "show", "Nightly"],
        vec!["task", "put", file.to_str().unwrap()],
        vec!["task", "next", "Nightly", "--count", "2"],
        vec!["task", "next", file.to_str().unwrap()],
        vec!["task", "disable", "Nightly"],
        vec!["task", "enable", "Nightly"],
        vec!["task", "list", "--database", "tree"],
        vec!["task", "disable", "Server Wide Backup, Nightly", "--database", "tree"],
        vec!["task", "enable", "Server Wide Backup, Nightly", "--database", "tree"],
        vec!["task", "put", file.to_str().unwrap(), "--database", "tree"],
        vec!["task", "show", "Nightly", "--database", "tree"],
        vec!["task", "delete", "Nightly", "--database", "tree"],
        vec!["database", "create", "made"],
        vec!["database", "delete", "made", "--hard"],
        vec!["queue"],
        vec!["backup", "now", "tree", "--full", "--wait"],
        vec!["backup", "now", "--all", "--periodicity", "shutdown"],
        vec!["decisions", "tree", "Server Wide Backup, Nightly", "--limit", "3"],
        vec!["retention", "simulate", "tree"],
        vec!["retention", "simulate", "tree", "--policy", rules.to_str().unwrap()],
        vec!["retention", "simulate", "tree", "--days", "30"],
        vec!["backup", "now", "--all", "--wait"],
        vec!["backup", "list", "tree"],
        vec!["diff", "tree", "latest"],
        vec!["operation", "list"],
        vec!["operation", "list", "--status", "completed", "--kind", "backup", "--database", "tree"],
        vec!["operation", "show", "1"],
        vec!["verify", "tree"],
        vec!["check", "tree"],
        vec!["check", "tree", "--part", "2/3"],
        vec!["repair", "tree", "--dry-run"],
        vec!["prune", "tree", "--dry-run"],
        vec!["upkeep", "tree"],
        vec!["restore", "tree", target.to_str().unwrap()],
        vec!["restic-env", "tree"],
        vec!["status"],
        vec!["task", "delete", "Nightly"],
        vec!["source", "remove", "dbs"],
    ];
    for command in commands {
        let ended = ask(&server, &[command.as_slice(), &["--json"]].concat()).expect(0);
        assert!(ended.json()["Error"]["Kind"].is_null(), "{command:?}: {ended:?}");
        assert_eq!(ended.remarked, "", "{command:?}");
    }
    for command in [["operation", "show", "999"], ["operation", "abort", "999"], ["task", "show", "none"]] {
        let ended = ask(&server, &[command.as_slice(), &["--json"]].concat()).expect(1);
        assert_eq!(ended.json()["Error"]["Kind"], "NotFound", "{command:?}: {ended:?}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn people_get_aligned_tables_and_sentences() {
    let site = Site::new();
    let server = server_with_tree(&site);
    let backup = ask(&server, &["backup", "now", "tree", "--wait"]).expect(0);
    assert!(backup.remarked.contains("tree: full backup completed in "), "{backup:?}");
    let list = ask(&server, &["backup", "list", "tree"]).expect(0).said;
    assert!(list.starts_with("BACKUP") && list.contains("full") && list.contains("just now"), "{list}");
    let status = ask(&server, &["status"]).expect(0).said;
    assert!(status.starts_with("The one database has a good backup."), "{status}");
    let operation = ask(&server, &["operation", "show", "1"]).expect(0).said;
    assert!(operation.contains("At Local: backup "), "{operation}");
}

#[test]
fn without_a_server_the_code_is_4_and_the_sentence_says_how_to_start_one() {
    let address = format!("http://127.0.0.1:{}", larder_testbed::free_port());
    let ended = run(["status", "--server", &address]).expect(4);
    assert!(ended.remarked.contains(&address) && ended.remarked.contains("larder serve"), "{ended:?}");
    let ended = run(["status", "--json", "--server", &address]).expect(4);
    assert_eq!(ended.json()["Error"]["Kind"], "Unreachable");
    run(["backup", "now"]).expect(2);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_in_one_sentence_and_harms_nothing() {
    let site = Site::new();
    let first = site.serve();
    let started = Instant::now();
    let data = site.data();
    let second = run(["serve", "--bind", "127.0.0.1:0", "--data", data.to_str().unwrap()]).expect(1);
    assert!(second.remarked.contains("in use by another Larder"), "{second:?}");
    assert_eq!(second.remarked.lines().count(), 1, "{second:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    ask(&first, &["status"]).expect(0);
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named_in_one_sentence() {
    let site = Site::new();
    let first = site.serve();
    let other = site.directory.join("other-data");
    let address = first.address().to_string();
    let ended = run(["serve", "--bind", &address, "--data", other.to_str().unwrap()]).expect(1);
    assert!(ended.remarked.contains(&address) && ended.remarked.contains("--bind"), "{ended:?}");
}

#[test]
fn a_broken_configuration_is_shown_with_line_and_column() {
    let site = Site::new();
    std::fs::create_dir_all(site.data()).unwrap();
    std::fs::write(site.data().join("larder.toml"), "# mine\nbind = \"127.0.0.1:0\"\ntime_zone = Berlin\n")
        .unwrap();
    let ended = run(["serve", "--data", site.data().to_str().unwrap()]).expect(1);
    assert!(ended.remarked.contains("larder.toml, line 3, column "), "{ended:?}");
    assert!(ended.remarked.contains("    time_zone = Berlin\n"), "{ended:?}");
    assert!(!site.data().join("state.redb").exists());
}

#[test]
fn a_lost_key_is_said_and_not_replaced() {
    let site = Site::new();
    assert_eq!(site.serve().stop().code(), Some(0));
    std::fs::remove_file(site.data().join("key")).unwrap();
    let ended = run(["serve", "--bind", "127.0.0.1:0", "--data", site.data().to_str().unwrap()]).expect(1);
    assert!(ended.remarked.contains("is missing"), "{ended:?}");
    assert!(!site.data().join("key").exists());
}

#[test]
fn an_address_that_others_reach_needs_a_token_and_then_every_command_does() {
    let site = Site::new();
    let data = site.data();
    let open = run(["serve", "--bind", "0.0.0.0:0", "--data", data.to_str().unwrap()]).expect(1);
    assert!(open.remarked.contains("--token-file"), "{open:?}");

    let token = site.directory.join("token");
    std::fs::write(&token, "0123456789abcdef0123456789abcdef\n").unwrap();
    let mut command = larder();
    command.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(&data).arg("--token-file").arg(&token);
    let server = Server::start_command(command);
    let refused = ask(&server, &["status", "--json"]).expect(1).json();
    assert_eq!(refused["Error"]["Kind"], "Unauthorized", "{refused}");
    ask(&server, &["status", "--token-file", token.to_str().unwrap()]).expect(0);
}

#[test]
fn an_abort_ends_a_running_backup_within_a_second_and_the_next_one_works() {
    let site = Site::new();
    for number in 0..24_u8 {
        let mut bytes = Random::new(1).bytes(16 << 20);
        bytes.iter_mut().for_each(|byte| *byte ^= number.wrapping_mul(37));
        std::fs::write(site.tree().join(format!("large-{number}")), bytes).unwrap();
    }
    let server = server_with_tree(&site);
    let begun = ask(&server, &["backup", "now", "tree", "--json"]).expect(0).json();
    let id = begun["Operations"][0].to_string();
    wait_until("the backup reads", Duration::from_secs(30), || {
        let operation = ask(&server, &["operation", "show", &id, "--json"]).expect(0).json();
        (operation["Progress"]["BytesRead"].as_u64().unwrap() > 0).then_some(())
    });
    let asked = Instant::now();
    let ended = ask(&server, &["operation", "abort", &id, "--json"]).expect(0).json();
    assert_eq!(ended["Status"], "Canceled", "{ended}");
    assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
    let next = ask(&server, &["backup", "now", "tree", "--wait", "--json"]).expect(0).json();
    assert_eq!(next[0]["Status"], "Completed", "{next}");
}

#[test]
fn a_delayed_backup_stops_and_says_when_it_goes_on() {
    let site = Site::new();
    std::fs::write(site.tree().join("large"), Random::new(2).bytes(256 << 20)).unwrap();
    let server = server_with_tree(&site);
    let begun = ask(&server, &["backup", "now", "tree", "--json"]).expect(0).json();
    let id = begun["Operations"][0].to_string();
    let ended = ask(&server, &["operation", "delay", &id, "1h", "--json"]).expect(0).json();
    assert_eq!(ended["Status"], "Canceled", "{ended}");
    let decisions = ask(&server, &["decisions", "tree", "--json"]).expect(0).json();
    let decisions = decisions.as_array().unwrap();
    assert!(decisions.iter().any(|one| one["Decision"] == "Delayed"), "{decisions:?}");
    let refused = ask(&server, &["operation", "delay", &id, "1h", "--json"]).expect(1).json();
    assert!(refused["Error"]["Message"].as_str().is_some_and(|text| !text.is_empty()), "{refused}");
}

#[test]
fn ctrl_c_ends_a_quickstart_with_130_and_the_next_one_works() {
    let site = Site::new();
    for number in 0..16_u8 {
        let mut bytes = Random::new(1).bytes(16 << 20);
        bytes.iter_mut().for_each(|byte| *byte ^= number.wrapping_mul(37));
        std::fs::write(site.tree().join(format!("large-{number}")), bytes).unwrap();
    }
    let mut command = larder();
    command.arg("quickstart").arg(site.tree()).arg("--once").arg("--data").arg(site.data());
    let remarks = site.directory.join("remarks");
    command.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&remarks).unwrap());
    let mut child = command.spawn().unwrap();
    // The first pack at the destination shows that a backup is under way.
    let packs = site.data().join("backups/tree/data");
    wait_until("a backup is under way", Duration::from_secs(30), || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&remarks).unwrap());
        packs.exists().then_some(())
    });
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let asked = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
    site.quickstart(&[]).expect(0);
}

#[test]
fn a_task_file_with_a_misspelt_key_is_refused() {
    let site = Site::new();
    let server = site.serve();
    let file = site.directory.join("task.json");
    std::fs::write(&file, json!({ "Name": "N", "FullBackupFrequncy": "0 2 * * *" }).to_string()).unwrap();
    let ended = ask(&server, &["task", "put", file.to_str().unwrap()]).expect(1);
    assert!(ended.remarked.contains("FullBackupFrequncy"), "{ended:?}");
    let local = json!({ "FolderPath": site.directory.join("backups") });
    let wrong = json!({ "Name": "N", "FullBackupFrequency": "0 25 * * *", "LocalSettings": local });
    std::fs::write(&file, wrong.to_string()).unwrap();
    let ended = ask(&server, &["task", "put", file.to_str().unwrap()]).expect(1);
    assert!(ended.remarked.contains("FullBackupFrequency"), "{ended:?}");
    let none: Value = ask(&server, &["task", "list", "--json"]).expect(0).json();
    assert_eq!(none, json!([]));
}

#[test]
fn a_hangup_without_a_terminal_does_not_end_the_server() {
    let site = Site::new();
    let server = site.serve();
    let process = rustix::process::Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    ask(&server, &["status"]).expect(0);
    assert!(server.stop().success());
}

#[test]
fn a_server_with_nothing_to_do_does_nothing() {
    let site = Site::new();
    let server = server_with_tree(&site);
    let before = cpu_ticks(server.id());
    // Nothing happens in this time: that is what is shown.
    std::thread::sleep(Duration::from_secs(2));
    let ticks = cpu_ticks(server.id()) - before;
    assert!(ticks <= 10, "an idle server used {ticks} hundredths of a second of 2 seconds");
}

/// Returns the processor time that a process has used, in hundredths of a second (proc(5), fields 14 and 15).
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

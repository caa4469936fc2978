//! The studio in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/browser.rs"]
mod browser;
mod support;

use browser::Browser;
use larder_testbed::{Server, compare_trees, compare_trees_restored_by_restic, installed, wait_until};
use std::time::Duration;
use support::{Site, ask, larder};

/// A server with a tree and two databases, backed up twice, one backup proved, one database failing.
fn lived_in(site: &Site) -> Server {
    let server = site.serve();
    let tree = site.tree();
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--name", "web", "--exclude", "*.db"]).expect(0);
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--engine", "sqlite", "--name", "dbs"]).expect(0);
    let file = site.directory.join("nightly.toml");
    let folder = site.directory.join("backups");
    std::fs::create_dir(&folder).unwrap();
    let task = format!(
        "Name = \"Nightly\"\nFullBackupFrequency = \"0 2 * * 0\"\nIncrementalBackupFrequency = \"0 3 * * *\"\n[LocalSettings]\nFolderPath = {:?}\n[RetentionPolicy]\nKeepDaily = 7\n",
        folder.to_str().unwrap()
    );
    std::fs::write(&file, task).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    for _ in 0..2 {
        ask(&server, &["backup", "now", "--all", "--wait"]).expect(0);
        std::fs::write(tree.join("readme.txt"), "it changed\n").unwrap();
    }
    ask(&server, &["verify", "web"]).expect(0);
    std::fs::rename(tree.join("shop.db"), tree.join("away")).unwrap();
    ask(&server, &["backup", "now", "shop.db", "--wait"]).expect(1);
    std::fs::rename(tree.join("away"), tree.join("shop.db")).unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_quiet_and_usable_light_dark_and_on_a_phone() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let browser = Browser::start().await;
    let backup = tokio::task::block_in_place(|| {
        let listed = ask(&server, &["backup", "list", "web", "--json"]).expect(0).json();
        listed["Backups"][0]["Id"].as_str().or(listed[0]["Id"].as_str()).unwrap().to_owned()
    });
    let pages = [
        ("overview", "/".to_owned(), "databases failed"),
        ("databases", "/studio/databases".to_owned(), "3 of 3"),
        ("database", "/studio/databases/web".to_owned(), "Why it ran"),
        ("database-failed", "/studio/databases/shop.db".to_owned(), "does not exist"),
        ("backups", "/studio/databases/web/points".to_owned(), "Verify"),
        ("tasks", "/studio/tasks".to_owned(), "Nightly"),
        ("task", "/studio/tasks/Nightly".to_owned(), "The next five runs"),
        ("new-task", "/studio/tasks/new".to_owned(), "New server-wide task"),
        ("operations", "/studio/operations".to_owned(), "What was"),
        ("operation", "/studio/operations/1".to_owned(), "Details"),
        ("destinations", "/studio/destinations".to_owned(), "good"),
        ("sources", "/studio/sources".to_owned(), "Add a source"),
        ("settings", "/studio/settings".to_owned(), "Data directory"),
        ("recovery", "/studio/recovery".to_owned(), "The way back"),
        ("restore", format!("/studio/restore?database=web&backup={backup}"), "Where to"),
        ("nothing", "/studio/databases/nothing".to_owned(), "nothing"),
    ];
    let looks = [("light", 1280, 1000, false), ("dark", 1280, 1000, true), ("phone", 390, 844, false)];
    let mut wrong = Vec::new();
    for (name, path, says) in &pages {
        for (look, width, height, dark) in looks {
            browser.look(width, height, dark).await;
            browser.go(&format!("{}{path}", server.url())).await;
            browser.says(says).await;
            if *name == "database" {
                browser.find("td.actions a.button").await;
            }
            if path.contains("/studio/tasks/") {
                browser.says("· incremental").await;
            }
            browser.picture(&format!("{name}-{look}")).await;
            let overflow = browser.overflow().await;
            if overflow > 0 {
                wrong.push(format!("{name} {look}: {overflow} px wider than its window"));
            }
            wrong.extend(browser.issues().await.into_iter().map(|issue| format!("{name} {look}: {issue}")));
            let expected = |line: &String| *name == "nothing" && line.contains("404");
            let complaints = browser.complaints().await.into_iter().filter(|line| !expected(line));
            wrong.extend(complaints.map(|line| format!("{name} {look}: {line}")));
        }
    }
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_restored_and_compared_without_leaving_the_browser() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| site.serve());
    let browser = Browser::start().await;
    browser.go(&server.url()).await;
    browser.says("Nothing is backed up yet.").await;
    browser.press("Add a source").await;
    browser.fill("#address", site.tree().to_str().unwrap()).await;
    browser.fill("#source-name", "web").await;
    browser.press("Add").await;
    browser.says("unprotected").await;

    browser.go(&format!("{}/studio/tasks/new", server.url())).await;
    browser.fill("#incremental", "every so often").await;
    browser.says("every so often").await;
    browser.fill("#incremental", "0 4 * * *").await;
    browser.says("04:00").await;
    browser.fill("#folder", site.data().join("backups").to_str().unwrap()).await;
    browser.press("Save").await;
    browser.says("Nightly").await;

    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.press("Full backup now").await;
    browser.says("full backup of web").await;
    browser.says("completed").await;
    browser.press("Restore into scratch and compare").await;
    browser.says("Restored into scratch and compared").await;
    // The schedule that made no sense was refused, as it was to be.
    let mut complaints = browser.complaints().await;
    complaints.retain(|line| !line.contains("/tasks/preview"));
    assert_eq!(complaints, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_back_by_the_restore_page() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.find("td.actions a.button").await.click().await.unwrap();
    browser.says("Where to").await;
    let target = site.directory.join("restored");
    browser.fill("#target", target.to_str().unwrap()).await;
    browser.press("Restore web").await;
    browser.says("restore of web").await;
    browser.says("completed").await;
    let differences = compare_trees(&site.tree(), &target);
    let real: Vec<_> =
        differences.iter().filter(|line| !line.contains(".db") && !line.contains("readme")).collect();
    assert_eq!(real, [""; 0].iter().collect::<Vec<_>>());

    // A place that holds something is refused, in words, and nothing there is touched.
    std::fs::write(target.join("mine"), "keep").unwrap();
    browser.go(&format!("{}/studio/restore?database=web", server.url())).await;
    browser.press("This one").await;
    browser.fill("#target", target.to_str().unwrap()).await;
    browser.press("Restore web").await;
    browser.says("is not empty").await;
    assert_eq!(std::fs::read_to_string(target.join("mine")).unwrap(), "keep");

    // What overwrites asks first, and without an answer nothing happens.
    browser.go(&format!("{}/studio/restore?database=web", server.url())).await;
    browser.press("This one").await;
    browser.fill("#target", target.to_str().unwrap()).await;
    browser.find("[name=Overwrite]").await.click().await.unwrap();
    browser.press("Restore web").await;
    browser.says("What is there now is lost").await;
    browser.press("Cancel").await;
    std::fs::remove_file(target.join("readme.txt")).unwrap();
    browser.press("Restore web").await;
    browser.press("Go on").await;
    browser.says("restore of web").await;
    browser.says("completed").await;
    assert!(target.join("readme.txt").exists());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_seen_put_off_and_aborted() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let huge = std::fs::File::create(site.tree().join("huge")).unwrap();
    huge.set_len(500 << 30).unwrap();
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.press("Back up what changed").await;
    browser.says("running").await;
    let number = browser.find("[data-operation]").await.attr("data-operation").await.unwrap().unwrap();
    // On every other page the bar at the foot shows it, live.
    browser.go(&format!("{}/studio/settings", server.url())).await;
    browser.says("incremental backup").await;
    browser.says("500 GiB").await;
    browser.picture("foot-light").await;
    browser.press("Delay").await;
    browser.find("dialog[open] select").await;
    browser.press("Go on").await;
    let status = |number: &str| {
        let number = number.to_owned();
        tokio::task::block_in_place(|| {
            wait_until("the operation ends", Duration::from_secs(30), || {
                let shown = ask(&server, &["operation", "show", &number, "--json"]).json();
                let status = shown["Status"].as_str()?.to_owned();
                (status != "InProgress").then_some(status)
            })
        })
    };
    assert_eq!(status(&number), "Canceled");
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.says("delayed").await;

    browser.press("Full backup now").await;
    browser.says("running").await;
    browser.press("Abort").await;
    browser.find("dialog[open]").await;
    browser.press("Go on").await;
    browser.says("aborted").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_edited_rested_and_deleted_and_says_what_that_means() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/tasks", server.url())).await;
    browser.press("Edit").await;
    browser.fill("#excluded", "stock*").await;
    browser.fill("#keep-weekly", "5").await;
    browser.press("Save").await;
    browser.says("without stock*").await;
    browser.says("7 daily, 5 weekly").await;
    browser.press("Disable").await;
    browser.says("are then not backed up by it").await;
    browser.press("Go on").await;
    browser.says("disabled").await;
    browser.press("Enable").await;
    browser.says("enabled").await;
    browser.press("Delete").await;
    browser.says("The backups that it made stay where they are.").await;
    browser.press("Cancel").await;
    browser.says("Nightly").await;
    browser.press("Delete").await;
    browser.press("Go on").await;
    browser.says("There is none yet.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_quickstart_the_studio_says_that_all_was_restored_and_compared() {
    let site = Site::new();
    let mut command = larder();
    command.arg("quickstart").arg(site.tree()).args(["--bind", "127.0.0.1:0", "--data"]).arg(site.data());
    let server = tokio::task::block_in_place(|| Server::start_command(command));
    let browser = Browser::start().await;
    browser.go(&server.url()).await;
    browser.says("All 3 databases have a backup that was restored and compared.").await;
    browser.says("Last restored and compared:").await;
    browser.picture("quickstart-light").await;
    browser.press("Databases").await;
    browser.press("tree").await;
    browser.press("Browse the last").await;
    browser.says("readme.txt").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_recovery_sheet_brings_everything_back() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let browser = Browser::start().await;
    browser.go(&server.url()).await;
    browser.press("Settings").await;
    browser.press("Recovery sheet").await;
    browser.says("The way back").await;
    // As it is printed: no buttons, nothing of the frame.
    let media = serde_json::json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "media": "print" } });
    browser.command("goog/cdp/execute", media).await;
    browser.picture("recovery-printed").await;
    let sheet = browser.text().await;
    browser.close().await;
    drop(server);
    assert!(!sheet.contains("Overview") && !sheet.contains("Print\n"), "{sheet}");

    let line = |begins: &str| {
        let found = sheet.lines().find_map(|line| line.find(begins).map(|at| line[at..].to_owned()));
        found.unwrap_or_else(|| panic!("no line has '{begins}': {sheet}"))
    };
    let address = sheet.split_whitespace().find(|word| word.ends_with("/backups/web")).unwrap();
    let key = site.data().join("key").display().to_string();
    let targets = [site.directory.join("by-restic"), site.directory.join("by-larder")];
    let [by_restic, by_larder] = targets.each_ref().map(|target| target.display().to_string());
    let _ = installed("restic", "restic");
    let lines = [
        line("export RESTIC_PASSWORD_FILE=").replace("/path/to/key", &key),
        line("restic -r ADDRESS snapshots").replace("ADDRESS", address),
        line("restic -r ADDRESS restore").replace("ADDRESS", address).replace("/where/to", &by_restic),
    ];
    let larder_line = line("larder restore DATABASE")
        .replace("larder restore", &format!("{} restore", env!("CARGO_BIN_EXE_larder")))
        .replace("DATABASE", "web")
        .replace("/where/to", &by_larder)
        .replace("DIRECTORY", address.trim_end_matches("/web"))
        .replace("/path/to/key", &key);
    tokio::task::block_in_place(|| {
        let script = format!("set -e\n{}\n{larder_line}\n", lines.join("\n"));
        let done = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(done.status.success(), "{script}\n{done:?}");
    });
    for target in &targets {
        assert!(target.join("docs/deep/large.bin").exists(), "{}", target.display());
    }
    assert_eq!(compare_trees_restored_by_restic(&targets[1], &targets[0]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_says_what_is_safe_and_each_bar_of_a_strip_says_what_it_was() {
    let site = Site::new();
    let server = tokio::task::block_in_place(|| lived_in(&site));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/operations?status=failed", server.url())).await;
    browser.press("incremental backup").await;
    browser.says("does not exist").await;
    browser.says("What was stored before is as it was: the last good backup is of").await;
    browser.picture("operation-failed-light").await;
    browser.press("Why its tasks ran, or did not").await;
    browser.says("Why it ran, or did not").await;

    browser.go(&server.url()).await;
    let point = "document.querySelectorAll('svg[data-strip]').forEach(
        strip => strip.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })))";
    browser.client.execute(point, vec![]).await.unwrap();
    browser.find("svg.strip a[aria-label*='failed'][href^='/studio/operations/']").await;
    browser.find("svg.strip a[aria-label*='verified']").await;
    browser.find("svg.strip a[aria-label*='added in']").await;
    assert_eq!(browser.issues().await, [""; 0]);

    browser.go(&format!("{}/studio/databases/stock.sqlite", server.url())).await;
    browser.press("Verify the last").await;
    browser.says("Restored into scratch and compared").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

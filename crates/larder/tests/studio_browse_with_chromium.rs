//! Backups looked into, compared and got back to a second, in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/history.rs"]
mod history;
mod support;

use browser::Browser;
use history::write_history;
use larder_testbed::{MariaDb, Server, wait_until};
use std::time::Duration;
use support::{Site, ask};
use tokio::task::block_in_place;

/// A server with a tree and a database, each backed up, changed, and backed up again.
fn changed(site: &Site) -> Server {
    let server = site.serve();
    let tree = site.tree();
    for number in 0..230 {
        let directory = tree.join("photos");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("holiday {number:03}.jpg")), vec![7; 900 + number]).unwrap();
    }
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--name", "web", "--exclude", "*.db"]).expect(0);
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--engine", "sqlite", "--name", "dbs"]).expect(0);
    let folder = site.directory.join("backups");
    std::fs::create_dir(&folder).unwrap();
    let task = format!(
        "Name = \"Nightly\"\nFullBackupFrequency = \"0 2 * * 0\"\nIncrementalBackupFrequency = \"0 3 * * *\"\n[LocalSettings]\nFolderPath = {:?}\n[RetentionPolicy]\nKeepDaily = 7\nKeepWeekly = 4\n",
        folder.to_str().unwrap()
    );
    let file = site.directory.join("nightly.toml");
    std::fs::write(&file, task).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["backup", "now", "--all", "--wait"]).expect(0);
    std::fs::write(tree.join("readme.txt"), "it changed\n").unwrap();
    std::fs::write(tree.join("docs/new \u{fc}.txt"), "it is new\n").unwrap();
    std::fs::remove_file(tree.join("photos/holiday 007.jpg")).unwrap();
    std::fs::set_permissions(tree.join("photos/holiday 008.jpg"), permissions(0o600)).unwrap();
    let database = rusqlite::Connection::open(tree.join("shop.db")).unwrap();
    database
        .execute_batch("insert into item (name) values ('one more'); create table visit (at text)")
        .unwrap();
    drop(database);
    ask(&server, &["backup", "now", "--all", "--wait"]).expect(0);
    server
}

fn permissions(mode: u32) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(mode)
}

/// Looks at every page in every way, and returns what is wrong with it.
async fn wrong_with(browser: &Browser, server: &Server, pages: &[(&str, String, &str)]) -> Vec<String> {
    let looks = [("light", 1280, 1000, false), ("dark", 1280, 1000, true), ("phone", 390, 844, false)];
    let mut wrong = Vec::new();
    for (name, path, says) in pages {
        for (look, width, height, dark) in looks {
            browser.look(width, height, dark).await;
            browser.go(&format!("{}{path}", server.url())).await;
            browser.says(says).await;
            browser.picture(&format!("{name}-{look}")).await;
            let overflow = browser.overflow().await;
            if overflow > 0 {
                wrong.push(format!("{name} {look}: {overflow} px wider than its window"));
            }
            wrong.extend(browser.issues().await.into_iter().map(|issue| format!("{name} {look}: {issue}")));
            let complaints = browser.complaints().await;
            wrong.extend(complaints.into_iter().map(|line| format!("{name} {look}: {line}")));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_look_into_backups_are_quiet_and_usable_light_dark_and_on_a_phone() {
    let site = Site::new();
    let server = block_in_place(|| changed(&site));
    block_in_place(|| {
        let daily = (1..30).map(|day| day * 24);
        let hourly = (1..24).map(|hour| hour * 2);
        write_history(&site, "backups", "web", &daily.chain(hourly).collect::<Vec<i64>>());
    });
    let browser = Browser::start().await;
    let pages = [
        ("browse", "/studio/databases/web/browse".to_owned(), "Download as tar"),
        ("browse-many", "/studio/databases/web/browse?path=photos".to_owned(), "1 to 200 of 229 entries"),
        ("browse-find", "/studio/databases/web/browse?find=readme".to_owned(), "1 found"),
        ("compare", "/studio/databases/web/compare".to_owned(), "changed"),
        ("compare-database", "/studio/databases/shop.db/compare".to_owned(), "visit"),
        ("database-looked-into", "/studio/databases/web".to_owned(), "233 files"),
        ("timeline", "/studio/databases/web/points".to_owned(), "incremental"),
        ("retention", "/studio/databases/web/retention?days=30".to_owned(), "What goes next"),
        ("restore-choose", "/studio/restore?database=web".to_owned(), "Which moment"),
    ];
    let wrong = wrong_with(&browser, &server, &pages).await;
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_found_in_a_backup_and_taken_away() {
    let site = Site::new();
    let server = block_in_place(|| changed(&site));
    let browser = Browser::start().await;
    let kept = site.directory.join("kept");
    std::fs::create_dir(&kept).unwrap();
    browser.keep_downloads_in(&kept).await;
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.press("Browse the last").await;
    browser.says("Download as tar").await;
    browser.press("docs").await;
    browser.says("new \u{fc}.txt").await;
    browser.press("deep").await;
    browser.says("large.bin").await;
    browser.press("Download").await;
    let arrived = |name: &str| {
        let path = kept.join(name);
        block_in_place(|| {
            wait_until("the download is there", Duration::from_secs(30), || std::fs::read(&path).ok())
        })
    };
    assert!(arrived("large.bin") == std::fs::read(site.tree().join("docs/deep/large.bin")).unwrap());
    // The way back leads up; the whole directory comes as an archive that tar reads.
    browser.press("docs").await;
    browser.says("new \u{fc}.txt").await;
    browser.press("Download as tar").await;
    // The browser may still be writing it.
    let listed = block_in_place(|| {
        wait_until("the archive is whole", Duration::from_secs(30), || {
            let tar =
                std::process::Command::new("tar").arg("-tf").arg(kept.join("docs.tar")).output().ok()?;
            tar.status.success().then(|| String::from_utf8_lossy(&tar.stdout).into_owned())
        })
    });
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert_eq!((listed[0], listed[1], listed[3]), ("deep/", "deep/large.bin", "stock.sqlite"));

    browser.fill("#find", "HOLIDAY 01").await;
    browser.press("Find").await;
    // 010 to 019, and 001, 101 and 201: each word is looked for by itself.
    browser.says("13 found").await;
    browser.fill("#find", "nobody.txt").await;
    browser.press("Find").await;
    browser.says("Nothing in this backup is called like").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_are_compared_file_by_file_and_table_by_table() {
    let site = Site::new();
    let server = block_in_place(|| changed(&site));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.press("Compare two").await;
    browser.says("1 added, 1 removed, 1 changed.").await;
    for line in ["docs/new \u{fc}.txt", "photos/holiday 007.jpg", "readme.txt", "rw-r--r-- → rw-------"] {
        browser.says(line).await;
    }
    browser.find("a.chip[href*='kind=removed']").await.click().await.unwrap();
    browser.says("1 to 1 of 1").await;
    let text = browser.text().await;
    assert!(text.contains("holiday 007.jpg") && !text.contains("readme.txt"), "{text}");

    browser.go(&format!("{}/studio/databases/shop.db/compare", server.url())).await;
    browser.says("tables are not the same").await;
    let text = browser.text().await;
    let row = text.lines().find(|line| line.starts_with("item")).unwrap_or_default().to_owned();
    assert!(row.contains("200") && row.contains("201"), "{row:?} in {text}");
    let cli = block_in_place(|| ask(&server, &["diff", "shop.db", "latest", "latest"]).expect(0).said);
    assert!(cli.contains("they hold the same"), "{cli}");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_of_what_is_kept_follows_the_numbers() {
    let site = Site::new();
    let server = block_in_place(|| changed(&site));
    block_in_place(|| {
        write_history(&site, "backups", "web", &(1..15).map(|day| day * 24).collect::<Vec<_>>())
    });
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/databases/web", server.url())).await;
    browser.press("What is kept").await;
    browser.says("What goes next, and why").await;
    browser.says("until then: the newest of its day").await;
    browser.fill("[name=days]", "0").await;
    browser.says("of 16 backups are kept").await;
    let before = browser.text().await;
    browser.fill("[name=daily]", "40").await;
    browser.fill("[name=last]", "100").await;
    browser.says("16 of 16 backups are kept").await;
    assert!(!before.contains("16 of 16"), "{before}");
    let address = browser.client.current_url().await.unwrap().to_string();
    assert!(address.contains("last=100"), "the address can be shared: {address}");
    browser.fill("[name=age]", "some weeks").await;
    browser.says("is no length of time").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_comes_back_as_it_was_in_a_second_between_two_backups() {
    let site = Site::new();
    let mariadb = block_in_place(MariaDb::start);
    mariadb.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.item (name TEXT); INSERT INTO shop.item VALUES ('first')",
    );
    mariadb.user("larder", "secret", &["ALL PRIVILEGES ON *.*"]);
    let (server, database) = block_in_place(|| {
        let server = site.serve();
        let password = site.directory.join("password");
        std::fs::write(&password, "secret").unwrap();
        let address = format!("mariadb://larder@127.0.0.1:{}", mariadb.port());
        let password = password.to_str().unwrap();
        ask(&server, &["source", "add", &address, "--name", "maria", "--password-file", password]).expect(0);
        let task = format!(
            "Name = \"Nightly\"\nFullBackupFrequency = \"0 2 * * 0\"\n[LocalSettings]\nFolderPath = {:?}\n",
            site.directory.join("backups").to_str().unwrap()
        );
        let file = site.directory.join("nightly.toml");
        std::fs::write(&file, task).unwrap();
        ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
        let listed = ask(&server, &["database", "list", "--json"]).expect(0).said;
        let name = ["maria.shop", "maria-shop", "shop"]
            .into_iter()
            .find(|name| listed.contains(&format!("\"{name}\"")));
        (server, name.expect("the database is found").to_owned())
    });
    let second = || mariadb.sql("SELECT UNIX_TIMESTAMP()").trim().parse::<i64>().unwrap();
    let next_second = || {
        let now = second();
        wait_until("the next second", Duration::from_secs(5), || (second() > now).then_some(()))
    };
    let moment = block_in_place(|| {
        ask(&server, &["backup", "now", &database, "--full", "--wait"]).expect(0);
        next_second();
        mariadb.sql("INSERT INTO shop.item VALUES ('second')");
        next_second();
        let moment = second();
        next_second();
        mariadb.sql("INSERT INTO shop.item VALUES ('third')");
        next_second();
        ask(&server, &["backup", "now", &database, "--wait"]).expect(0);
        jiff::Timestamp::from_second(moment).unwrap()
    });
    let browser = Browser::start().await;
    let pages = [
        (
            "restore-second",
            format!("/studio/restore?database={database}&at={moment}"),
            "brought to this second",
        ),
        ("timeline-second", format!("/studio/databases/{database}/points"), "every second can be restored"),
        ("compare-log", format!("/studio/databases/{database}/compare"), "added"),
    ];
    let wrong = wrong_with(&browser, &server, &pages).await;
    assert_eq!(wrong, [""; 0], "{wrong:#?}");

    browser.look(1280, 1000, false).await;
    browser.go(&format!("{}/studio/restore?database={database}&at=2020-01-01T00:00:00Z", server.url())).await;
    browser.says("The first moment that can be had is").await;
    browser.go(&format!("{}/studio/restore?database={database}&at={moment}", server.url())).await;
    browser.fill("#target", "shop_then").await;
    browser.press(&format!("Restore {database}")).await;
    browser.says(&format!("restore of {database}")).await;
    browser.says("completed").await;
    assert_eq!(mariadb.sql("SELECT name FROM shop_then.item ORDER BY name"), "first\nsecond\n");
    assert_eq!(mariadb.sql("SELECT COUNT(*) FROM shop.item").trim(), "3");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

//! Setting up in a real browser: getting started, the editor of tasks, destinations and their test, sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/browser.rs"]
mod browser;
mod support;

use browser::Browser;
use larder_testbed::{Postgresql, ProFtpd, ProFtpdMode, Server, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};
use support::{Site, ask, make_database};

/// From nothing to restored and compared, all that somebody needs, typing left out.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// A server that finds the programs of PostgreSQL.
fn serve(site: &Site) -> Server {
    std::fs::create_dir_all(site.data()).unwrap();
    let tools = format!("[tools]\ndirectories = [{:?}]\n", Postgresql::programs());
    std::fs::write(site.data().join("larder.toml"), tools).unwrap();
    site.serve()
}

/// A server with a tree and two databases, and no task.
fn with_sources(site: &Site) -> Server {
    let server = serve(site);
    let tree = site.tree();
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--name", "web", "--exclude", "*.db"]).expect(0);
    ask(&server, &["source", "add", tree.to_str().unwrap(), "--engine", "sqlite", "--name", "dbs"]).expect(0);
    server
}

/// A PostgreSQL server with a database of 1,000 rows.
fn shop() -> Postgresql {
    let postgresql = Postgresql::start();
    postgresql.sql("postgres", "CREATE DATABASE shop");
    postgresql.sql(
        "shop",
        "CREATE TABLE items (id serial PRIMARY KEY, name text); INSERT INTO items (name) SELECT 'item ' || i FROM generate_series(1, 1000) i",
    );
    postgresql
}

fn block<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Browser {
    /// Chooses an entry of a list by its value, as a person does.
    async fn choose(&self, css: &str, value: &str) {
        self.find(css).await.select_by_value(value).await.unwrap();
    }

    /// Presses what a selector finds.
    async fn press_at(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Looks at the page as it stands, light, dark and on a phone: takes pictures, and returns what is wrong.
    async fn judge(&self, name: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (look, width, height, dark) in
            [("light", 1280, 1000, false), ("dark", 1280, 1000, true), ("phone", 390, 844, false)]
        {
            self.look(width, height, dark).await;
            self.whole_picture(&format!("{name}-{look}"), width).await;
            let overflow = self.overflow().await;
            if overflow > 0 {
                wrong.push(format!("{name} {look}: {overflow} px wider than its window"));
            }
            wrong.extend(self.issues().await.into_iter().map(|issue| format!("{name} {look}: {issue}")));
        }
        self.look(1280, 1000, false).await;
        wrong.extend(self.complaints().await.into_iter().map(|line| format!("{name}: {line}")));
        wrong
    }

    /// Takes a picture of all of the page, also of what lies below the window.
    async fn whole_picture(&self, name: &str, width: u32) {
        let script = "return document.documentElement.scrollHeight";
        let height = self.client.execute(script, vec![]).await.unwrap().as_u64().unwrap_or(1000);
        let height = u32::try_from(height.clamp(800, 6000)).unwrap();
        let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
        let dark = self.client.execute(dark, vec![]).await.unwrap().as_bool().unwrap_or(false);
        self.look(width, height, dark).await;
        self.picture(name).await;
    }
}

/// Asks the interface that the pages use.
fn api(server: &Server, path: &str) -> Value {
    block(|| {
        let text =
            ureq::get(format!("{}/api/v1{path}", server.url())).call().unwrap().body_mut().read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn getting_started_ends_with_a_server_restored_and_compared() {
    let site = Site::new();
    let (server, postgresql) = block(|| (serve(&site), shop()));
    let browser = Browser::start().await;
    let mut wrong = Vec::new();
    let begun = Instant::now();
    browser.go(&server.url()).await;
    browser.press("Get started").await;
    browser.says("What there is").await;
    browser.find("[data-load] > div").await;
    wrong.extend(browser.judge("start-1").await);
    browser.choose("#engine", "postgresql").await;
    browser.fill("#address", &postgresql.address("postgres")).await;
    browser.fill("#password-postgresql", "wrong horse").await;
    browser.fill("#source-name", "shopserver").await;
    browser.press("Add").await;
    browser.says("password").await;
    // It was refused, as it was to be.
    browser.complaints().await;
    browser.fill("#password-postgresql", Postgresql::PASSWORD).await;
    browser.press("Add").await;
    browser.says("2 databases in 1 source").await;

    browser.says("Sunday").await;
    let folder = site.directory.join("kept");
    browser.fill("#folder", site.tree().join("readme.txt").join("x").to_str().unwrap()).await;
    browser.press("Test").await;
    browser.says("does not work").await;
    browser.fill("#folder", folder.to_str().unwrap()).await;
    browser.press("Test").await;
    browser.says("works").await;
    wrong.extend(browser.judge("start-2").await);
    browser.press("That is the plan").await;
    browser.says("I have stored the key").await;
    browser.says("The task Nightly backs up all of them").await;
    wrong.extend(browser.judge("start-3").await);
    // Without a stored key nothing begins.
    browser.press("Make the first backup").await;
    assert!(api(&server, "/operations").as_array().is_some_and(Vec::is_empty));
    browser.press_at(".form .check input").await;
    browser.press("Make the first backup").await;
    browser.says("The first backup, and its proof").await;
    // Not while the page still moves.
    block(|| {
        wait_until("the first backups end", Duration::from_secs(60), || {
            let all = api(&server, "/operations");
            let ended = |one: &Value| one["Status"] == "Completed";
            all.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(ended)).then_some(())
        });
    });
    browser.go(&format!("{}/studio/start", server.url())).await;
    browser.press("Restore into scratch and compare").await;
    browser.says("was restored into scratch and compared").await;
    browser.says("equal").await;
    assert!(begun.elapsed() < FIVE_MINUTES, "it took {:?}, pictures included", begun.elapsed());
    wrong.extend(browser.judge("start-4").await);
    // What the page says is what the server knows.
    let verified = api(&server, "/operations?kind=Verify");
    assert_eq!(verified[0]["Status"], "Completed", "{verified}");
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_says_while_it_is_written_what_it_will_do() {
    let site = Site::new();
    let server = block(|| with_sources(&site));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/tasks/new", server.url())).await;
    browser.says("It covers all databases, now 3").await;
    browser.fill("#excluded", "stock*").await;
    browser.says("It covers 2 of 3 databases").await;
    browser.says("Not covered: stock.sqlite").await;
    browser.fill("#full", "0 5 * *").await;
    browser.says("it has 4 fields").await;
    browser.fill("#full", "0 5 1 * *").await;
    browser.fill("#incremental", "30 4 * * *").await;
    browser.fill("#zone", "Asia/Tokyo").await;
    browser.says("at 04:30 · incremental").await;
    browser.says("Asia/Tokyo").await;
    browser.says("Every backup, for ever").await;
    browser.fill("#keep-age", "14.00:00:00").await;
    browser.fill("#keep-monthly", "6").await;
    browser.says("Every backup younger than 14 days.").await;
    browser.says("The newest of each of the last 6 months that have one.").await;
    browser.says("would be left, the oldest of them").await;
    // What is typed half makes no noise.
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.press_at("details:has(#further) > summary").await;
    browser.fill("#further", "full: Monthly\nincremental: every 4h..6h").await;
    browser.says("every 4h..6h").await;
    browser.fill("#folder", site.directory.join("kept").to_str().unwrap()).await;
    let wrong = browser.judge("task-new").await;
    browser.press("Save").await;
    browser.says("without stock*").await;
    let task = api(&server, "/tasks/Nightly");
    assert_eq!(task["TimeZone"], "Asia/Tokyo", "{task}");
    assert_eq!(task["Schedules"][0]["Backup"], "Full", "{task}");
    assert_eq!(task["Schedules"][1]["When"], "every 4h..6h", "{task}");
    assert_eq!(task["RetentionPolicy"]["KeepMonthly"], 6, "{task}");

    browser.press("Delete").await;
    browser.says("No task is left for 2 of them: shop.db, web.").await;
    browser.says("The backups that it made stay where they are.").await;
    browser.press("Go on").await;
    browser.says("There is none yet.").await;
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_of_every_kind_are_asked_for_tried_and_kept_with_their_secrets() {
    let site = Site::new();
    let (server, ftp) = block(|| (with_sources(&site), ProFtpd::start(ProFtpdMode::Plain)));
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/tasks/new", server.url())).await;
    browser.fill("#folder", site.directory.join("kept").to_str().unwrap()).await;
    browser.press_at("#destinations [data-test]").await;
    browser.says("works").await;
    let kinds = [
        "LocalSettings",
        "S3Settings",
        "GlacierSettings",
        "AzureSettings",
        "GoogleCloudSettings",
        "FtpSettings",
        "SftpSettings",
        "WebDavSettings",
    ];
    for kind in kinds {
        browser.choose("#kind", kind).await;
        browser.press("Add a destination").await;
        browser.find(&format!("#destinations [data-block={kind}]")).await;
    }
    let mut wrong = browser.judge("task-destinations").await;
    // A second one of a kind has a name of its own.
    browser.fill("#new1-name", "other disk").await;
    browser.fill("#new1-folderpath", site.directory.join("other").to_str().unwrap()).await;
    // A gateway that is not there is told apart from one that refuses.
    browser.fill("#new2-bucketname", "bucket").await;
    browser.fill("#new2-hosts", "http://127.0.0.1:9\nhttp://127.0.0.1:10").await;
    browser.fill("#new2-awsaccesskey", "key").await;
    browser.fill("#new2-awssecretkey", "secret").await;
    browser.press_at("[data-block=S3Settings] [data-test]").await;
    browser.says("does not work").await;
    browser.says("not tried").await;
    wrong.extend(browser.judge("task-tested").await);
    for kind in kinds.into_iter().filter(|kind| !matches!(*kind, "LocalSettings" | "FtpSettings")) {
        browser.press_at(&format!("#destinations [data-block={kind}] [data-remove]")).await;
    }
    browser.fill("#new6-url", &format!("ftp://{}/larder", ftp.address())).await;
    browser.fill("#new6-username", ProFtpd::USER).await;
    browser.fill("#new6-password", ProFtpd::PASSWORD).await;
    browser.press_at("[data-block=FtpSettings] [data-test]").await;
    let outcome = browser.find("[data-block=FtpSettings] .result .good").await;
    assert_eq!(outcome.text().await.unwrap(), "works");

    // A key of the task's own: shown once.
    browser.press_at("[name=encryption][value=UseProvidedKey]").await;
    browser.press("Make a key").await;
    let made = browser.find("#key").await.prop("value").await.unwrap().unwrap();
    assert_eq!(made.len(), 44, "32 bytes in Base64");
    browser.press("Save").await;
    browser.says("I have stored the key in a safe place").await;
    browser.press_at("#has-stored-key").await;
    browser.press("Save").await;
    browser.says("other disk").await;
    let task = api(&server, "/tasks/Nightly");
    assert_eq!(task["FtpSettings"]["Password"], "****", "{task}");
    assert_eq!(task["BackupEncryptionSettings"]["EncryptionMode"], "UseProvidedKey", "{task}");
    assert_eq!(task["Destinations"][0]["Name"], "other disk", "{task}");
    assert!(!task.to_string().contains(&made));

    // The mask keeps what is stored: the password opens the door after another change, and the key stays.
    browser.press("Edit").await;
    browser.says("Task Nightly").await;
    let page = browser.client.source().await.unwrap();
    assert!(!page.contains(&made) && !page.contains(ProFtpd::PASSWORD), "a secret is in the page");
    browser.fill("#keep-weekly", "5").await;
    browser.press("Save").await;
    browser.says("5 weekly").await;
    let tested: Value = block(|| {
        let url = format!("{}/api/v1/tasks/Nightly/test", server.url());
        let answer = ureq::post(url).header("Content-Type", "application/json").send("{}");
        serde_json::from_str(&answer.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    });
    assert!(tested.as_array().unwrap().iter().all(|one| one["Works"] == true), "{tested}");
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_added_with_their_options_and_say_what_their_user_may_not_read() {
    let site = Site::new();
    let (server, postgresql) = block(|| (serve(&site), shop()));
    postgresql.sql("shop", "CREATE ROLE backup LOGIN PASSWORD 'staple'");
    let browser = Browser::start().await;
    browser.go(&format!("{}/studio/sources", server.url())).await;
    browser.find("[data-load] > div").await;
    let mut wrong = browser.judge("sources-empty").await;
    // Every engine asks for what it wants to know.
    for (engine, says) in [
        ("mariadb", "WholeServer"),
        ("redis", "TlsAuthorities"),
        ("couchdb", "TlsCertificate"),
        ("etcd", "TlsKey"),
        ("command", "CompletenessMarker"),
        ("postgresql", "SslMode"),
    ] {
        browser.choose("#engine", engine).await;
        browser.press_at(&format!("[data-engine={engine}] summary")).await;
        browser.says(says).await;
    }
    browser.fill("#address", &postgresql.address("backup")).await;
    browser.fill("#password-postgresql", "staple").await;
    browser.fill("#option-postgresql-LockTimeout", "30").await;
    browser.fill("#source-name", "shopserver").await;
    wrong.extend(browser.judge("sources-form").await);
    browser.press("Add").await;
    browser.says("Source shopserver").await;
    browser.says("Backups are not complete without these").await;
    browser.says("GRANT").await;
    wrong.extend(browser.judge("source-rights").await);
    let stored = api(&server, "/sources");
    assert_eq!(stored[0]["Options"]["LockTimeout"], "30", "{stored}");
    // Once granted, nothing is missing; the password is kept by its mask when something else is changed.
    let grants = browser.client.find_all(fantoccini::Locator::Css(".rights pre")).await.unwrap();
    for grant in grants {
        let file = site.directory.join("grant.sql");
        std::fs::write(&file, grant.text().await.unwrap()).unwrap();
        let done = block(|| postgresql.client("shop").arg("-f").arg(&file).output().unwrap());
        assert!(done.status.success(), "{done:?}");
    }
    browser.press_at("[data-engine=postgresql] summary").await;
    browser.fill("#option-postgresql-LockTimeout", "40").await;
    browser.press("Save").await;
    browser.says("nothing is missing").await;
    let stored = api(&server, "/sources");
    assert_eq!(stored[0]["Options"]["LockTimeout"], "40", "{stored}");

    // A database that went away is shown as gone, and can be struck off.
    browser.go(&format!("{}/studio/sources", server.url())).await;
    let extra = site.tree().join("extra.db");
    block(|| make_database(&extra, 5));
    browser.choose("#engine", "sqlite").await;
    browser.fill("#address", site.tree().to_str().unwrap()).await;
    browser.fill("#source-name", "dbs").await;
    browser.press("Add").await;
    browser.says("3 there").await;
    let task = site.directory.join("task.toml");
    let folder = site.directory.join("kept");
    let text = format!(
        "Name = \"Nightly\"\nFullBackupFrequency = \"0 2 * * 0\"\n[LocalSettings]\nFolderPath = {folder:?}\n"
    );
    std::fs::write(&task, text).unwrap();
    block(|| {
        ask(&server, &["task", "put", task.to_str().unwrap()]).expect(0);
        ask(&server, &["backup", "now", "extra.db", "--wait"]).expect(0);
        std::fs::remove_file(&extra).unwrap();
    });
    browser.press("Search now").await;
    browser.says("2 there, 1 gone").await;
    wrong.extend(browser.judge("source-gone").await);
    browser.press("Strike off").await;
    browser.press("Go on").await;
    block(|| {
        wait_until("it is struck off", Duration::from_secs(20), || {
            (ask(&server, &["database", "show", "extra.db"]).code != 0).then_some(())
        });
    });
    browser.says("2 there").await;

    // What answers on this host is found, and added by its tick. Other servers may answer here as well.
    browser.go(&format!("{}/studio/sources", server.url())).await;
    browser.find(".found input").await;
    let socket = postgresql.socket_directory().display().to_string().replace('/', "%2F");
    let only = format!(
        "document.querySelectorAll('.found input').forEach(box => box.checked = box.dataset.source.includes('{socket}'))"
    );
    browser.client.execute(&only, vec![]).await.unwrap();
    browser.press("Add the ticked").await;
    block(|| {
        wait_until("it is added", Duration::from_secs(30), || {
            let sources = api(&server, "/sources");
            let mine = |one: &Value| one["Address"].as_str().is_some_and(|place| place.contains(&socket));
            sources.as_array()?.iter().any(mine).then_some(())
        });
    });
    browser.go(&format!("{}/studio/sources", server.url())).await;
    browser.find("[data-load] > div").await;
    wrong.extend(browser.judge("sources-added").await);
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    browser.close().await;
}

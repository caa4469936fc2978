//! RavenDB's restore routes on places that are no directories: each served by a real server of its protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_testbed::{Azurite, GcsEmulator, Moto, ProFtpd, ProFtpdMode, Server, wait_until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use support::{Site, ask, make_database};

/// The rows of the database that is backed up.
const ROWS: u32 = 300;

/// A server for each kind of place that a restore may name.
struct Servers {
    s3: Moto,
    azure: Azurite,
    google: GcsEmulator,
    ftp: ProFtpd,
}

impl Servers {
    fn start() -> Self {
        let s3 = Moto::start();
        s3.boto("any", "any").make_bucket("backups");
        let azure = Azurite::start();
        azure.make_container("backups");
        Self { s3, azure, google: GcsEmulator::start(), ftp: ProFtpd::start(ProFtpdMode::Plain) }
    }

    /// Returns each kind, the key of its block in a task, and its settings with a folder.
    fn places(&self, folder: &str) -> [(&'static str, &'static str, Value); 4] {
        [
            (
                "S3",
                "S3Settings",
                json!({
                    "BucketName": "backups", "CustomServerUrl": self.s3.url(), "AwsRegionName": "us-east-1",
                    "ForcePathStyle": true, "RemoteFolderName": folder, "AwsAccessKey": "any", "AwsSecretKey": "any",
                }),
            ),
            (
                "Azure",
                "AzureSettings",
                json!({
                    "StorageContainer": "backups", "RemoteFolderName": folder, "AccountName": Azurite::ACCOUNT,
                    "AccountKey": Azurite::KEY, "CustomServerUrl": self.azure.url(),
                }),
            ),
            (
                "GoogleCloud",
                "GoogleCloudSettings",
                json!({
                    "BucketName": GcsEmulator::BUCKET, "RemoteFolderName": folder, "CustomServerUrl": self.google.url(),
                }),
            ),
            (
                "FTP",
                "FtpSettings",
                json!({
                    "Url": format!("ftp://127.0.0.1:{}/{folder}", self.ftp.port()),
                    "UserName": ProFtpd::USER, "Password": ProFtpd::PASSWORD,
                }),
            ),
        ]
    }
}

/// Sends a body to one of RavenDB's routes; returns the status and the answer.
fn post(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(format!("{}{path}", server.url())).send(body.to_string()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Asks for a restore, and polls the operation until it has ended, as RavenDB's clients do.
fn restored(server: &Server, body: &Value) -> Value {
    let (status, begun) = post(server, "/admin/restore/database", body);
    assert_eq!(status, 200, "{begun:#}");
    let url = format!("{}/operations/state?id={}", server.url(), begun["OperationId"]);
    wait_until("the restore's end", Duration::from_secs(120), || {
        let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        let state: Value = serde_json::from_str(&text).unwrap();
        (state["Status"] != "InProgress").then_some(state)
    })
}

/// Returns the file of a database that Larder made.
fn file_of(server: &Server, name: &str) -> PathBuf {
    let all = ask(server, &["database", "list", "--json"]).expect(0).json();
    let found = all.as_array().unwrap().iter().find(|one| one["Database"]["Name"] == name);
    let found = found.unwrap_or_else(|| panic!("{name} is not in {all:#}"));
    found["Database"]["Locator"].as_str().unwrap().into()
}

fn rows(server: &Server, name: &str) -> u32 {
    let database = rusqlite::Connection::open(file_of(server, name)).unwrap();
    database.query_row("select count(*) from item", [], |row| row.get(0)).unwrap()
}

/// A server with the database `orders`, backed up to every place.
fn backed_up(site: &Site, servers: &Servers) -> Server {
    let server = site.serve();
    ask(&server, &["database", "create", "orders"]).expect(0);
    make_database(&file_of(&server, "orders"), ROWS);
    let mut task = json!({ "Name": "Clouds", "FullBackupFrequency": "0 2 1 1 *" });
    for (_, block, settings) in servers.places("larder") {
        task[block] = settings;
    }
    let file = site.directory.join("clouds.json");
    std::fs::write(&file, task.to_string()).unwrap();
    ask(&server, &["task", "put", file.to_str().unwrap()]).expect(0);
    ask(&server, &["backup", "now", "orders", "--full", "--wait"]).expect(0);
    server
}

#[test]
fn a_database_comes_back_from_each_kind_of_place_through_ravendbs_routes() {
    let (servers, site) = (Servers::start(), Site::new());
    let server = backed_up(&site, &servers);
    for (kind, _, settings) in servers.places("larder/orders") {
        let (status, points) = post(&server, &format!("/admin/restore/points?type={kind}"), &settings);
        assert_eq!(status, 200, "{kind}: {points:#}");
        let list = points["List"].as_array().unwrap();
        assert_eq!(list.len(), 1, "{kind}: {points:#}");
        assert_eq!(
            (&list[0]["DatabaseName"], &list[0]["IsEncrypted"]),
            (&json!("orders"), &json!(true)),
            "{kind}"
        );
        let name = format!("back-{}", kind.to_lowercase());
        let body = json!({
            "Type": kind, "DatabaseName": name, "Settings": settings,
            "LastFileNameToRestore": list[0]["FileName"], "DisableOngoingTasks": false, "SkipIndexes": false,
        });
        let state = restored(&server, &body);
        assert_eq!(state["Status"], "Completed", "{kind}: {state:#}");
        assert_eq!(rows(&server, &name), ROWS, "{kind}");
    }
    // A folder that holds a single repository is as good as the repository's own.
    for (kind, _, settings) in servers.places("larder") {
        let (status, points) = post(&server, &format!("/admin/restore/points?type={kind}"), &settings);
        assert_eq!((status, points["List"].as_array().map(Vec::len)), (200, Some(1)), "{kind}: {points:#}");
    }
}

#[test]
fn what_cannot_be_restored_says_why_and_harms_nothing() {
    let (servers, site) = (Servers::start(), Site::new());
    let server = backed_up(&site, &servers);
    for (kind, _, mut settings) in servers.places("larder/orders") {
        // The name is taken: the database that has it stays as it is.
        let body = json!({ "Type": kind, "DatabaseName": "orders", "Settings": settings });
        let (status, begun) = post(&server, "/admin/restore/database", &body);
        if status == 200 {
            let state = restored(&server, &body);
            assert_eq!(state["Status"], "Faulted", "{kind}: {state:#}");
        } else {
            assert_eq!(status, 500, "{kind}: {begun:#}");
        }
        assert_eq!(rows(&server, "orders"), ROWS, "{kind}");
        let body = json!({ "Type": kind, "DatabaseName": "nothing" });
        let (status, refused) = post(&server, "/admin/restore/database", &body);
        assert_eq!(status, 500, "{kind}: {refused:#}");
        assert!(refused["Message"].as_str().unwrap().contains("Settings"), "{kind}: {refused:#}");
        // Nothing lies there.
        let folder = if kind == "FTP" { "Url" } else { "RemoteFolderName" };
        let elsewhere = settings[folder].as_str().unwrap().replace("larder/orders", "nowhere");
        settings[folder] = elsewhere.into();
        let body = json!({ "Type": kind, "DatabaseName": "nothing", "Settings": settings });
        let (status, refused) = post(&server, "/admin/restore/database", &body);
        assert_ne!(status, 200, "{kind}: {refused:#}");
        assert!(!refused.to_string().contains(ProFtpd::PASSWORD), "{kind}: {refused:#}");
    }
}

#[test]
fn another_machine_restores_with_the_key_of_the_first() {
    let (servers, first) = (Servers::start(), Site::new());
    drop(backed_up(&first, &servers));
    let key = std::fs::read_to_string(first.data().join("key")).unwrap();
    let second = Site::new();
    let server = second.serve();
    for (kind, _, settings) in servers.places("larder/orders") {
        let name = format!("from-{}", kind.to_lowercase());
        let mut body = json!({ "Type": kind, "DatabaseName": name, "Settings": settings });
        let (status, refused) = post(&server, "/admin/restore/database", &body);
        if status == 200 {
            let state = restored(&server, &body);
            assert_eq!(state["Status"], "Faulted", "{kind}: {refused:#}");
        }
        body["BackupEncryptionSettings"] = json!({ "EncryptionMode": "UseProvidedKey", "Key": key.trim() });
        let state = restored(&server, &body);
        assert_eq!(state["Status"], "Completed", "{kind}: {state:#}");
        assert_eq!(rows(&server, &name), ROWS, "{kind}");
    }
}

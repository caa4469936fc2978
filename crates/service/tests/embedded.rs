//! Databases made, deleted and restored through the API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::task::{DestinationSettings, LocalSettings};
use larder_model::{BackupKind, OperationStatus};
use larder_service::{BackupChoice, ErrorKind, RestoreInto, Service};
use serde_json::{Value, json};
use support::{Host, assert_completed, backup, ended, failure, put, sqlite};

fn place(path: &std::path::Path) -> DestinationSettings {
    let folder_path = Some(path.display().to_string());
    DestinationSettings::Local(LocalSettings { folder_path, ..LocalSettings::default() })
}

fn names(service: &Service) -> Vec<String> {
    service.databases().into_iter().map(|view| view.database.name.to_string()).collect()
}

fn rows(path: &std::path::Path) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_made_through_the_api_has_its_tasks_at_once() {
    let host = Host::new();
    let service = host.start().await;
    put(&service, host.nightly()).await.unwrap();
    let revision = service.create_database("alpha").await.unwrap();
    assert_eq!(service.revision().await.unwrap(), revision);
    assert_eq!(service.tasks_of("alpha").unwrap().len(), 1);
    let kind = |result: Result<u64, larder_service::ServiceError>| result.unwrap_err().kind();
    assert_eq!(kind(service.create_database("ALPHA").await), ErrorKind::DatabaseExists);
    assert_eq!(kind(service.create_database("bad name*").await), ErrorKind::BadName);
    service.discover().await.unwrap();
    assert_eq!(names(&service), ["alpha"], "the search finds it as the same");
    assert_completed(&backup(&service, "alpha", BackupKind::Full).await);
    service.stop().await;
    drop(service);
    let service = host.start().await;
    assert_eq!(names(&service), ["alpha"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_databases_made_through_the_api_are_deleted_and_their_backups_stay() {
    let host = Host::new();
    let service = host.start().await;
    put(&service, host.nightly()).await.unwrap();
    service.add_source(host.tree("web")).await.unwrap();
    service.create_database("alpha").await.unwrap();
    service.create_database("beta").await.unwrap();
    assert_completed(&backup(&service, "alpha", BackupKind::Full).await);
    let both = ["alpha".to_owned(), "web".to_owned()];
    let refused = service.delete_databases(&both, true).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidOperation);
    assert_eq!(names(&service), ["alpha", "beta", "web"]);
    let deleted = service.delete_databases(&["alpha".to_owned(), "nosuch".to_owned()], true).await.unwrap();
    assert!(deleted.revision.is_some());
    assert_eq!(deleted.unknown, ["nosuch"]);
    let directory = host.settings.databases_directory();
    assert!(!directory.join("alpha").exists());
    assert!(host.backups().join("alpha/config").exists());
    service.delete_databases(&["beta".to_owned()], false).await.unwrap();
    assert!(!directory.join("beta").exists());
    let aside = std::fs::read_dir(host.directory.join("data/deleted-databases")).unwrap().count();
    assert_eq!(aside, 1, "put aside");
    service.discover().await.unwrap();
    assert_eq!(names(&service), ["web"]);
    assert_eq!(service.delete_databases(&["beta".to_owned()], true).await.unwrap().revision, None);
    service.create_database("alpha").await.unwrap();
    assert_eq!(service.backups("alpha", None).await.unwrap().len(), 1, "its earlier backups are its own");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_a_new_database_and_never_replaces_one() {
    let host = Host::new();
    let service = host.start().await;
    put(&service, host.nightly()).await.unwrap();
    service.create_database("alpha").await.unwrap();
    let directory = host.settings.databases_directory();
    sqlite(&directory.join("alpha"), 7);
    assert_completed(&backup(&service, "alpha", BackupKind::Full).await);
    sqlite(&directory.join("alpha"), 3);
    let points = service.restore_points(place(&host.backups()), None).await.unwrap();
    assert_eq!(points.len(), 1);
    let location = host.backups().join("alpha").display().to_string();
    assert_eq!((points[0].location.clone(), points[0].is_encrypted), (location, true));
    let request = |database: &str, location: std::path::PathBuf| RestoreInto {
        database: database.to_owned(),
        location: place(&location),
        backup: BackupChoice::Latest,
        key: None,
    };
    let into = service.restore_into(request("restored", host.backups())).await.unwrap();
    assert_completed(&ended(&service, into).await);
    assert_eq!(rows(&directory.join("restored")), 7);
    assert_eq!(service.tasks_of("restored").unwrap().len(), 1);
    let over = service.restore_into(request("alpha", host.backups().join("alpha"))).await.unwrap();
    let over = ended(&service, over).await;
    assert!(failure(&over).contains("'alpha' already"), "{:?}", over.error);
    assert_eq!(rows(&directory.join("alpha")), 10, "it was left as it is");
    assert_eq!(names(&service), ["alpha", "restored"]);
    let nowhere = service.restore_into(request("x", host.directory.join("nope"))).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Argument);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_a_key_of_its_own_is_restored_with_that_key() {
    let host = Host::new();
    let service = host.start().await;
    service.create_database("alpha").await.unwrap();
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    let once: Value = json!({
        "LocalSettings": { "FolderPath": host.backups() },
        "BackupEncryptionSettings": { "EncryptionMode": "UseProvidedKey", "Key": key },
    });
    let once = larder_model::task::read(once.as_object().unwrap()).unwrap();
    let id = service.backup_once("alpha", once).await.unwrap();
    assert_eq!(ended(&service, id).await.status, OperationStatus::Completed);
    let request = |key: Option<&str>| RestoreInto {
        database: "restored".to_owned(),
        location: place(&host.backups().join("alpha")),
        backup: BackupChoice::Latest,
        key: key.map(|key| larder_model::Secret::new(key.to_owned())),
    };
    let without = service.restore_into(request(None)).await.unwrap();
    assert!(failure(&ended(&service, without).await).contains("key"));
    let with = service.restore_into(request(Some(key))).await.unwrap();
    assert_completed(&ended(&service, with).await);
    service.stop().await;
}

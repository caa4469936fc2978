//! Several destinations in one pass, those that cannot be reached, scripts, keys and secrets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::{BackupKind, OperationStatus};
use larder_service::{Service, Stored};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{Host, assert_completed, backup, failure};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

/// Returns the address of a server that is not there.
fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

async fn with_task(host: &Host, more: Value) -> (Service, Stored) {
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let mut task = object(json!({ "Name": "N", "FullBackupFrequency": "0 2 * * *" }));
    task.extend(object(more));
    let stored = service.put_server_wide(&task).await.unwrap();
    (service, stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_writes_to_every_folder_and_one_that_is_down_fails_alone() {
    let host = Host::new();
    let (first, second, third) =
        (host.backups(), host.directory.join("second"), host.directory.join("third"));
    let folder = |path: &Path| json!({ "FolderPath": path });
    let (service, _) = with_task(
        &host,
        json!({
            "LocalSettings": folder(&first),
            "Destinations": [
                { "Name": "second", "LocalSettings": folder(&second) },
                { "Name": "third", "LocalSettings": folder(&third) },
            ],
        }),
    )
    .await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    for root in [&first, &second, &third] {
        assert_eq!(std::fs::read_dir(root.join("web/snapshots")).unwrap().count(), 1, "{}", root.display());
    }
    let status = service.tasks_of("web").unwrap().remove(0).status;
    let names: Vec<_> = status.destinations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["Local", "second", "third"]);
    assert!(status.destinations.iter().all(|one| one.last_full_backup.is_some() && one.exception.is_none()));

    std::fs::rename(&second, host.directory.join("elsewhere")).unwrap();
    std::fs::write(host.source_path("web").join("new"), "new").unwrap();
    let partial = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&partial).contains("second"), "{:?}", partial.error);
    let failed: Vec<_> = partial.destinations.iter().map(|one| one.error.is_some()).collect();
    assert_eq!(failed, [false, true, false]);
    for root in [&first, &third] {
        assert_eq!(std::fs::read_dir(root.join("web/snapshots")).unwrap().count(), 2);
    }
    assert!(!second.exists(), "a folder that vanished is never made anew");
    let points = service.backups("web", Some("third")).await.unwrap();
    assert_eq!(points.len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_cannot_be_reached_is_never_green() {
    let host = Host::new();
    let (service, _) = with_task(
        &host,
        json!({
            "LocalSettings": { "FolderPath": host.backups() },
            "S3Settings": {
                "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "s", "AwsRegionName": "eu-central-1",
                "CustomServerUrl": nobody(),
            },
        }),
    )
    .await;
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("Amazon S3"), "{:?}", operation.error);
    assert_eq!(service.backups("web", None).await.unwrap().len(), 1, "the local one is there");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_says_at_each_run_where_the_folder_is() {
    let mut host = Host::new();
    let scripts = host.directory.join("scripts");
    std::fs::create_dir(&scripts).unwrap();
    host.settings.script_directories = vec![scripts.clone()];
    let program = scripts.join("where");
    let write = |text: &str| {
        std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    write(&format!("echo '{{\"FolderPath\": \"{}\"}}'", host.directory.join("said").display()));
    let script = json!({ "Exec": program, "TimeoutInMs": 5000 });
    let (service, _) =
        with_task(&host, json!({ "LocalSettings": { "GetBackupConfigurationScript": script } })).await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert!(host.directory.join("said/web/config").exists());
    write("echo the vault is shut >&2; exit 1");
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("the vault is shut"), "{:?}", operation.error);
    service.stop().await;
    drop(service);
    host.settings.script_directories = Vec::new();
    let service = host.start().await;
    let operation = backup(&service, "web", BackupKind::Full).await;
    assert!(failure(&operation).contains("may not run"), "{:?}", operation.error);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_the_state_in_clear_and_the_mask_keeps_it() {
    let host = Host::new();
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    let (service, stored) = with_task(
        &host,
        json!({
            "LocalSettings": { "FolderPath": host.backups() },
            "FtpSettings": { "Disabled": true, "Url": "ftp://h", "Password": "ftp-hunter2" },
            "Destinations": [{ "Name": "b", "S3Settings": { "Disabled": true, "BucketName": "b", "AwsAccessKey": "a", "AwsSecretKey": "aws-hunter2" } }],
            "BackupEncryptionSettings": { "EncryptionMode": "UseProvidedKey", "Key": key },
        }),
    )
    .await;
    let mut shown = object(serde_json::to_value(service.server_wide(None).remove(0)).unwrap());
    let text = serde_json::to_string(&shown).unwrap();
    assert!(!text.contains("hunter2") && !text.contains(key), "{text}");
    shown.insert("FullBackupFrequency".to_owned(), json!("0 3 * * *"));
    let updated = service.put_server_wide(&shown).await.unwrap();
    assert!(updated.task_id > stored.task_id);
    service.stop().await;
    drop(service);
    for entry in std::fs::read_dir(host.directory.join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in ["hunter2", key] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} lies in {}", path.display());
            }
        }
    }
    let service = host.start().await;
    let backup_settings = service.server_wide(None).remove(0).periodic.backup;
    let kept = backup_settings.ftp_settings.unwrap().password.unwrap();
    assert_eq!(kept.expose(), "ftp-hunter2");
    let further = backup_settings.destinations[0].s3_settings.clone().unwrap();
    assert_eq!(further.aws_secret_key.unwrap().expose(), "aws-hunter2");
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    let access = service.restic_access("web", None).unwrap();
    assert_eq!(access.password.expose(), key, "the provided key opens it");
    assert_eq!(service.backups("web", None).await.unwrap().len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_everybody_knows_the_password() {
    let host = Host::new();
    let (service, _) = with_task(
        &host,
        json!({ "LocalSettings": { "FolderPath": host.backups() }, "BackupEncryptionSettings": { "EncryptionMode": "None" } }),
    )
    .await;
    assert_completed(&backup(&service, "web", BackupKind::Full).await);
    assert_eq!(service.restic_access("web", None).unwrap().password.expose(), larder_service::OPEN_PASSWORD);
    assert!(!service.tasks_of("web").unwrap()[0].status.is_encrypted);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_backup_needs_no_task_and_has_a_status_of_its_own() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("web")).await.unwrap();
    let once = |value: Value| larder_model::task::read(value.as_object().unwrap()).unwrap();
    let none = service.backup_once("web", once(json!({}))).await.unwrap_err();
    assert_eq!(none.kind(), larder_service::ErrorKind::InvalidOperation);
    let folder = host.directory.join("once");
    let id =
        service.backup_once("web", once(json!({ "LocalSettings": { "FolderPath": folder } }))).await.unwrap();
    let operation = support::ended(&service, id).await;
    assert_eq!(operation.status, OperationStatus::Completed, "{operation:#?}");
    assert!(folder.join("web/config").exists());
    assert!(service.once_status("web").unwrap().unwrap().last_full_backup.is_some());
    assert!(service.tasks_of("web").unwrap().is_empty());
    assert_eq!(service.backups("web", None).await.unwrap().len(), 1);
    service.stop().await;
}

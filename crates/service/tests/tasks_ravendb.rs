//! Server-wide tasks by RavenDB's rules: numbers, names, merges, exclusions, and what one database sees of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use larder_model::BackupKind;
use larder_service::{ErrorKind, Service, ServiceError, Stored, TaskSelector};
use serde_json::{Map, Value, json};
use support::{Host, assert_completed, ended};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

async fn put(service: &Service, task: Value) -> Result<Stored, ServiceError> {
    service.put_server_wide(&object(task)).await
}

fn kind<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> ErrorKind {
    let error = result.unwrap_err();
    assert!(error.to_string().len() > 20, "{error}");
    error.kind()
}

fn nightly(host: &Host) -> Value {
    json!({
        "FullBackupFrequency": "0 2 * * *",
        "IncrementalBackupFrequency": "*/30 * * * *",
        "LocalSettings": { "FolderPath": host.backups() },
    })
}

fn with(task: &Value, more: Value) -> Value {
    let mut task = object(task.clone());
    task.extend(object(more));
    Value::Object(task)
}

/// Returns name and number of each task of a database.
fn seen(service: &Service, database: &str) -> Vec<(String, u64)> {
    let tasks = service.tasks_of(database).unwrap();
    tasks.into_iter().map(|view| (view.task.name, view.task.task_id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_made_and_numbers_grow_with_every_put_while_databases_keep_theirs() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("alpha")).await.unwrap();
    service.add_source(host.tree("beta")).await.unwrap();
    let first = put(&service, nightly(&host)).await.unwrap();
    assert_eq!((first.name.as_str(), first.task_id), ("Backup to Local", first.revision));
    let second = put(&service, nightly(&host)).await.unwrap();
    let third = put(&service, nightly(&host)).await.unwrap();
    assert_eq!((second.name.as_str(), third.name.as_str()), ("Backup to Local #2", "Backup to Local #2 #3"));
    service.delete_server_wide("Backup to Local #2").await.unwrap();
    service.delete_server_wide("Backup to Local #2 #3").await.unwrap();

    let update = with(
        &nightly(&host),
        json!({ "Name": first.name, "TaskId": first.task_id, "FullBackupFrequency": "0 3 * * *" }),
    );
    let updated = put(&service, update).await.unwrap();
    assert!(updated.task_id > first.task_id);
    service.add_source(host.tree("delta")).await.unwrap();
    let name = "Server Wide Backup, Backup to Local".to_owned();
    assert_eq!(seen(&service, "alpha"), [(name.clone(), first.task_id)]);
    assert_eq!(seen(&service, "delta"), [(name.clone(), updated.task_id)], "it came after the change");
    let stored = service.server_wide(Some("backup TO local")).remove(0).periodic;
    assert_eq!(stored.task_id, updated.task_id);
    assert_eq!(stored.created_at.unwrap().to_string(), support::BEGIN, "kept by updates");

    let before = (seen(&service, "alpha"), seen(&service, "delta"));
    service.stop().await;
    drop(service);
    let service = host.start().await;
    assert_eq!((seen(&service, "alpha"), seen(&service, "delta")), before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_and_an_unknown_number_are_refused() {
    let host = Host::new();
    let service = host.start().await;
    let stored = put(&service, with(&nightly(&host), json!({ "Name": "Nightly" }))).await.unwrap();
    let again = with(&nightly(&host), json!({ "Name": "Nightly", "TaskId": 0 }));
    assert_eq!(kind(put(&service, again).await), ErrorKind::ApplyRefused);
    let ghost = with(&nightly(&host), json!({ "Name": "ghost", "TaskId": 123_456 }));
    assert_eq!(kind(put(&service, ghost).await), ErrorKind::UnknownTask);
    put(&service, with(&nightly(&host), json!({ "Name": "Weekly" }))).await.unwrap();
    let onto = with(&nightly(&host), json!({ "Name": "Weekly", "TaskId": stored.task_id }));
    assert_eq!(kind(put(&service, onto).await), ErrorKind::ApplyRefused);
    assert_eq!(kind(service.delete_server_wide("NIGHTLY").await), ErrorKind::UnknownTask);
    assert_eq!(kind(service.toggle_server_wide("nightly", true).await), ErrorKind::ApplyRefused);
    assert_eq!(service.server_wide(None).len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_task_keeps_its_history_and_its_number_in_every_database() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("alpha")).await.unwrap();
    let first = put(&service, with(&nightly(&host), json!({ "Name": "Nightly" }))).await.unwrap();
    let operation = service.start_backup("alpha", first.task_id, BackupKind::Full).await.unwrap();
    assert_completed(&ended(&service, operation).await);
    let rename = with(&nightly(&host), json!({ "Name": "Renamed", "TaskId": first.task_id }));
    let renamed = put(&service, rename).await.unwrap();
    assert_eq!(service.server_wide(None).len(), 1);
    assert_eq!(seen(&service, "alpha"), [("Server Wide Backup, Renamed".to_owned(), first.task_id)]);
    let view = service.task_of("alpha", TaskSelector::Id(first.task_id)).unwrap().unwrap();
    assert!(view.status.last_full_backup.is_some());
    assert_eq!(view.server_wide.as_deref(), Some("Renamed"));
    assert!(renamed.task_id > first.task_id);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excluded_database_loses_the_task_and_gets_it_anew_under_another_number() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("alpha")).await.unwrap();
    service.add_source(host.tree("beta")).await.unwrap();
    let first = put(&service, with(&nightly(&host), json!({ "Name": "N" }))).await.unwrap();
    let operation = service.start_backup("beta", first.task_id, BackupKind::Full).await.unwrap();
    assert_completed(&ended(&service, operation).await);
    let update =
        |id: u64, excluded: Value| json!({ "Name": "N", "TaskId": id, "ExcludedDatabases": excluded });
    let second = put(&service, update(first.task_id, json!(["BET*", "nosuchdb"]))).await.unwrap();
    assert!(seen(&service, "beta").is_empty());
    let third = put(&service, update(second.task_id, json!([]))).await.unwrap();
    let view = service.tasks_of("beta").unwrap().remove(0);
    assert_eq!(view.task.task_id, third.task_id);
    assert_eq!(view.status.last_full_backup, None, "its history went with the task");
    assert_eq!(seen(&service, "alpha")[0].1, first.task_id);
    for wrong in [json!([null]), json!(["  "])] {
        assert_eq!(kind(put(&service, update(third.task_id, wrong)).await), ErrorKind::ApplyRefused);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_what_it_does_not_name_and_clears_what_is_null() {
    let host = Host::new();
    let service = host.start().await;
    let given = json!({ "Name": "N", "ExcludedDatabases": ["a"], "TimeZone": "Europe/Berlin", "RetentionPolicy": { "MinimumBackupAgeToKeep": "7.00:00:00", "KeepDaily": 7 } });
    let first = put(&service, with(&nightly(&host), given)).await.unwrap();
    // What the Python client sends: no key that it does not know, null where it has nothing.
    let python = json!({ "Name": "N", "TaskId": first.task_id, "Disabled": null, "MentorNode": null, "IncrementalBackupFrequency": null, "FullBackupFrequency": "0 4 * * *", "RetentionPolicy": { "Disabled": false, "MinimumBackupAgeToKeep": "8.00:00:00" } });
    let second = put(&service, python).await.unwrap();
    let stored = service.server_wide(Some("N")).remove(0);
    assert_eq!(stored.excluded_databases, ["a"]);
    assert_eq!(stored.periodic.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(stored.periodic.incremental_backup_frequency, None);
    assert_eq!(stored.periodic.retention_policy.as_ref().unwrap().keep_daily, Some(7));
    assert!(stored.periodic.backup.local_settings.is_some());
    put(
        &service,
        json!({ "Name": "N", "TaskId": second.task_id, "TimeZone": null, "ExcludedDatabases": [] }),
    )
    .await
    .unwrap();
    let stored = service.server_wide(Some("N")).remove(0);
    assert_eq!((stored.periodic.time_zone, stored.excluded_databases.len()), (None, 0));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_task_is_switched_for_one_database_and_changed_only_through_its_parent() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("alpha")).await.unwrap();
    service.add_source(host.tree("beta")).await.unwrap();
    let stored = put(&service, with(&nightly(&host), json!({ "Name": "N" }))).await.unwrap();
    let id = stored.task_id;
    service.toggle_database_task("alpha", TaskSelector::Name("Server Wide Backup, N"), true).await.unwrap();
    let disabled = |database: &str| service.tasks_of(database).unwrap()[0].task.disabled;
    assert!(disabled("alpha") && !disabled("beta"));
    assert_eq!(service.tasks_of("alpha").unwrap()[0].next_run, None);
    assert_eq!(kind(service.start_backup("alpha", id, BackupKind::Full).await), ErrorKind::InvalidOperation);
    let error = service.delete_database_task("alpha", id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApplyRefused);
    assert!(error.to_string().contains("'N'"), "it names the parent: {error}");
    let edit = object(with(&nightly(&host), json!({ "Name": "x", "TaskId": id })));
    assert_eq!(kind(service.put_database_task("alpha", &edit).await), ErrorKind::ApplyRefused);
    service.toggle_server_wide("N", true).await.unwrap();
    assert!(disabled("beta"));
    assert_eq!(
        kind(service.toggle_database_task("alpha", TaskSelector::Id(id), false).await),
        ErrorKind::ApplyRefused
    );
    service.toggle_server_wide("N", false).await.unwrap();
    service.toggle_database_task("alpha", TaskSelector::Id(id), false).await.unwrap();
    assert!(!disabled("alpha") && !disabled("beta"));
    assert_eq!(service.server_wide(None)[0].periodic.task_id, id, "a switch is no new version");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_has_tasks_of_its_own_beside_the_derived_ones() {
    let host = Host::new();
    let service = host.start().await;
    service.add_source(host.tree("alpha")).await.unwrap();
    put(&service, with(&nightly(&host), json!({ "Name": "N" }))).await.unwrap();
    let folder = host.directory.join("own");
    let own = json!({ "Name": "own", "FullBackupFrequency": "0 4 * * *", "LocalSettings": { "FolderPath": folder } });
    let stored = service.put_database_task("alpha", &object(own.clone())).await.unwrap();
    assert_eq!(stored.task_id, stored.revision);
    assert_eq!(kind(service.put_database_task("alpha", &object(own.clone())).await), ErrorKind::ApplyRefused);
    let reserved = with(&own, json!({ "Name": "server wide backup, x" }));
    assert_eq!(kind(service.put_database_task("alpha", &object(reserved)).await), ErrorKind::ApplyRefused);
    let unknown = with(&own, json!({ "Name": "y", "TaskId": 99_999 }));
    assert_eq!(kind(service.put_database_task("alpha", &object(unknown)).await), ErrorKind::UnknownTask);
    assert_eq!(
        kind(service.put_database_task("nosuch", &object(own.clone())).await),
        ErrorKind::DatabaseMissing
    );
    let operation = service.start_backup("alpha", stored.task_id, BackupKind::Incremental).await.unwrap();
    assert_completed(&ended(&service, operation).await);
    assert!(folder.join("alpha/config").exists());
    let update = json!({ "TaskId": stored.task_id, "Name": "own", "FullBackupFrequency": "0 5 * * *" });
    let updated = service.put_database_task("alpha", &object(update)).await.unwrap();
    assert_eq!(updated.task_id, stored.task_id);
    assert!(updated.revision > stored.revision);
    service.stop().await;
    drop(service);
    let service = host.start().await;
    let view = service.task_of("alpha", TaskSelector::Name("own")).unwrap().unwrap();
    assert_eq!(view.server_wide, None);
    assert_eq!(view.task.full_backup_frequency.as_deref(), Some("0 5 * * *"));
    assert_eq!(view.status.is_full, Some(true), "the first is full whatever was asked for");
    assert_eq!(view.status.destinations[0].name, "Local");
    service.delete_database_task("alpha", stored.task_id).await.unwrap();
    assert_eq!(kind(service.delete_database_task("alpha", stored.task_id).await), ErrorKind::UnknownTask);
    assert_eq!(seen(&service, "alpha").len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_faults_the_first_in_ravendbs_order_is_told() {
    let host = Host::new();
    let service = host.start().await;
    let backups = host.backups();
    let local = json!({ "FolderPath": backups });
    for (expected, task) in [
        (ErrorKind::Format, json!({ "BackupType": "Weird" })),
        (ErrorKind::Argument, json!({})),
        (ErrorKind::Crontab, json!({ "FullBackupFrequency": "garbage" })),
        (ErrorKind::InvalidOperation, json!({ "FullBackupFrequency": "0 2 * * *", "S3Settings": {} })),
        (ErrorKind::Argument, json!({ "fullBackupFrequency": "0 2 * * *", "LocalSettings": local })),
        (ErrorKind::Crontab, json!({ "FullBackupFrequency": "0 0 2 * * *", "LocalSettings": {} })),
        (
            ErrorKind::Crontab,
            json!({ "FullBackupFrequency": "0 2 * * *", "IncrementalBackupFrequency": "* * *", "LocalSettings": local }),
        ),
        (
            ErrorKind::Argument,
            json!({ "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": "" } }),
        ),
        (
            ErrorKind::Argument,
            json!({ "FullBackupFrequency": "0 2 * * *", "LocalSettings": { "FolderPath": "/proc/nope" } }),
        ),
        (
            ErrorKind::NotSupported,
            json!({ "FullBackupFrequency": "0 2 * * *", "LocalSettings": local, "BackupUploadMode": "DirectUpload" }),
        ),
        (
            ErrorKind::Argument,
            json!({ "FullBackupFrequency": "0 2 * * *", "LocalSettings": local, "RetentionPolicy": { "MinimumBackupAgeToKeep": "00:00:01" } }),
        ),
    ] {
        assert_eq!(kind(put(&service, task.clone()).await), expected, "{task}");
    }
    assert!(!backups.exists(), "trying a folder out leaves nothing behind");
    assert!(put(&service, json!({ "Disabled": true, "FullBackupFrequency": "0 2 * * *" })).await.is_ok());
    service.stop().await;
}

//! The tasks of one database, derived and own, as RavenDB's clients see and change them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::Running;

const OWN: &str = "POST /databases/alpha/admin/periodic-backup";

async fn with_template() -> (Running, u64) {
    let server = Running::start(None).await;
    server.add_tree("alpha").await;
    server.add_tree("beta").await;
    let task = json!({
        "Name": "Nightly", "FullBackupFrequency": "0 2 * * *", "IncrementalBackupFrequency": "*/30 * * * *",
        "LocalSettings": { "FolderPath": server.backups() }, "ExcludedDatabases": ["beta"],
    });
    let answer = server.raven("PUT /admin/configuration/server-wide/backup", Some(task)).await;
    (server, answer.body["RaftCommandIndex"].as_u64().unwrap())
}

/// Makes a backup through RavenDB's routes and waits for its end; returns its number.
async fn back_up(server: &Running, task: u64, full: bool) -> u64 {
    let request = format!("POST /databases/alpha/admin/backup/database?isFullBackup={full}&taskId={task}");
    let answer = server.raven(&request, None).await;
    assert_eq!((answer.status, &answer.body["ResponsibleNode"]), (200, &json!("A")), "{answer:?}");
    let id = answer.body["OperationId"].as_u64().unwrap();
    let (_, ended) = server.get(&format!("/api/v1/operations/{id}/wait?seconds=60")).await;
    assert_eq!(ended["Status"], "Completed", "{ended}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_task_is_found_by_its_number_and_by_its_name() {
    let (server, id) = with_template().await;
    for key in [format!("key={id}"), "taskName=Server%20Wide%20Backup%2C%20Nightly".to_owned()] {
        let answer = server.raven(&format!("GET /databases/alpha/task?{key}&type=Backup"), None).await;
        let task = &answer.body;
        assert_eq!((answer.status, &task["TaskId"]), (200, &json!(id)), "{answer:?}");
        assert_eq!(task["TaskName"], "Server Wide Backup, Nightly");
        assert_eq!((&task["TaskType"], &task["TaskState"]), (&json!("Backup"), &json!("Enabled")));
        assert_eq!(task["TaskConnectionStatus"], "Active");
        assert_eq!(task["ResponsibleNode"]["NodeTag"], "A");
        assert_eq!(task["ResponsibleNode"]["NodeUrl"], format!("http://{}", server.address));
        assert_eq!((&task["LastFullBackup"], &task["OnGoingBackup"]), (&Value::Null, &Value::Null));
        let next = json!({
            "TimeSpan": "00:30:00", "DateTime": "2026-03-01T12:30:00.0000000Z", "IsFull": true,
            "OriginalBackupTime": null,
        });
        assert_eq!(task["NextBackup"], next);
        assert_eq!((&task["BackupType"], &task["BackupUploadMode"]), (&json!("Backup"), &json!("Default")));
        assert_eq!(
            (&task["FullBackupFrequency"], &task["HasCloudBackup"]),
            (&json!("0 2 * * *"), &json!(false))
        );
        assert_eq!(
            (&task["BackupDestinations"], &task["LastExecutingNodeTag"]),
            (&json!(["Local"]), &Value::Null)
        );
        assert_eq!(task["@metadata"]["NodeTag"], "A");
    }
    let list = server.raven("GET /databases/alpha/tasks", None).await.body;
    assert_eq!(list["OngoingTasks"].as_array().unwrap().len(), 1);
    assert_eq!((&list["SubscriptionsCount"], &list["PullReplications"]), (&json!(0), &json!([])));
    for missing in ["beta/task?key=1", "alpha/task?key=99999", "alpha/task?taskName=nope"] {
        let answer = server.raven(&format!("GET /databases/{missing}&type=Backup"), None).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{missing}");
        assert_eq!(answer.header("content-length"), Some("0"));
    }
    let record = server.raven("GET /admin/databases?name=alpha", None).await.body;
    let folder = format!("{}/alpha", server.backups());
    assert_eq!(record["PeriodicBackups"][0]["LocalSettings"]["FolderPath"], folder);
    assert_eq!(record["DatabaseName"], "alpha");
    let timers = server.raven("GET /databases/alpha/admin/debug/periodic-backup/timers", None).await.body;
    assert_eq!(
        (&timers["Count"], &timers["Timers"][0]["Name"]),
        (&json!(1), &json!("Server Wide Backup, Nightly"))
    );
    let timers = server.raven("GET /admin/debug/periodic-backup/timers", None).await.body;
    assert_eq!((&timers["Count"], &timers["Timers"][0]["Database"]), (&json!(1), &json!("alpha")));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_begun_and_its_status_tells_all() {
    let (server, id) = with_template().await;
    let status = format!("GET /periodic-backup/status?name=alpha&taskId={id}");
    assert_eq!(server.raven(&status, None).await.body, json!({ "IsSharded": false, "Status": null }));
    let full = back_up(&server, id, true).await;
    let answer = server.raven(&status, None).await;
    let told = &answer.body["Status"];
    assert_eq!((&told["TaskId"], &told["IsFull"], &told["NodeTag"]), (&json!(id), &json!(true), &json!("A")));
    assert_eq!(told["LastFullBackup"], "2026-03-01T12:00:00.0000000Z");
    assert_eq!(told["LastFullBackupInternal"], "2026-03-01T12:00:00.0000000Z");
    assert_eq!((&told["LastIncrementalBackup"], &told["Error"]), (&Value::Null, &Value::Null));
    assert_eq!((&told["LastOperationId"], &told["Version"]), (&json!(full), &json!(1)), "{told}");
    assert_eq!(told["LocalBackup"]["BackupDirectory"], format!("{}/alpha", server.backups()));
    assert_eq!(told["LocalBackup"]["Exception"], Value::Null);
    assert_eq!((&told["BackupType"], &told["DelayUntil"]), (&json!("Backup"), &Value::Null));
    for key in [
        "UploadToS3",
        "UploadToGlacier",
        "UploadToAzure",
        "UploadToGoogleCloud",
        "UploadToFtp",
        "LastEtag",
        "LastRaftIndex",
        "FolderName",
        "DurationInMs",
        "LocalRetentionDurationInMs",
        "OriginalBackupTime",
        "LastDatabaseChangeVector",
        "IsEncrypted",
    ] {
        assert!(told.get(key).is_some(), "{key} is not in {told}");
    }
    back_up(&server, id, false).await;
    let told = server.raven(&status, None).await.body["Status"].clone();
    assert_eq!((&told["IsFull"], &told["Version"]), (&json!(false), &json!(2)), "{told}");
    let task = server.raven(&format!("GET /databases/alpha/task?key={id}&type=Backup"), None).await.body;
    assert_eq!(task["LastFullBackup"], "2026-03-01T12:00:00.0000000Z");
    assert_eq!(task["LastExecutingNodeTag"], "A");
    let running = format!("GET /databases/alpha/admin/backup/running?taskId={id}");
    assert_eq!(
        server.raven(&running, None).await.body,
        json!({ "OperationNodeTag": "A", "OperationId": -1 })
    );
    let info =
        server.raven("GET /databases?name=alpha", None).await.body["Databases"][0]["BackupInfo"].clone();
    assert_eq!(
        (&info["LastBackup"], &info["Destinations"]),
        (&json!("2026-03-01T12:00:00.0000000"), &json!(["Local"]))
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_has_tasks_of_its_own() {
    let (server, _) = with_template().await;
    let own = json!({
        "Name": "own", "FullBackupFrequency": "0 3 * * *", "LocalSettings": { "FolderPath": server.backups() },
    });
    let answer = server.raven(&format!("{OWN}?raft-request-id=1"), Some(own.clone())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.body["TaskId"].as_u64().unwrap();
    assert_eq!(answer.body["RaftCommandIndex"], id);
    let again = server.raven(OWN, Some(own)).await;
    assert_eq!(again.body["Type"], "Raven.Server.Rachis.RachisApplyException", "{again:?}");

    let change = json!({ "TaskId": id, "Name": "own", "FullBackupFrequency": "0 4 * * *" });
    let answer = server.raven(OWN, Some(change)).await;
    assert_eq!(answer.body["TaskId"], id);
    let stored = server.raven(&format!("GET /periodic-backup?name=alpha&taskId={id}"), None).await.body;
    assert_eq!((&stored["FullBackupFrequency"], &stored["Name"]), (&json!("0 4 * * *"), &json!("own")));
    let missing = server.raven("GET /periodic-backup?name=alpha&taskId=987654", None).await;
    assert_eq!((missing.status, &missing.body["Type"]), (500, &json!("System.InvalidOperationException")));

    let state = format!("POST /databases/alpha/admin/tasks/state?key={id}&type=Backup&disable=true");
    assert_eq!(server.raven(&state, None).await.body["TaskId"], id);
    let task = server.raven(&format!("GET /databases/alpha/task?key={id}&type=Backup"), None).await.body;
    assert_eq!((&task["TaskState"], &task["NextBackup"]), (&json!("Disabled"), &Value::Null));
    assert_eq!(
        (&task["TaskConnectionStatus"], &task["ResponsibleNode"]["NodeTag"]),
        (&json!("NotActive"), &Value::Null)
    );
    let start = format!("POST /databases/alpha/admin/backup/database?isFullBackup=true&taskId={id}");
    let refused = server.raven(&start, None).await;
    assert_eq!((refused.status, &refused.body["Type"]), (500, &json!("System.InvalidOperationException")));

    let delete = format!("DELETE /databases/alpha/admin/tasks?id={id}&type=Backup");
    assert_eq!(server.raven(&delete, None).await.body["TaskId"], id);
    assert_eq!(
        server.raven(&format!("GET /databases/alpha/task?key={id}&type=Backup"), None).await.status,
        404
    );
    assert_eq!(server.raven(&delete, None).await.status, 500, "an unknown number is refused");
    let state = "POST /databases/alpha/admin/tasks/state?key=4242&type=Backup&disable=true";
    assert_eq!(server.raven(state, None).await.status, 500, "an unknown number is refused");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_task_rests_alone_but_changes_only_with_its_parent() {
    let (server, id) = with_template().await;
    let class = json!("Raven.Server.Rachis.RachisApplyException");
    let delete =
        server.raven(&format!("DELETE /databases/alpha/admin/tasks?id={id}&type=Backup"), None).await;
    assert_eq!((delete.status, &delete.body["Type"]), (500, &class), "{delete:?}");
    assert!(delete.body["Message"].as_str().unwrap().contains("Nightly"), "{delete:?}");
    let change =
        json!({ "TaskId": id, "Name": "Server Wide Backup, Nightly", "FullBackupFrequency": "0 4 * * *" });
    let answer = server.raven(OWN, Some(change)).await;
    assert_eq!((answer.status, &answer.body["Type"]), (500, &class), "{answer:?}");
    let reserved = json!({
        "Name": "server wide backup, x", "FullBackupFrequency": "0 4 * * *",
        "LocalSettings": { "FolderPath": server.backups() },
    });
    let answer = server.raven(OWN, Some(reserved)).await;
    assert_eq!((answer.status, &answer.body["Type"]), (500, &class), "{answer:?}");

    let state = format!("POST /databases/alpha/admin/tasks/state?key={id}&type=Backup&disable=true");
    let answer = server.raven(&state, None).await;
    assert_eq!((answer.status, &answer.body["TaskId"]), (200, &json!(id)), "{answer:?}");
    let task = server.raven(&format!("GET /databases/alpha/task?key={id}&type=Backup"), None).await.body;
    assert_eq!(task["TaskState"], "Disabled");
    let parent = server.raven("GET /admin/configuration/server-wide/tasks?type=Backup", None).await.body;
    assert_eq!(parent["Results"][0]["Disabled"], false);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_can_be_made_without_a_task() {
    let (server, _) = with_template().await;
    let once = json!({ "BackupType": "Backup", "LocalSettings": { "FolderPath": server.backups() } });
    let answer = server.raven("POST /databases/beta/admin/backup", Some(once)).await;
    assert_eq!((answer.status, &answer.body["OperationNodeTag"]), (200, &json!("A")), "{answer:?}");
    let id = &answer.body["OperationId"];
    let (_, ended) = server.get(&format!("/api/v1/operations/{id}/wait?seconds=60")).await;
    assert_eq!(ended["Status"], "Completed", "{ended}");
    let status = server.raven("GET /periodic-backup/status?name=beta&taskId=0", None).await.body;
    assert_eq!(
        (&status["Status"]["TaskId"], &status["Status"]["LastOperationId"]),
        (&json!(0), id),
        "{status}"
    );
    let none =
        server.raven("POST /databases/beta/admin/backup", Some(json!({ "BackupType": "Backup" }))).await;
    assert_eq!((none.status, &none.body["Type"]), (500, &json!("System.InvalidOperationException")));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_begun_is_declined() {
    let (server, id) = with_template().await;
    let start = "POST /databases/alpha/admin/backup/database";
    let operation = "System.InvalidOperationException";
    for (request, class, word) in [
        (format!("{start}?isFullBackup=true&taskId=987654"), operation, "987654"),
        (format!("{start}?isFullBackup=true"), "System.ArgumentException", "taskId"),
        (format!("{start}?isFullBackup=perhaps&taskId={id}"), "System.ArgumentException", "perhaps"),
    ] {
        let answer = server.raven(&request, None).await;
        assert_eq!((answer.status, &answer.body["Type"]), (500, &json!(class)), "{request}: {answer:?}");
        assert!(answer.body["Message"].as_str().unwrap().contains(word), "{request}: {answer:?}");
        assert_eq!(answer.header("raven-server-version"), Some("7.2.7.72051"), "{request}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_cannot_be_delayed() {
    let (server, id) = with_template().await;
    let operation = "System.InvalidOperationException";
    let delay = "POST /admin/backup-task/delay";
    let ended = back_up(&server, id, true).await;
    for (request, class, word) in [
        (format!("{delay}?taskId={ended}&duration=01:00:00&database=alpha"), operation, "delay"),
        (format!("{delay}?taskId=9&duration=bogus&database=alpha"), "System.ArgumentException", "bogus"),
        (
            format!("{delay}?taskId=9&duration=-01:00:00&database=alpha"),
            "System.ArgumentOutOfRangeException",
            "delay",
        ),
        (format!("{delay}?duration=01:00:00&database=alpha"), "System.ArgumentException", "taskId"),
        (
            format!("{delay}?taskId=1&duration=01:00:00&database=nosuch"),
            "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException",
            "nosuch",
        ),
    ] {
        let answer = server.raven(&request, None).await;
        assert_eq!((answer.status, &answer.body["Type"]), (500, &json!(class)), "{request}: {answer:?}");
        assert!(answer.body["Message"].as_str().unwrap().contains(word), "{request}: {answer:?}");
        assert_eq!(answer.header("raven-server-version"), Some("7.2.7.72051"), "{request}");
    }
    let (status, queue) = server.get("/api/v1/queue").await;
    assert_eq!((status, queue), (200, json!([])));
    let (status, decisions) = server.get("/api/v1/databases/alpha/decisions?limit=3").await;
    assert_eq!(status, 200, "{decisions}");
    assert!(decisions[0]["Reason"].is_string(), "{decisions}");
    let policy = json!({ "RetentionPolicy": { "KeepLast": 1 } }).to_string();
    let (status, _, kept) = server.send("POST /api/v1/databases/alpha/retention", &[], Some(&policy)).await;
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((status, kept.as_array().map(Vec::len)), (200, Some(1)), "{kept}");
    assert!(kept[0]["Rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{kept}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_runs_or_waits_is_put_off_and_shows_when_it_comes() {
    let (server, id) = with_template().await;
    let tree = server.directory.path().join("trees/alpha");
    for number in 0..400 {
        let file = std::fs::File::create(tree.join(format!("large-{number}"))).unwrap();
        file.set_len(16 * 1024 * 1024).unwrap();
    }
    let start = format!("POST /databases/alpha/admin/backup/database?isFullBackup=true&taskId={id}");
    let operation = server.raven(&start, None).await.body["OperationId"].as_u64().unwrap();
    let task = format!("GET /databases/alpha/task?key={id}&type=Backup");
    let running = server.raven(&task, None).await.body["OnGoingBackup"].clone();
    assert_eq!(
        (&running["RunningBackupTaskId"], &running["IsFull"]),
        (&json!(operation), &json!(true)),
        "{running}"
    );
    assert!(running["StartTime"].is_string(), "{running}");
    let delay = format!("POST /admin/backup-task/delay?taskId={operation}&duration=01:00:00&database=alpha");
    let answer = server.raven(&delay, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{answer:?}");
    server.get(&format!("/api/v1/operations/{operation}/wait?seconds=30")).await;
    let state =
        server.raven(&format!("GET /databases/alpha/operations/state?id={operation}"), None).await.body;
    assert_eq!((&state["Status"], &state["Result"]), (&json!("Canceled"), &Value::Null), "{state}");
    let next = server.raven(&task, None).await.body["NextBackup"].clone();
    assert_eq!(next["DateTime"], "2026-03-01T13:00:00.0000000Z", "{next}");
    assert!(next["OriginalBackupTime"].is_string(), "{next}");
    let status =
        server.raven(&format!("GET /periodic-backup/status?name=alpha&taskId={id}"), None).await.body;
    assert_eq!(status["Status"]["DelayUntil"], "2026-03-01T13:00:00.0000000Z", "{status}");
    server.end().await;
}

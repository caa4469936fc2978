//! Server-wide tasks as RavenDB's clients make, read, change and delete them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Running};

const PUT: &str = "PUT /admin/configuration/server-wide/backup";
const LIST: &str = "GET /admin/configuration/server-wide/tasks?type=Backup";

fn nightly(server: &Running) -> Value {
    json!({
        "Disabled": false, "Name": "Nightly", "BackupType": "Backup",
        "FullBackupFrequency": "0 2 * * *", "IncrementalBackupFrequency": "*/30 * * * *",
        "RetentionPolicy": { "Disabled": false, "MinimumBackupAgeToKeep": "7.00:00:00" },
        "LocalSettings": { "FolderPath": server.backups() }, "ExcludedDatabases": ["Customers"],
    })
}

async fn put(server: &Running, task: &Value) -> Answer {
    server.raven(&format!("{PUT}?raft-request-id=1"), Some(task.clone())).await
}

async fn stored(server: &Running, name: &str) -> Value {
    let answer = server.raven(&format!("{LIST}&name={name}"), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["Results"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_in_and_comes_out_with_every_key_that_clients_insist_on() {
    let server = Running::start(None).await;
    let answer = put(&server, &nightly(&server)).await;
    assert_eq!((answer.status, &answer.body["Name"]), (201, &json!("Nightly")), "{answer:?}");
    let index = answer.body["RaftCommandIndex"].as_u64().unwrap();
    assert!(index > 0);

    let task = stored(&server, "Nightly").await;
    // Python's client reads each of these without asking whether it is there.
    for key in [
        "BackupType",
        "SnapshotSettings",
        "BackupEncryptionSettings",
        "LocalSettings",
        "S3Settings",
        "GlacierSettings",
        "AzureSettings",
        "FtpSettings",
        "GoogleCloudSettings",
        "Name",
        "TaskId",
        "Disabled",
        "MentorNode",
        "PinToMentorNode",
        "RetentionPolicy",
        "FullBackupFrequency",
        "IncrementalBackupFrequency",
        "BackupUploadMode",
        "MaxReadOpsPerSecond",
        "CreatedAt",
        "NamePrefix",
        "ExcludedDatabases",
    ] {
        assert!(task.get(key).is_some(), "{key} is not in {task}");
    }
    let local = json!({ "Disabled": false, "GetBackupConfigurationScript": null, "FolderPath": server.backups(), "ShardNumber": null });
    assert_eq!(task["LocalSettings"], local);
    assert_eq!((&task["TaskId"], &task["NamePrefix"]), (&json!(index), &json!("Server Wide Backup")));
    assert_eq!(task["CreatedAt"], "2026-03-01T12:00:00.0000000Z");
    assert_eq!(task["RetentionPolicy"]["MinimumBackupAgeToKeep"], "7.00:00:00");
    assert_eq!(task["ExcludedDatabases"], json!(["Customers"]));

    let missing = server.raven(&format!("{LIST}&name=nope"), None).await;
    assert_eq!((missing.status, missing.body), (200, json!({ "Results": [] })));
    let legacy = server.raven("GET /admin/configuration/server-wide/backup", None).await;
    assert_eq!(legacy.body["Results"].as_array().unwrap().len(), 1);
    let overview = server.raven("GET /admin/server-wide/tasks", None).await;
    let shown = &overview.body["Tasks"][0];
    assert_eq!((&shown["TaskName"], &shown["TaskType"]), (&json!("Nightly"), &json!("Backup")));
    assert_eq!((&shown["TaskState"], &shown["BackupDestinations"]), (&json!("Enabled"), &json!(["Local"])));
    assert_eq!(shown["ExcludedDatabases"], json!(["Customers"]));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drops_what_it_does_not_know_wipes_nothing() {
    let server = Running::start(None).await;
    put(&server, &nightly(&server)).await;
    let mut task = stored(&server, "Nightly").await;
    // What Python's client sends back.
    for dropped in ["ExcludedDatabases", "BackupUploadMode", "MaxReadOpsPerSecond", "CreatedAt", "NamePrefix"]
    {
        task.as_object_mut().unwrap().remove(dropped);
    }
    task["FullBackupFrequency"] = "0 */7 * * *".into();
    let answer = put(&server, &task).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let after = stored(&server, "Nightly").await;
    assert_eq!(after["ExcludedDatabases"], json!(["Customers"]));
    assert_eq!(after["FullBackupFrequency"], "0 */7 * * *");
    assert_eq!(after["CreatedAt"], "2026-03-01T12:00:00.0000000Z");
    assert!(after["TaskId"].as_u64().unwrap() > task["TaskId"].as_u64().unwrap());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_as_python_sends_them_mean_what_is_usual() {
    let server = Running::start(None).await;
    let task = json!({
        "FullBackupFrequency": "0 2 * * *", "TaskId": null, "Disabled": null, "PinToMentorNode": null,
        "MentorNode": null, "BackupType": "Backup", "SnapshotSettings": null, "Name": null, "RetentionPolicy": null,
        "IncrementalBackupFrequency": null, "S3Settings": null, "Unknown": { "Key": 1 },
        "LocalSettings": { "FolderPath": server.backups(), "Disabled": null, "GetBackupConfigurationScript": null },
    });
    for name in ["Backup to Local", "Backup to Local #2"] {
        let answer = put(&server, &task).await;
        assert_eq!((answer.status, &answer.body["Name"]), (201, &json!(name)), "{answer:?}");
    }
    assert_eq!(stored(&server, "Backup%20to%20Local").await["Disabled"], false);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_declined_with_the_type_that_clients_know() {
    let server = Running::start(None).await;
    let cases = [
        (json!({ "BackupType": "Weird" }), "System.FormatException", "Weird"),
        (
            json!({ "FullBackupFrequency": "garbage" }),
            "NCrontab.Advanced.Exceptions.CrontabException",
            "garbage",
        ),
        (
            json!({ "IncrementalBackupFrequency": "* * *" }),
            "NCrontab.Advanced.Exceptions.CrontabException",
            "* * *",
        ),
        (
            json!({ "FullBackupFrequency": null, "IncrementalBackupFrequency": "" }),
            "System.ArgumentException",
            "requency",
        ),
        (json!({ "LocalSettings": null }), "System.InvalidOperationException", "destination"),
        (json!({ "LocalSettings": {} }), "System.ArgumentException", "FolderPath"),
        (
            json!({ "LocalSettings": { "FolderPath": "/proc/nope" } }),
            "System.ArgumentException",
            "/proc/nope",
        ),
        (json!({ "BackupUploadMode": "DirectUpload" }), "System.NotSupportedException", "irect"),
        (
            json!({ "RetentionPolicy": { "MinimumBackupAgeToKeep": "00:00:01" } }),
            "System.ArgumentException",
            "MinimumBackupAgeToKeep",
        ),
        (
            json!({ "RetentionPolicy": { "MinimumBackupAgeToKeep": "-1.00:00:00" } }),
            "System.ArgumentException",
            "MinimumBackupAgeToKeep",
        ),
        (
            json!({ "RetentionPolicy": { "MinimumBackupAgeToKeep": "bogus" } }),
            "System.FormatException",
            "bogus",
        ),
        (
            json!({ "ExcludedDatabases": [null] }),
            "Raven.Server.Rachis.RachisApplyException",
            "ExcludedDatabases",
        ),
        (json!({ "TaskId": 123_456 }), "Raven.Server.Rachis.RachisInvalidOperationException", "123456"),
    ];
    for (change, class, word) in cases {
        let mut task = nightly(&server);
        for (key, value) in change.as_object().unwrap() {
            task[key] = value.clone();
        }
        let answer = put(&server, &task).await;
        assert_eq!((answer.status, &answer.body["Type"]), (500, &json!(class)), "{change}: {answer:?}");
        assert!(answer.body["Message"].as_str().unwrap().contains(word), "{change}: {answer:?}");
        let url = format!("{}?raft-request-id=1", PUT.strip_prefix("PUT ").unwrap());
        assert_eq!(answer.body["Url"], url);
    }
    assert_eq!(server.raven(LIST, None).await.body, json!({ "Results": [] }));
    let camel =
        json!({ "fullBackupFrequency": "0 2 * * *", "localSettings": { "FolderPath": server.backups() } });
    assert_eq!(put(&server, &camel).await.status, 500, "keys are case-sensitive");

    put(&server, &nightly(&server)).await;
    let answer = put(&server, &nightly(&server)).await;
    assert_eq!(answer.body["Type"], "Raven.Server.Rachis.RachisApplyException", "{answer:?}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_put_to_rest_woken_renamed_and_deleted() {
    let server = Running::start(None).await;
    put(&server, &nightly(&server)).await;
    let state = |name: &str, disable: bool| {
        format!("POST /admin/configuration/server-wide/state?type=Backup&name={name}&disable={disable}")
    };
    let answer = server.raven(&state("Nightly", true), None).await;
    assert_eq!((answer.status, &answer.body["Name"]), (200, &json!("Nightly")), "{answer:?}");
    assert_eq!(stored(&server, "Nightly").await["Disabled"], true);
    // Node's client throws on any body here.
    let node = [("User-Agent", "node"), ("Raven-Client-Version", "7.2.3"), ("Content-Type", "")];
    let answer = server.raven_as(&state("Nightly", false), &node, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(stored(&server, "Nightly").await["Disabled"], false);

    let mut task = stored(&server, "Nightly").await;
    task["Name"] = "Renamed".into();
    assert_eq!(put(&server, &task).await.body["Name"], "Renamed");
    assert_eq!(server.raven(LIST, None).await.body["Results"].as_array().unwrap().len(), 1);

    let delete = "DELETE /admin/configuration/server-wide/task?type=Backup&name=";
    for missing in ["Nightly", "RENAMED"] {
        let answer = server.raven(&format!("{delete}{missing}"), None).await;
        let class = "Raven.Server.Rachis.RachisInvalidOperationException";
        assert_eq!((answer.status, &answer.body["Type"]), (500, &json!(class)), "{answer:?}");
    }
    let answer = server.raven(&state("nope", true), None).await;
    assert_eq!(
        (answer.status, &answer.body["Type"]),
        (500, &json!("Raven.Server.Rachis.RachisApplyException"))
    );
    let answer = server.raven(&format!("{delete}Renamed"), None).await;
    assert_eq!((answer.status, &answer.body["Name"]), (200, &json!("Renamed")), "{answer:?}");
    assert_eq!(server.raven(LIST, None).await.body, json!({ "Results": [] }));

    for (request, message) in [
        (
            "GET /admin/configuration/server-wide/tasks",
            "Query string type is mandatory, but wasn't specified.",
        ),
        ("GET /admin/configuration/server-wide/tasks?type=Nope", "Nope is unknown task type."),
        (
            "DELETE /admin/configuration/server-wide/task?type=Backup",
            "Query string name is mandatory, but wasn't specified.",
        ),
    ] {
        let answer = server.raven(request, None).await;
        assert_eq!((answer.status, &answer.body["Message"]), (500, &json!(message)), "{request}");
        assert_eq!(answer.body["Type"], "System.ArgumentException");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_and_the_mask_sent_back_keeps_them() {
    let server = Running::start(None).await;
    let key = "OI7Vll7DroXdUORtc6Uo64wdAk1W0Db9ExXXgcg5IUs=";
    let mut task = nightly(&server);
    task["BackupEncryptionSettings"] = json!({ "EncryptionMode": "UseProvidedKey", "Key": key });
    task["AzureSettings"] =
        json!({ "StorageContainer": "c", "AccountName": "n", "AccountKey": "c2VjcmV0IGFjY291bnQ=" });
    task["GoogleCloudSettings"] = json!({ "BucketName": "b", "GoogleCredentialsJson": "{\"private_key\":\"hidden\"}", "Disabled": true });
    assert_eq!(put(&server, &task).await.status, 201);
    let all = server.raven(LIST, None).await;
    for secret in [key, "c2VjcmV0IGFjY291bnQ=", "hidden"] {
        assert!(!all.text.contains(secret), "{secret} is shown");
    }
    let shown = &all.body["Results"][0];
    assert_eq!(
        shown["BackupEncryptionSettings"],
        json!({ "Key": "****", "EncryptionMode": "UseProvidedKey" })
    );
    assert_eq!(shown["AzureSettings"]["AccountKey"], "****");
    // Python's client takes the settings of Google Cloud for a status, and misses these.
    assert!(shown["GoogleCloudSettings"].as_object().unwrap().contains_key("IncrementalBackupDurationInMs"));
    let answer = put(&server, shown).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    server.end().await;
}
